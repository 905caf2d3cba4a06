"""Which parts of a picture the pixel detectors look at: crops at the stored resolution, never resized.

Resizing would erase the traces that are looked for. Crops are chosen by how much fine texture they hold, because flat
and blown-out areas carry nothing, and they are spread over the picture.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from guard.records import RGB8

CROP_SIDE = 224
"""Side of a crop in pixels, the side that the detectors were trained on."""
MIN_CROP_SIDE = 128
"""Smaller pictures are not examined (see ``detectors.statistical.planes``)."""
CROP_STEP = 16
CROP_COUNT = 4
"""Crops a picture; averaging four gave +0.05 AUC over one (measured: docs/detection.md)."""
_CANDIDATES_A_SIDE = 6
_STRIDE = 2
_MOST = 24
"""Steps between neighbours above this are edges; they count as no more than this."""
_MAX_OVERLAP = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Crop:
    """One square part of a picture.

    Attributes:
        left: pixels from the left edge.
        top: pixels from the top edge.
        pixels: (S, S, 3) uint8; S is CROP_SIDE, or less for small pictures, a multiple of CROP_STEP.
    """

    left: int
    top: int
    pixels: RGB8


def crop_side(pixels: RGB8) -> int | None:
    """Return the side of this picture's crops, or None when it is too small to examine."""
    smallest = min(pixels.shape[:2])
    return None if smallest < MIN_CROP_SIDE else min(CROP_SIDE, smallest // CROP_STEP * CROP_STEP)


def choose_crops(pixels: RGB8, *, count: int = CROP_COUNT) -> tuple[Crop, ...]:
    """Return up to ``count`` crops, the most textured first, no two overlapping by more than half; () when too small.

    The same pixels always give the same crops.
    """
    side = crop_side(pixels)
    if side is None:
        return ()
    height, width = pixels.shape[:2]
    tops = np.unique(np.linspace(0, height - side, _CANDIDATES_A_SIDE).astype(int))
    lefts = np.unique(np.linspace(0, width - side, _CANDIDATES_A_SIDE).astype(int))
    steps = _steps(pixels)
    rated = sorted(
        (-_texture(steps[y : y + side : _STRIDE, x : x + side - 1]), int(y), int(x)) for y in tops for x in lefts
    )
    chosen: list[Crop] = []
    for _, top, left in rated:
        if all(_overlap(top - c.top, left - c.left, side) <= _MAX_OVERLAP for c in chosen):
            part = np.ascontiguousarray(pixels[top : top + side, left : left + side])
            chosen.append(Crop(left=left, top=top, pixels=part))
        if len(chosen) == count:
            break
    return tuple(chosen)


def _steps(pixels: RGB8) -> NDArray[np.uint8]:
    """Return (H, W - 1) steps between horizontal neighbours of the green channel, at most _MOST."""
    green = cv2.extractChannel(np.ascontiguousarray(pixels), 1)
    return np.asarray(np.minimum(cv2.absdiff(green[:, 1:], green[:, :-1]), _MOST), np.uint8)


def _texture(steps: NDArray[np.uint8]) -> float:
    """Return the median step plus a little of the mean, from a histogram: a tenth of the time of sorting."""
    counts = cv2.calcHist([steps], [0], None, [_MOST + 1], [0, _MOST + 1]).ravel()
    total = steps.size
    below = np.cumsum(counts)
    middle = np.searchsorted(below, ((total - 1) // 2, total // 2), side="right")
    return float(middle.mean() + 0.25 * (counts @ np.arange(_MOST + 1)) / total)


def _overlap(dy: int, dx: int, side: int) -> float:
    """Return the share of a crop that another crop, shifted by (dy, dx), covers."""
    return max(0, side - abs(dy)) * max(0, side - abs(dx)) / side**2


def resaved(crops: tuple[Crop, ...], *, quality: int) -> tuple[Crop, ...]:
    """Return the crops after one more JPEG save: the mild change under which evidence should hold."""
    found = []
    for crop in crops:
        data = cv2.imencode(".jpg", crop.pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        pixels = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)[..., ::-1]
        found.append(Crop(left=crop.left, top=crop.top, pixels=np.ascontiguousarray(pixels)))
    return tuple(found)
