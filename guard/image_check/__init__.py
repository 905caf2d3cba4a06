"""Checks of pictures before they may leave or enter."""
