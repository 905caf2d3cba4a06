"""Pictures and attacks for the watermark tests; nothing is downloaded."""

import io

import numpy as np
from PIL import Image, ImageDraw
from skimage import data

from guard.records import RGB8

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


def jpeg(pixels: RGB8, quality: int) -> RGB8:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer).convert("RGB"))


def webp(pixels: RGB8, quality: int) -> RGB8:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "WEBP", quality=quality)
    return np.asarray(Image.open(buffer).convert("RGB"))


def resized(pixels: RGB8, across: float, down: float | None = None) -> RGB8:
    height, width = pixels.shape[:2]
    size = (round(width * across), round(height * (across if down is None else down)))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC))


def cropped(pixels: RGB8, side: float, *, left: float = 0.5, top: float = 0.5) -> RGB8:
    height, width = pixels.shape[:2]
    rows, columns = round(height * side), round(width * side)
    y, x = round((height - rows) * top), round((width - columns) * left)
    return np.ascontiguousarray(pixels[y : y + rows, x : x + columns])


def rotated(pixels: RGB8, degrees: float) -> RGB8:
    return np.asarray(Image.fromarray(pixels).rotate(degrees, Image.Resampling.BICUBIC))


def clipped(values: np.ndarray) -> RGB8:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def noisy(pixels: RGB8, sigma: float, seed: int = 0) -> RGB8:
    return clipped(pixels + np.random.default_rng(seed).normal(0, sigma, pixels.shape))


def psnr(a: RGB8, b: RGB8) -> float:
    return float(10 * np.log10(255**2 / np.mean((a.astype(np.float64) - b) ** 2)))
