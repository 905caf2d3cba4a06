"""C2PA content credentials: write, read, trust, keys."""
