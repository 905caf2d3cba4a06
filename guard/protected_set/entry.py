"""One picture of the protected set: how it is recognised, and what a match means."""

from __future__ import annotations

from dataclasses import dataclass

MAX_LABEL_CHARS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureVector:
    """The vector of a picture, for resemblance.

    Attributes:
        model: content digest of the model that made it.
        values: the numbers as little-endian 16-bit floats.
    """

    model: str
    values: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtectedEntry:
    """A protected picture.

    Attributes:
        list_name: the list that it belongs to, for instance ``client-logos`` or ``removed``.
        label: what people call it; a file name when it came from a folder, empty when it came as a bare hash.
        category: category of findings about it (``guard.policy.schema.Category``).
        severity: 0..7 of findings about it.
        hard: True blocks under every policy.
        pdq: 256-bit PDQ hash as 64 hex digits.
        quality: PDQ quality, 0..100; entries of low quality are refused on the way in.
        vector: for resemblance, where a model was configured when the entry was added; not read back with entries.
    """

    list_name: str
    label: str
    category: str
    severity: int
    hard: bool
    pdq: str
    quality: int
    vector: PictureVector | None = None
