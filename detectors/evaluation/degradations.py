"""What happens to a picture between its making and its upload, re-enacted alike for real and generated pictures.

Every function takes pixels and a seeded generator; the same seed gives the same bytes. Modes, after the protocol that
removes the "real = JPEG, generated = PNG" shortcut (Grommelt et al. 2024, arXiv 2403.17608):

    naive    the file as it is
    lastenc  one random last re-encode, the same distribution for both classes
    history  lossless files first get a JPEG of a quality drawn from real files, then as lastenc
    scale    history, with a common random reduction before the last re-encode
    hard     history, the last JPEG between quality 50 and 75
    x, instagram, whatsapp, telegram   reductions and qualities like those of the platforms
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from PIL import Image

from guard.records import RGB8

FIRST_QUALITIES = (75, 80, 85, 90, 92, 95, 96)
"""JPEG qualities of first saves. Source: the most frequent luma-table estimates of the real training files."""
LAST_QUALITY_RANGE = (70, 100)
"""Qualities of the last re-encode in the honest modes, drawn evenly."""
HARD_QUALITY_RANGE = (50, 75)
UNTOUCHED_SHARE = 0.15
"""Share of pictures that are not re-encoded at the end, and share of lossless ones that get no first JPEG."""
SMALLEST_REDUCTION = 0.5
MIN_SIDE_AFTER_REDUCTION = 256
_FILTERS = (Image.Resampling.LANCZOS, Image.Resampling.BICUBIC, Image.Resampling.BILINEAR)


class Mode(StrEnum):
    """Named treatments; see the module text."""

    NAIVE = "naive"
    LAST_ENCODE = "lastenc"
    HISTORY = "history"
    SCALE = "scale"
    HARD = "hard"
    X = "x"
    INSTAGRAM = "instagram"
    WHATSAPP = "whatsapp"
    TELEGRAM = "telegram"


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """How a platform stores an upload: longest side in pixels and JPEG quality.

    Source: own observation of saved copies, rounded; platforms change these without notice, so read "X-like".
    """

    longest_side: int
    quality: int


PLATFORMS = {
    Mode.X: Platform(longest_side=2048, quality=85),
    Mode.INSTAGRAM: Platform(longest_side=1080, quality=75),
    Mode.WHATSAPP: Platform(longest_side=1600, quality=70),
    Mode.TELEGRAM: Platform(longest_side=1280, quality=82),
}


def jpeg_round_trip(pixels: RGB8, *, quality: int, subsampling: int = 2) -> RGB8:
    """Return the pixels after one JPEG save and load; ``subsampling`` as in Pillow (0 = 4:4:4, 2 = 4:2:0)."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality, subsampling=subsampling)
    return np.asarray(Image.open(buffer).convert("RGB"))


def webp_round_trip(pixels: RGB8, *, quality: int) -> RGB8:
    """Return the pixels after one lossy WebP save and load; quality 1..100."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "WEBP", quality=quality, method=2)
    return np.asarray(Image.open(buffer).convert("RGB"))


def first_save(pixels: RGB8, rng: np.random.Generator) -> RGB8:
    """Give a picture without JPEG history the first save that most photographs have had."""
    if rng.random() < UNTOUCHED_SHARE:
        return pixels
    return jpeg_round_trip(pixels, quality=int(rng.choice(FIRST_QUALITIES)), subsampling=int(rng.choice([0, 2, 2])))


def last_save(pixels: RGB8, rng: np.random.Generator, *, qualities: tuple[int, int] = LAST_QUALITY_RANGE) -> RGB8:
    """Re-encode at a quality drawn evenly from ``qualities`` (both ends included), or not at all."""
    if rng.random() < UNTOUCHED_SHARE:
        return pixels
    low, high = qualities
    return jpeg_round_trip(pixels, quality=int(rng.integers(low, high + 1)), subsampling=int(rng.choice([0, 2])))


def reduce(pixels: RGB8, rng: np.random.Generator, *, smallest: float = SMALLEST_REDUCTION) -> RGB8:
    """Reduce by a random factor in [smallest, 1], never below MIN_SIDE_AFTER_REDUCTION."""
    height, width = pixels.shape[:2]
    floor = max(smallest, min(1.0, MIN_SIDE_AFTER_REDUCTION / min(height, width)))
    return resized(pixels, float(rng.uniform(floor, 1.0)), Image.Resampling(int(rng.choice(_FILTERS))))


def resized(pixels: RGB8, factor: float, resampling: Image.Resampling = Image.Resampling.LANCZOS) -> RGB8:
    """Return the picture at ``factor`` times its size; the same array when the factor changes nothing."""
    height, width = pixels.shape[:2]
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    if size == (width, height):
        return pixels
    return np.asarray(Image.fromarray(pixels).resize(size, resampling))


def apply_mode(pixels: RGB8, mode: Mode, rng: np.random.Generator, *, lossless: bool) -> RGB8:
    """Treat one picture.

    Args:
        pixels: (H, W, 3) uint8.
        mode: which treatment.
        rng: seeded; one per picture, so that the order of pictures does not matter.
        lossless: whether the file has no JPEG history yet (PNG, WebP, BMP, TIFF).
    """
    if mode is Mode.NAIVE:
        return pixels
    if mode is not Mode.LAST_ENCODE and lossless:
        pixels = first_save(pixels, rng)
    if mode in PLATFORMS:
        platform = PLATFORMS[mode]
        pixels = resized(pixels, min(1.0, platform.longest_side / max(pixels.shape[:2])))
        return jpeg_round_trip(pixels, quality=platform.quality)
    if mode is Mode.SCALE:
        pixels = reduce(pixels, rng)
    if mode is Mode.HARD:
        low, high = HARD_QUALITY_RANGE
        return jpeg_round_trip(pixels, quality=int(rng.integers(low, high + 1)))
    return last_save(pixels, rng)
