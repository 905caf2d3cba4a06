"""Measure prompt safety on labelled prompts: figures, baselines, report page."""
