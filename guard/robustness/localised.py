"""Localised edits: parts of the picture are covered, blurred or filled in; the rest stays."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from guard.records import RGB8
from guard.robustness.attack import Attack, AttackFamily

_HERE = AttackFamily.LOCALISED


def _ellipses(shape: tuple[int, ...], share: float, seed: int, *, count: int = 3) -> NDArray[np.uint8]:
    """Return (H, W) uint8, 255 inside ``count`` face-sized ellipses of together about ``share`` of the area."""
    height, width = shape[:2]
    rng = np.random.default_rng(seed)
    mask = np.zeros((height, width), np.uint8)
    radius = np.sqrt(share * height * width / count / np.pi)
    for _ in range(count):
        centre = (int(rng.uniform(0.2, 0.8) * width), int(rng.uniform(0.2, 0.8) * height))
        cv2.ellipse(mask, centre, (max(2, int(radius * 0.87)), max(2, int(radius * 1.15))), 0, 0, 360, 255, -1)
    return mask


def blurred_faces(pixels: RGB8, share: float, seed: int) -> RGB8:
    """Return the picture with three face-sized ellipses, together ``share`` of the area, blurred beyond recognition."""
    mask = _ellipses(pixels.shape, share, seed)[..., None] > 0
    soft = cv2.GaussianBlur(pixels, (0, 0), max(pixels.shape[:2]) / 40)
    return np.where(mask, soft, pixels)


def stickers(pixels: RGB8, share: float, seed: int) -> RGB8:
    """Return the picture with three opaque one-coloured discs of together ``share`` of the area."""
    mask = _ellipses(pixels.shape, share, seed + 1)[..., None] > 0
    colour = np.random.default_rng(seed).integers(0, 256, 3).astype(np.uint8)
    return np.where(mask, colour, pixels)


def captioned(pixels: RGB8, _: int) -> RGB8:
    """Return the picture with a white caption bar (14 % of the height) and black text over its lower edge."""
    out = pixels.copy()
    height, width = out.shape[:2]
    bar = max(8, round(height * 0.14))
    out[height - bar :] = 255
    place = (width // 30, height - bar // 3)
    cv2.putText(out, "when you see it", place, cv2.FONT_HERSHEY_SIMPLEX, bar / 50, (0, 0, 0), max(1, bar // 20))
    return out


def inpainted(pixels: RGB8, share: float, seed: int) -> RGB8:
    """Return the picture with one ellipse of ``share`` of the area filled in from its surroundings.

    Done at a quarter of the size (diffusion from the border, Telea 2004) and enlarged: the fill is smooth, like that
    of editing programs, and carries no mark.
    """
    mask = _ellipses(pixels.shape, share, seed + 2, count=1)
    height, width = pixels.shape[:2]
    small = (max(8, width // 4), max(8, height // 4))
    reduced = cv2.resize(pixels, small, interpolation=cv2.INTER_AREA)
    holes = cv2.resize(mask, small, interpolation=cv2.INTER_NEAREST)
    filled = cv2.resize(cv2.inpaint(reduced, holes, 3, cv2.INPAINT_TELEA), (width, height))
    return np.where(mask[..., None] > 0, filled, pixels)


ATTACKS: tuple[Attack, ...] = (
    Attack(id="faces blurred, 15 %", family=_HERE, change=lambda x, s: blurred_faces(x, 0.15, s), quick=True),
    Attack(id="stickers, 15 %", family=_HERE, change=lambda x, s: stickers(x, 0.15, s), quick=True),
    Attack(id="stickers, 40 %", family=_HERE, change=lambda x, s: stickers(x, 0.40, s)),
    Attack(id="caption bar", family=_HERE, change=captioned, quick=True),
    Attack(id="inpainted, 20 %", family=_HERE, change=lambda x, s: inpainted(x, 0.20, s)),
)
