"""What a detector's score is worth: calibration cards, their domain, and the words for a likelihood ratio."""
