"""Checks of the texts that reach a text encoder."""
