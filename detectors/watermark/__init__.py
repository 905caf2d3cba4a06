"""Evidence from invisible marks."""
