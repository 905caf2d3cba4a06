"""The generative models behind one Protocol."""
