"""The visible label: compositor and its verifier."""
