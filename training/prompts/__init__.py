"""Trains the prompt model that ships in ``guard/models/prompt``: ``python -m training.prompts --help``."""
