"""Perceptual fingerprints of a picture, for search (PDQ) and for confirming what a watermark claims (thumbnail)."""

from __future__ import annotations

import pdqhash

from guard.errors import UnsupportedMediaError
from guard.records import RGB8, Fingerprints


def fingerprints(pixels: RGB8) -> Fingerprints:
    """Return the fingerprints of (H, W, 3) uint8 sRGB."""
    if pixels.ndim != 3 or pixels.shape[2] != 3:
        raise UnsupportedMediaError(f"Fingerprint: got an array of shape {pixels.shape}, expected (H, W, 3).")
    bits, quality = pdqhash.compute(pixels)
    return Fingerprints(
        pdq="".join(f"{digit:x}" for digit in bits.reshape(-1, 4) @ (8, 4, 2, 1)), pdq_quality=int(quality)
    )


def pdq_distance(first: str, second: str) -> int:
    """Return the Hamming distance of two PDQ hashes given as 64 hex digits: 0..256 bits."""
    return (int(first, 16) ^ int(second, 16)).bit_count()
