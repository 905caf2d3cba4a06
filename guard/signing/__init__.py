"""Marking, signing and recording files that were made elsewhere."""
