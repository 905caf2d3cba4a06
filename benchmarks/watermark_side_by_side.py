"""Draws the blind side-by-side picture of docs/watermark-blind.md: 200 % crops, marked left or right by a fixed toss.

::

    python -m benchmarks.watermark_side_by_side --out docs/images/watermark-blind.png

Uses scikit-image's sample pictures and drawings, so anyone can repeat it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from skimage import data

from guard.records import RGB8, ImageID
from guard.robustness.samples import drawing, shaped
from guard.watermark.codec import LatticeWatermarker

SIDE = 190
_TOSS_SEED = 2026


def scenes() -> list[tuple[RGB8, int, int]]:
    """Return (picture, top, left) of the flattest interesting place of each."""
    ramp = np.repeat(np.tile(np.linspace(60, 200, 512), (512, 1))[..., None], 3, axis=2)
    astronaut = shaped(Image.fromarray(data.astronaut()), 512, 512)
    rocket = shaped(Image.fromarray(data.rocket()), 640, 427)
    coffee = shaped(Image.fromarray(data.coffee()), 600, 400)
    return [
        (drawing(4, 512), 110, 110),
        (drawing(10, 512), 0, 0),
        (np.rint(ramp).astype(np.uint8), 100, 200),
        (astronaut, 0, 320),
        (rocket, 20, 40),
        (coffee, 10, 10),
    ]


def main() -> None:
    """Draw the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    codec = LatticeWatermarker(bytes(range(32)))
    toss = np.random.default_rng(_TOSS_SEED).integers(0, 2, len(scenes()))
    rows = []
    for (pixels, top, left), right in zip(scenes(), toss, strict=True):
        marked = codec.embed(pixels, ImageID("00112233445566ff"))
        part = np.s_[top : top + SIDE, left : left + SIDE]
        pair = (pixels[part], marked[part]) if right else (marked[part], pixels[part])
        gap = np.full((SIDE, 6, 3), 128, np.uint8)
        row = np.concatenate([pair[0], gap, pair[1]], axis=1)
        rows.append(cv2.resize(row, None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST))
    left_column, right_column = np.concatenate(rows[:3]), np.concatenate(rows[3:])
    gap = np.full((left_column.shape[0], 24, 3), 128, np.uint8)
    Image.fromarray(np.concatenate([left_column, gap, right_column], axis=1)).save(arguments.out, optimize=True)
    print("marked:", ", ".join("right" if right else "left" for right in toss))


if __name__ == "__main__":
    main()
