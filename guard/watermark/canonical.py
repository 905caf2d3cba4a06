"""A picture -> whitened luma in the canonical frame, and its values on the lattice lines when nothing was turned.

``flatten`` divides by the local contrast so that a hard texture does not outshout the mark elsewhere; ``project`` is
the exact discrete-time Fourier transform at the integer line frequencies, done as two small matrix products.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from guard.media import Luma32
from guard.records import RGB8
from guard.watermark.lattice import CANONICAL_SIDE, GRID, TILE

LineGrid: TypeAlias = NDArray[np.complex64]
"""(2 * GRID + 1, GRID + 1) complex64: row v + GRID, column u, for -GRID <= v <= GRID, 0 <= u <= GRID."""

MAX_SIDE = 1024
"""Longest canonical side that is looked at; beyond an aspect ratio of 4 only the middle is."""
_DETAIL_SIGMA = 2.5
_CONTRAST_SIGMA = 3.5
_DETAIL_LIMIT = 40.0
_CONTRAST_EXPONENT = 1.5
"""The mark follows contrast**0.5 (embedding.py), noise follows contrast: the matched weight is contrast**-1.5."""
_BORDER = 8
"""Taper at the border, so that the picture's edges do not light lines of their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """A whitened picture in the canonical frame.

    Attributes:
        values: (h, w) float32, zero mean detail over local contrast, tapered at the border; sides <= MAX_SIDE.
        pitch_x, pitch_y: canonical px per sample; differ from 1 only by the rounding of the sides.
    """

    values: NDArray[np.float32] = field(repr=False)
    pitch_x: float
    pitch_y: float


def pixel_pitch(height: int, width: int) -> float:
    """Return how many picture px make one canonical px."""
    return float(np.sqrt(height * width)) / CANONICAL_SIDE


def luma_of(pixels: RGB8) -> Luma32:
    """Return (H, W) float32 Rec. 601 luma in [0, 255], rounded to integers (the rounding is far below the mark)."""
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_RGB2GRAY), dtype=np.float32)


def frame_of(luma: Luma32, *, pitch: float | None = None) -> Frame:
    """Bring luma to the canonical frame and whiten it.

    Args:
        luma: (H, W) float32 in [0, 255], any size.
        pitch: picture px per canonical px where it is known (embedding); None: from the picture's own area.
    """
    height, width = luma.shape
    step = pitch or pixel_pitch(height, width)
    limit = int(MAX_SIDE * step)
    if max(height, width) > limit:
        top, left = max(0, (height - limit) // 2), max(0, (width - limit) // 2)
        luma = luma[top : top + limit, left : left + limit]
        height, width = luma.shape
    rows, columns = max(8, min(MAX_SIDE, round(height / step))), max(8, min(MAX_SIDE, round(width / step)))
    if (rows, columns) != (height, width):
        method = cv2.INTER_AREA if rows < height and columns < width else cv2.INTER_CUBIC
        luma = cv2.resize(np.ascontiguousarray(luma), (columns, rows), interpolation=method)
    return Frame(values=flatten(luma), pitch_x=width / step / columns, pitch_y=height / step / rows)


def flatten(luma: Luma32) -> NDArray[np.float32]:
    """Return detail divided by local contrast**1.5, tapered at the border; same shape, finite for any input."""
    detail = luma - cv2.GaussianBlur(luma, (0, 0), _DETAIL_SIGMA)
    np.clip(detail, -_DETAIL_LIMIT, _DETAIL_LIMIT, out=detail)
    contrast = np.sqrt(cv2.GaussianBlur(detail * detail, (0, 0), _CONTRAST_SIGMA) + 1.0)
    detail *= (contrast + 1.0) ** -_CONTRAST_EXPONENT
    detail *= _ramp(luma.shape[0])[:, None]
    detail *= _ramp(luma.shape[1])[None, :]
    return np.asarray(detail, dtype=np.float32)


def _ramp(length: int) -> NDArray[np.float32]:
    """Return (length,) float32 weights that rise linearly from both ends to 1."""
    index = np.arange(length)
    return np.minimum(1.0, (np.minimum(index, index[::-1]) + 1) / _BORDER).astype(np.float32)


def waves(length: int, pitch: float, highest: int) -> NDArray[np.float32]:
    """Return cosines and sines of all line frequencies along one side.

    Args:
        length: samples along the side.
        pitch: canonical px a sample.
        highest: highest frequency in cycles a tile.

    Returns:
        (2, highest + 1, length) float32: cos and sin of 2 pi k x / TILE, x = 0 in the middle of the side.
    """
    x = (np.arange(length) + 0.5 - length / 2) * (pitch / TILE)
    angle = 2 * np.pi * np.arange(highest + 1)[:, None] * x
    return np.stack([np.cos(angle), np.sin(angle)]).astype(np.float32)


def project(frame: Frame) -> LineGrid:
    """Return the picture's Fourier values at the integer line frequencies, origin at the picture's centre.

    Cost: 2 * 70 * h * w multiplications, 1-2 ms for 512 x 512 on one core; an FFT and no interpolation error.
    """
    rows, columns = frame.values.shape
    across = waves(columns, frame.pitch_x, GRID).reshape(-1, columns)
    down = waves(rows, frame.pitch_y, GRID).reshape(-1, rows)
    mixed = (down @ (frame.values @ across.T)).reshape(2, GRID + 1, 2, GRID + 1)
    cos_cos, cos_sin, sin_cos, sin_sin = mixed[0, :, 0], mixed[0, :, 1], mixed[1, :, 0], mixed[1, :, 1]
    grid = np.empty((2 * GRID + 1, GRID + 1), np.complex64)
    grid[GRID:] = (cos_cos - sin_sin) - 1j * (cos_sin + sin_cos)  # v >= 0
    grid[GRID::-1] = (cos_cos + sin_sin) - 1j * (cos_sin - sin_cos)  # v <= 0
    return grid
