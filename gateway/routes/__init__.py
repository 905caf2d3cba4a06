"""HTTP routes over the two packages below."""
