"""Pictures for the watermark tests, and the changes of ``guard.robustness.pixels`` by name; nothing is downloaded."""

import numpy as np
from PIL import Image, ImageDraw
from skimage import data

from guard.records import RGB8
from guard.robustness.pixels import clipped, cropped, jpeg, noisy, resized, rotated, webp
from guard.robustness.quality import psnr_db as psnr

__all__ = ["KEY", "clipped", "cropped", "drawing", "jpeg", "noisy", "photo", "psnr", "resized", "rotated", "webp"]
KEY = bytes(range(32))


def photo(name: str, size: tuple[int, int]) -> RGB8:
    """A scikit-image sample picture at (width, height)."""
    return np.asarray(Image.fromarray(getattr(data, name)()).convert("RGB").resize(size, Image.Resampling.LANCZOS))


def drawing(seed: int, size: int = 256) -> RGB8:
    """Flat shapes on a plain background, like the embedded generator's simplest pictures."""
    rng = np.random.default_rng(seed)
    colours = [tuple(int(c) for c in rng.integers(20, 236, 3)) for _ in range(4)]
    image = Image.new("RGB", (size, size), colours[0])
    draw = ImageDraw.Draw(image)
    for colour in colours[1:]:
        x, y, r = (int(v) for v in rng.integers(size // 8, size // 2, 3))
        box = (x, y, x + r, y + r)
        (draw.ellipse if rng.random() < 0.5 else draw.rectangle)(box, fill=colour)
    return np.asarray(image)
