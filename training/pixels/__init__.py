"""Trains what ships in ``detectors/models``: ``python -m training.pixels --help``."""
