"""Containers and metadata blocks -> ``EmbeddedFields``: bounded, pure Python, one reader per block."""
