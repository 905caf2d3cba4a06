"""Resemblance beyond copies: vectors of a CLIP model beside the hashes, compared by cosine.

A crop, a redrawn logo, another photo of the same thing have other hashes but similar vectors. How similar is too
similar depends on the model and on the pictures: there is no limit that suits everybody, so the policy names one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from guard.protected_set.entry import PictureVector
from guard.records import RGB8

STORED = np.dtype("<f2")
"""Number format in the store; rounding changes a cosine by less than 0.001 (measured, 512 dimensions)."""


class PictureEmbedder(Protocol):
    """Pictures as unit vectors; ``guard.clip_model.ClipModel`` is one."""

    digest: str

    def embed_pictures(self, pictures: Sequence[RGB8]) -> NDArray[np.float32]:
        """Return (n, d) unit vectors. Raises CheckError."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SimilarityRule:
    """When a picture resembles a protected one.

    Attributes:
        model: gives the vectors; entries with vectors of other models are left out.
        min_similarity: 0..1, cosine from which it is a match.
    """

    model: PictureEmbedder
    min_similarity: float


def picture_vector(model: PictureEmbedder, pixels: RGB8) -> PictureVector:
    """Return the vector of (H, W, 3) uint8 as it is stored. Raises CheckError."""
    return PictureVector(model=model.digest, values=model.embed_pictures([pixels])[0].astype(STORED).tobytes())


def matrix_of(rows: Sequence[bytes]) -> NDArray[np.float32]:
    """Return stored vectors of one model as (n, d) unit vectors."""
    vectors = np.array([np.frombuffer(row, STORED) for row in rows], np.float32)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)
