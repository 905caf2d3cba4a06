"""How an image checker looks at a picture more than once, so that a small region cannot hide.

A detector sees its input at a few hundred pixels: what covers 5 % of the width of a large picture is gone by then.
``views`` returns the whole picture and overlapping squares that together cover it, at most MAX_VIEWS in all, for
models with a fixed square input. ``scalings`` is for models that take any size: the whole picture, and once more about
as large as in those squares, without their overlaps and seams.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from guard.records import RGB8

MAX_VIEWS = 13
"""The whole and 12 squares; each costs one run of the detector."""
OVERLAP = 0.25
"""Share by which neighbouring squares overlap: what is up to a quarter of a square wide lies whole in one of them."""
CROP_FROM = 1.6
"""Squares are added when the longer side is at least this many times the detector's input (scale loss above 1.6)."""

SHARPER = 0.88
"""How much finer than in the squares the second of ``scalings`` is: a square's overlaps show a thing up to four times,
in one pass it gets one chance. Measured: one face of 60-110 px in 1400 x 1024, 192 placements on two backgrounds,
is found at 0.4 in 56 % with the whole and squares, 57 % with this factor, 46 % with 1 (all scaled with a triangle
filter; averaging over areas, which takes a quarter less time, gave 53 % where the triangle gave 55); it takes 85 % of
the squares' time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageView:
    """A rectangle of the picture; ``x`` and ``y`` are its top left corner in the picture, in pixels."""

    pixels: RGB8
    x: int
    y: int


def views(pixels: RGB8, *, input_px: int) -> list[ImageView]:
    """Return the whole picture first, then overlapping squares.

    Args:
        pixels: (H, W, 3) uint8.
        input_px: side of the detector's square input.
    """
    height, width = pixels.shape[:2]
    found = [ImageView(pixels=pixels, x=0, y=0)]
    if max(height, width) < CROP_FROM * input_px:
        return found
    side = _side(height, width)
    for y in _starts(height, side):
        for x in _starts(width, side):
            tile = np.ascontiguousarray(pixels[y : y + side, x : x + side])
            found.append(ImageView(pixels=tile, x=x, y=y))
    return found


def scalings(pixels: RGB8, *, input_px: int) -> list[tuple[RGB8, float]]:
    """Return the picture at one or two smaller sizes, each with its picture pixels per pixel.

    Each size is an average over all pixels, never a selection of them: a picture made to look different after point
    sampling (Xiao et al. 2019, "Seeing is Not Believing", sec. 4) has nothing to hide in. The smallest size is made
    from the middle one, which costs a third of making it from the picture.

    Args:
        pixels: (H, W, 3) uint8.
        input_px: longer side of the smallest size.
    """
    height, width = pixels.shape[:2]
    coarse = max(height, width) / input_px
    scales = [coarse]
    if max(height, width) >= CROP_FROM * input_px:
        scales.insert(0, max(1.0, SHARPER * _side(height, width) / input_px))
    found = []
    smaller = pixels
    for scale in scales:
        size = (max(1, round(width / scale)), max(1, round(height / scale)))
        smaller = np.asarray(cv2.resize(smaller, size, interpolation=cv2.INTER_AREA), np.uint8)
        found.append((smaller, scale))
    return found[::-1]


def _side(height: int, width: int) -> int:
    """Return the largest square side that gives at least two squares along the longer side and few enough in all."""
    side = min(height, width, round(max(height, width) * 0.6))
    while len(_starts(height, side)) * len(_starts(width, side)) > MAX_VIEWS - 1:
        side = round(side * 1.1)
    return side


def _starts(length: int, side: int) -> list[int]:
    """Return evenly spaced starts of squares that cover a length and overlap by at least OVERLAP."""
    if side >= length:
        return [0]
    count = 1 + int(np.ceil((length - side) / (side * (1.0 - OVERLAP))))
    return [round(i * (length - side) / (count - 1)) for i in range(count)]
