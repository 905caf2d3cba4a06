"""The signet command."""
