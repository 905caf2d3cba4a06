"""In-place processing: every pixel stays where it is - noise, filters, recompression, format changes, tone."""

from __future__ import annotations

import cv2
import numpy as np

from guard.records import RGB8
from guard.robustness import pixels as px
from guard.robustness.attack import Attack, AttackFamily, ladder

_HERE = AttackFamily.IN_PLACE


def salted(pixels: RGB8, share: float, seed: int) -> RGB8:
    """Return the picture with a share of its pixels set to black or white."""
    rng = np.random.default_rng(seed)
    chance = rng.random(pixels.shape[:2])
    out = pixels.copy()
    out[chance < share / 2] = 0
    out[chance > 1 - share / 2] = 255
    return out


def recompressed(pixels: RGB8, times: int) -> RGB8:
    """Return the picture after so many JPEG saves at falling qualities, shifted by a pixel each time."""
    for index in range(times):
        pixels = px.jpeg(np.roll(pixels, 1, axis=index % 2), 85 - 3 * index)
    return pixels


def screenshot(pixels: RGB8) -> RGB8:
    """Return the picture as a screen shows it reduced, captured and saved: 87 % of the size, JPEG 80."""
    return px.jpeg(px.resized(pixels, 0.87), 80)


ATTACKS: tuple[Attack, ...] = (
    Attack(id="none", family=_HERE, change=lambda x, _: x, required=0.99, quick=True),
    *ladder(
        _HERE,
        "JPEG quality",
        "JPEG",
        lambda x, s, _: px.jpeg(x, int(s)),
        [(90, 0.99), (75, 0.99), (50, 0.99), (25, 0.95), (10, 0.60)],
        quick=[75, 25],
    ),
    *ladder(
        _HERE,
        "WebP quality",
        "WebP",
        lambda x, s, _: px.webp(x, int(s)),
        [(80, 0.99), (50, None), (20, None)],
        quick=[80],
    ),
    *ladder(_HERE, "AVIF quality", "AVIF", lambda x, s, _: px.avif(x, int(s)), [(60, None), (40, None), (20, None)]),
    *ladder(
        _HERE,
        "noise, levels",
        "noise",
        lambda x, s, seed: px.noisy(x, s, seed),
        [(10, 0.99), (25, None), (40, None)],
        quick=[10],
    ),
    Attack(id="salt and pepper 3 %", family=_HERE, change=lambda x, seed: salted(x, 0.03, seed)),
    *ladder(
        _HERE,
        "blur, px",
        "blur",
        lambda x, s, _: px.blurred(x, s),
        [(1.5, 0.99), (2, None), (3, None)],
        quick=[1.5],
    ),
    Attack(id="median 5 px", family=_HERE, change=lambda x, _: np.asarray(cv2.medianBlur(x, 5))),
    Attack(id="sharpen", family=_HERE, change=lambda x, _: px.sharpened(x, 1.0)),
    *ladder(
        _HERE,
        "brightness, factor",
        "brightness",
        lambda x, s, _: px.brightened(x, s),
        [(0.6, None), (1.3, 0.99), (1.6, None)],
        quick=[1.3],
    ),
    Attack(id="contrast 0.6", family=_HERE, change=lambda x, _: px.contrasted(x, 0.6)),
    Attack(id="gamma 1.5", family=_HERE, change=lambda x, _: px.gamma_corrected(x, 1.5)),
    Attack(id="grey", family=_HERE, change=lambda x, _: px.grey(x)),
    Attack(id="64 colours", family=_HERE, change=lambda x, _: px.palette(x, 64)),
    Attack(id="JPEG five times", family=_HERE, change=lambda x, _: recompressed(x, 5)),
    Attack(id="screenshot", family=_HERE, change=lambda x, _: screenshot(x), required=0.99, quick=True),
)
"""Required shares: the acceptance of docs/watermark.md."""
