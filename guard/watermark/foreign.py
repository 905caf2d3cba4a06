"""Other people's marks: one Protocol for their readers, and the question to ask before marking a picture again.

A foreign mark is a hint about where a picture comes from, never proof: its payload is public or its decoder can be fed
a copy. SynthID, Digimarc and other closed marks cannot be checked locally; only their owners' services read them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from guard.records import RGB8


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignMark:
    """A mark of another scheme that was read in a picture.

    Attributes:
        scheme: of the mark, such as ``invisible-watermark dwtDct``.
        writer: who is known to write this payload; None when anybody may have.
        payload: what it says: hex digits of the bits, most significant first.
        bits: length of the payload.
        wrong_bits: bits that differed from the known payload, or that error correction changed.
        log10_chance: log10 of the chance that fair random bits would have passed; pictures are not fair coins.
    """

    scheme: str
    writer: str | None
    payload: str
    bits: int
    wrong_bits: int
    log10_chance: float


class ForeignMarkReader(Protocol):
    """Reads one foreign scheme; immutable and safe to share between threads."""

    @property
    def scheme(self) -> str:
        """Name of the scheme."""
        ...

    def read(self, pixels: RGB8) -> ForeignMark | None:
        """Return the mark in (H, W, 3) uint8 pixels of any size, or None; never raises for what they show."""
        ...


def find_foreign_marks(pixels: RGB8, readers: Iterable[ForeignMarkReader]) -> tuple[ForeignMark, ...]:
    """Return every foreign mark that is found; ask this before embedding, so that a manifest can name them."""
    found = (reader.read(pixels) for reader in readers)
    return tuple(mark for mark in found if mark is not None)


def hex_of(bits: Iterable[int]) -> str:
    """Return bits, most significant first, as hex digits; the last digit is filled up with zeros."""
    text = "".join("1" if bit else "0" for bit in bits)
    text += "0" * (-len(text) % 4)
    return "".join(f"{int(text[i : i + 4], 2):x}" for i in range(0, len(text), 4))
