"""The robustness suite: attacks in the Code of Practice's families, survival measured on any watermark codec."""
