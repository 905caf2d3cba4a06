"""Marks of other makers that a picture carries: read in the pixels, named in the manifest as soft bindings."""

from __future__ import annotations

from collections.abc import Iterable

from guard.credentials import SoftBinding
from guard.interfaces import ForeignMarkReader
from guard.records import RGB8


def foreign_bindings(pixels: RGB8, readers: Iterable[ForeignMarkReader]) -> tuple[SoftBinding, ...]:
    """Return the marks that readers of other schemes find in (H, W, 3) uint8, each as algorithm and payload."""
    found = (reader.read(pixels) for reader in readers)
    return tuple(
        SoftBinding(algorithm="/".join(mark.scheme.split()), value=mark.payload) for mark in found if mark is not None
    )
