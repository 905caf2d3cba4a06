"""The tamper-evident record: canonical entries, Merkle tree, signed heads, registry, image store."""
