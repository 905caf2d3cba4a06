"""What the running service keeps."""
