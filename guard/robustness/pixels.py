"""Elementary changes of (H, W, 3) uint8 pictures from which the attacks are made; all pure and deterministic.

Crops are by *side*: 0.5 keeps half of either side, a quarter of the area.
"""

from __future__ import annotations

import io

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from guard.errors import ConfigError
from guard.records import RGB8


def clipped(values: NDArray[np.floating]) -> RGB8:
    """Return values rounded and clipped to 8 bits."""
    return np.asarray(np.clip(np.rint(values), 0, 255), dtype=np.uint8)


def coded(pixels: RGB8, kind: str, quality: int) -> RGB8:
    """Return the picture after one round trip through a lossy format of Pillow (``JPEG`` with 4:2:0 chroma).

    Raises:
        ConfigError: this Pillow was built without the format.
    """
    buffer = io.BytesIO()
    try:
        Image.fromarray(pixels).save(buffer, kind, quality=quality)
    except (KeyError, OSError) as exc:
        raise ConfigError(
            f"Pillow cannot write {kind} here.", next_step="Install a Pillow wheel with that format, or leave it out."
        ) from exc
    with Image.open(buffer) as image:
        return np.asarray(image.convert("RGB"))


def jpeg(pixels: RGB8, quality: int) -> RGB8:
    """Return the picture after Pillow's JPEG (4:2:0) at a quality of 1 to 100."""
    return coded(pixels, "JPEG", quality)


def webp(pixels: RGB8, quality: int) -> RGB8:
    """Return the picture after lossy WebP at a quality of 1 to 100."""
    return coded(pixels, "WEBP", quality)


def avif(pixels: RGB8, quality: int) -> RGB8:
    """Return the picture after AVIF at a quality of 1 to 100."""
    return coded(pixels, "AVIF", quality)


def palette(pixels: RGB8, colours: int) -> RGB8:
    """Return the picture in so many colours with error diffusion, as a GIF or 8-bit PNG keeps it."""
    indexed = Image.fromarray(pixels).quantize(colours, dither=Image.Dither.FLOYDSTEINBERG)
    return np.asarray(indexed.convert("RGB"))


def resized(pixels: RGB8, across: float, down: float | None = None) -> RGB8:
    """Return the picture resized bicubically by factors of its sides; ``down`` defaults to ``across``."""
    height, width = pixels.shape[:2]
    size = (max(1, round(width * across)), max(1, round(height * (across if down is None else down))))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC))


def cropped(pixels: RGB8, side: float, *, left: float = 0.5, top: float = 0.5) -> RGB8:
    """Return ``side`` of either side, from a place given as shares of the free room (0.5: the middle)."""
    height, width = pixels.shape[:2]
    rows, columns = max(1, round(height * side)), max(1, round(width * side))
    y, x = round((height - rows) * top), round((width - columns) * left)
    return np.ascontiguousarray(pixels[y : y + rows, x : x + columns])


def rotated(pixels: RGB8, degrees: float) -> RGB8:
    """Return the picture turned counter-clockwise inside its own frame, black corners."""
    return np.asarray(Image.fromarray(pixels).rotate(degrees, Image.Resampling.BICUBIC))


def mirrored(pixels: RGB8) -> RGB8:
    """Return the picture mirrored left to right."""
    return np.ascontiguousarray(pixels[:, ::-1])


def noisy(pixels: RGB8, sigma: float, seed: int = 0) -> RGB8:
    """Return the picture plus white Gaussian noise of ``sigma`` levels on every channel."""
    return clipped(pixels + np.random.default_rng(seed).normal(0, sigma, pixels.shape))


def blurred(pixels: RGB8, sigma: float) -> RGB8:
    """Return the picture under a Gaussian blur of ``sigma`` px."""
    return np.asarray(cv2.GaussianBlur(pixels, (0, 0), sigma))


def brightened(pixels: RGB8, factor: float) -> RGB8:
    """Return the picture times a factor."""
    return clipped(pixels.astype(np.float32) * factor)


def contrasted(pixels: RGB8, factor: float) -> RGB8:
    """Return the picture with its distance from mid grey (128) times a factor."""
    return clipped((pixels.astype(np.float32) - 128) * factor + 128)


def gamma_corrected(pixels: RGB8, gamma: float) -> RGB8:
    """Return the picture raised to a power, both ends fixed."""
    table = clipped(255 * (np.arange(256) / 255) ** gamma)
    return np.asarray(cv2.LUT(pixels, table))


def grey(pixels: RGB8) -> RGB8:
    """Return the picture without colour."""
    return np.repeat(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)


def sharpened(pixels: RGB8, amount: float) -> RGB8:
    """Return the picture under unsharp masking (radius 2 px)."""
    soft = cv2.GaussianBlur(pixels, (0, 0), 2.0)
    return np.asarray(cv2.addWeighted(pixels, 1 + amount, soft, -amount, 0))


def projected(pixels: RGB8, corners: NDArray[np.floating]) -> RGB8:
    """Return the picture as seen through a homography, inside its own frame, black outside.

    Args:
        pixels: (H, W, 3) uint8.
        corners: (4, 2) where the corners (left top, right top, right bottom, left bottom) go, as shares of the sides.
    """
    height, width = pixels.shape[:2]
    unit = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)
    size = np.array([width, height], np.float32)
    matrix = cv2.getPerspectiveTransform(unit * size, (corners * size).astype(np.float32))
    return np.asarray(cv2.warpPerspective(pixels, matrix, (width, height), flags=cv2.INTER_CUBIC))


def tilted(pixels: RGB8, share: float) -> RGB8:
    """Return the picture with its upper edge narrowed by ``share`` of the width at either end."""
    return projected(pixels, np.array([[share, 0], [1 - share, 0], [1, 1], [0, 1]]))


def sheared(pixels: RGB8, share: float) -> RGB8:
    """Return the picture with its upper edge moved sideways by ``share`` of the height, black outside."""
    height, width = pixels.shape[:2]
    matrix = np.array([[1, -share, share * height / 2], [0, 1, 0]], np.float64)
    return np.asarray(cv2.warpAffine(pixels, matrix, (width, height), flags=cv2.INTER_CUBIC))


def pasted(pixels: RGB8, factor: float) -> RGB8:
    """Return the picture in the middle of a light grey canvas ``factor`` times as wide and high."""
    height, width = pixels.shape[:2]
    rows, columns = round(height * factor), round(width * factor)
    canvas = np.full((rows, columns, 3), 230, np.uint8)
    y, x = (rows - height) // 2, (columns - width) // 2
    canvas[y : y + height, x : x + width] = pixels
    return canvas
