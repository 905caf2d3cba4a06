"""Where in a picture the network finds its artefacts: scores of overlapping windows as a translucent map."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from detectors.crops import Crop
from guard.records import RGB8

WINDOW = 128
"""Side of a window in pixels; smaller ones carry too little texture to score."""
MAX_WINDOWS = 64
"""Most windows a picture: about 0.3 s on one core."""
MAX_SHOWN_SIDE = 560
_BATCH = 16
_OPACITY = 0.55
_RANGE_NATS = 3.0
"""Ratios of -3 to +3 nats span the colours."""

CAPTION = (
    "Where the network finds textures like those of generated pictures (yellow) or of photographs (blue), in windows "
    "of 128 pixels. This is no mask of an edit: it shows where the evidence lies. Below a JPEG quality of about 90, "
    "after resizing and in smooth areas single windows are close to chance (docs/detection.md, heat map)."
)


def window_scores(pixels: RGB8, score: Callable[[tuple[Crop, ...]], NDArray[np.float32]]) -> NDArray[np.float32] | None:
    """Return (rows, columns) float32 scores of overlapping windows, or None when the picture is too small."""
    height, width = pixels.shape[:2]
    if min(height, width) < WINDOW:
        return None
    step = WINDOW // 2
    while _count(height, step) * _count(width, step) > MAX_WINDOWS:
        step += 16
    tops = np.linspace(0, height - WINDOW, _count(height, step)).astype(int)
    lefts = np.linspace(0, width - WINDOW, _count(width, step)).astype(int)
    windows = [
        Crop(left=int(x), top=int(y), pixels=np.ascontiguousarray(pixels[y : y + WINDOW, x : x + WINDOW]))
        for y in tops
        for x in lefts
    ]
    parts = [score(tuple(windows[start : start + _BATCH])) for start in range(0, len(windows), _BATCH)]
    return np.concatenate(parts).reshape(len(tops), len(lefts)).astype(np.float32)


def _count(length: int, step: int) -> int:
    return 1 + max(0, -(-(length - WINDOW) // step))


def heat_picture(pixels: RGB8, llr_nats: NDArray[np.float32]) -> RGB8:
    """Return the picture, reduced, under a colour map of window ratios in nats."""
    height, width = pixels.shape[:2]
    scale = min(1.0, MAX_SHOWN_SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    share = np.clip((llr_nats + _RANGE_NATS) / (2 * _RANGE_NATS), 0, 1).astype(np.float32)
    smooth = np.clip(np.asarray(cv2.resize(share, size, interpolation=cv2.INTER_LINEAR)), 0, 1)
    colours = np.asarray(cv2.applyColorMap((smooth * 255).astype(np.uint8), cv2.COLORMAP_CIVIDIS), np.uint8)[..., ::-1]
    reduced = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
    mixed = _OPACITY * colours.astype(np.float32) + (1 - _OPACITY) * reduced.astype(np.float32)
    return np.ascontiguousarray(mixed.astype(np.uint8))
