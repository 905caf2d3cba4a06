"""Other people's published detectors, with weights that the operator brings; off unless a policy lists them."""
