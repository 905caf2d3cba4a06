"""JPEG quantisation tables: which family of encoders wrote them, and at what quality.

libjpeg scales a base table by ``s = 5000 / q`` (q < 50) or ``200 - 2 q`` and rounds ``(base * s + 50) // 100`` into
1..255. A table that is an exact multiple names family and quality; cameras and Photoshop have tables of their own.
Source: ISO/IEC 10918-1 annex K.1; IJG libjpeg jcparam.c; mozjpeg jcparam.c table 3 (N. Robidoux, ImageMagick).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

Table: TypeAlias = tuple[int, ...]
"""64 quantisation steps in row order, 1..65535."""

ZIGZAG = (
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14,
    21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60,
    61, 54, 47, 55, 62, 63,
)  # fmt: skip
"""Position in row order of the n-th stored step. Source: ISO/IEC 10918-1 figure A.6."""
ANNEX_K_LUMA: Table = (
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51,
    87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103, 121, 120, 101,
    72, 92, 95, 98, 112, 100, 103, 99,
)  # fmt: skip
ANNEX_K_CHROMA: Table = (
    17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99, 24, 26, 56, 99, 99, 99, 99, 99, 47, 66, 99, 99, 99,
    99, 99, 99, *(99,) * 32,
)  # fmt: skip
ROBIDOUX: Table = (
    16, 16, 16, 18, 25, 37, 56, 85, 16, 17, 20, 27, 34, 40, 53, 75, 16, 20, 24, 31, 43, 62, 91, 135, 18, 27, 31, 40, 53,
    74, 106, 156, 25, 34, 43, 53, 69, 94, 131, 189, 37, 40, 62, 74, 94, 124, 169, 238, 56, 53, 91, 106, 131, 169, 226,
    311, 85, 75, 135, 156, 189, 238, 311, 418,
)  # fmt: skip
_FAMILIES = (
    ("libjpeg (Annex K)", ANNEX_K_LUMA, ANNEX_K_CHROMA),
    ("mozjpeg", ROBIDOUX, ROBIDOUX),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TableMatch:
    """What a file's tables are.

    Attributes:
        family: encoder family when the luma table is an exact multiple of its base table, else None.
        quality: libjpeg quality 1..100: exact with a family, else the nearest for the luma table.
        chroma_quality: the same for the chroma table when it differs from ``quality``, else None.
    """

    family: str | None
    quality: int
    chroma_quality: int | None = None


def scaled(base: Table, quality: int) -> Table:
    """Return a base table at libjpeg quality 1..100."""
    factor = 5000 // quality if quality < 50 else 200 - 2 * quality
    return tuple(min(max((step * factor + 50) // 100, 1), 255) for step in base)


def identify(luma: Table, chroma: Table | None) -> TableMatch:
    """Return family and quality of a luma table (64 steps) and, where the picture has colour, a chroma table."""
    for name, luma_base, chroma_base in _FAMILIES:
        quality = _exact(luma, luma_base)
        if quality is None:
            continue
        if chroma is None:
            return TableMatch(family=name, quality=quality)
        if chroma == scaled(chroma_base, quality):
            return TableMatch(family=name, quality=quality)
        other = _exact(chroma, chroma_base)
        if other is not None:
            return TableMatch(family=name, quality=quality, chroma_quality=other)
    return TableMatch(family=None, quality=_nearest(luma))


def _exact(table: Table, base: Table) -> int | None:
    """Return the highest quality at which the scaled base is this table, or None."""
    return next((quality for quality in range(100, 0, -1) if scaled(base, quality) == table), None)


def _nearest(luma: Table) -> int:
    """Return the quality whose Annex K luma table has the closest sum of steps."""
    total = sum(luma)
    return min(range(100, 0, -1), key=lambda quality: abs(sum(scaled(ANNEX_K_LUMA, quality)) - total))
