"""Adversarial processing that works on pixels alone: removal by denoising and by regeneration through an autoencoder.

Copying, averaging forgery and marking twice need more than one picture or the codec: ``forgery.py``.
"""

from __future__ import annotations

import cv2
import numpy as np

from guard.records import RGB8
from guard.robustness import pixels as px
from guard.robustness.attack import Attack, AttackFamily

_HERE = AttackFamily.ADVERSARIAL


def edge_preserving(pixels: RGB8) -> RGB8:
    """Return the picture under a bilateral filter (9 px, 30 levels, 5 px): flat parts are smoothed, edges stay."""
    return np.asarray(cv2.bilateralFilter(pixels, 9, 30, 5))


def non_local_means(pixels: RGB8, strength: float = 5.0) -> RGB8:
    """Return the picture denoised by non-local means (strength in levels, 7 px patches, 15 px search)."""
    return np.asarray(cv2.fastNlMeansDenoisingColored(pixels, None, strength, strength, 7, 15))


def jittered(pixels: RGB8, seed: int) -> RGB8:
    """Return the picture bent by a smooth random field of up to about 1 px (StirMark-like), bicubic.

    Source: Petitcolas, Anderson and Kuhn 1998, "Attacks on copyright marking systems", section 3.4. Differs: the
    field is a blurred normal one.
    """
    rng = np.random.default_rng(seed)
    height, width = pixels.shape[:2]
    y, x = np.indices((height, width), dtype=np.float32)
    for axis in (x, y):
        field = cv2.GaussianBlur(rng.normal(0, 1, (height, width)).astype(np.float32), (0, 0), 24)
        axis += field / max(float(np.abs(field).max()), 1e-6)
    return np.asarray(cv2.remap(pixels, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT))


ATTACKS: tuple[Attack, ...] = (
    Attack(id="bilateral filter", family=_HERE, change=lambda x, _: edge_preserving(x), quick=True),
    Attack(id="non-local means", family=_HERE, change=lambda x, _: non_local_means(x)),
    Attack(id="noise 15 + non-local means", family=_HERE, change=lambda x, s: non_local_means(px.noisy(x, 15, s), 12)),
    Attack(id="bent by 1 px", family=_HERE, change=jittered),
)
