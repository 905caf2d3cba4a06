"""Evidence from what a file says about itself."""
