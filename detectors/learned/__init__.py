"""Evidence from networks that were trained on labelled pictures."""
