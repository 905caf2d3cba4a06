"""The analogue hole, simulated: printed and scanned, or photographed from a screen.

What each simulation does is written out below; it is a model, not a measurement with a printer or a phone.
"""

from __future__ import annotations

import cv2
import numpy as np

from guard.records import RGB8
from guard.robustness import pixels as px
from guard.robustness.attack import Attack, AttackFamily

_HERE = AttackFamily.ANALOGUE_HOLE


def printed_and_scanned(pixels: RGB8, seed: int) -> RGB8:
    """Return the picture as a home printer and a flat-bed scanner give it back.

    Ink (gamma 1.15, contrast 0.85), halftone (4 px period at 1.5 times the size), turn by up to 1 degree, paper grain
    (sigma 5 levels, 1 px), scanner blur (0.8 px), JPEG 85.
    """
    rng = np.random.default_rng(seed)
    ink = px.contrasted(px.gamma_corrected(pixels, 1.15), 0.85)
    big = px.resized(ink, 1.5).astype(np.float32)
    y, x = np.indices(big.shape[:2])
    screen = np.cos(2 * np.pi * (x + y) / 4 / np.sqrt(2)) * np.cos(2 * np.pi * (x - y) / 4 / np.sqrt(2))
    big += 18 * screen[..., None].astype(np.float32)
    turned = px.rotated(px.clipped(big), float(rng.uniform(-1, 1)))
    grain = cv2.GaussianBlur(rng.normal(0, 1, turned.shape[:2]).astype(np.float32), (0, 0), 1.0)
    paper = turned + (5 / max(float(grain.std()), 1e-6)) * grain[..., None]
    return px.jpeg(px.resized(px.blurred(px.clipped(paper), 0.8), 1 / 1.5), 85)


def photographed_from_screen(pixels: RGB8, seed: int, *, tilt: float = 0.015) -> RGB8:
    """Return the picture as a phone held in front of a monitor records it.

    Corners moved by up to ``tilt`` of the sides, moire (two slow gratings of +-6 levels), vignette (15 % at the
    corners), gamma 0.9, blur (0.9 px), noise (sigma 4 levels), JPEG 80.
    """
    rng = np.random.default_rng(seed)
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) + rng.uniform(-tilt, tilt, (4, 2))
    seen = px.projected(pixels, corners).astype(np.float32)
    height, width = pixels.shape[:2]
    y, x = np.indices((height, width), dtype=np.float32)
    for _ in range(2):
        angle, period = rng.uniform(0, np.pi), rng.uniform(9, 30)
        phase = 2 * np.pi * (x * np.cos(angle) + y * np.sin(angle)) / period
        seen += (6 * np.cos(phase + rng.uniform(0, 2 * np.pi)))[..., None].astype(np.float32)
    distance = ((x / width - 0.5) ** 2 + (y / height - 0.5) ** 2) / 0.5
    seen *= (1 - 0.15 * distance)[..., None]
    camera = px.blurred(px.gamma_corrected(px.clipped(seen), 0.9), 0.9)
    return px.jpeg(px.noisy(camera, 4, seed), 80)


ATTACKS: tuple[Attack, ...] = (
    Attack(id="print and scan", family=_HERE, change=printed_and_scanned, quick=True),
    Attack(id="screen and camera", family=_HERE, change=photographed_from_screen, quick=True),
    Attack(
        id="screen and camera, tilted 3 %",
        family=_HERE,
        change=lambda x, seed: photographed_from_screen(x, seed, tilt=0.03),
    ),
)
