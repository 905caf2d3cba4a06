"""The invisible mark codec."""
