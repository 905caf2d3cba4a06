"""Desynchronisation: pixels move - mirror, crop, scale, turn, aspect, shear, perspective, and chains of them."""

from __future__ import annotations

import numpy as np

from guard.robustness import pixels as px
from guard.robustness.attack import Attack, AttackFamily, ladder

_HERE = AttackFamily.DESYNCHRONISATION

ATTACKS: tuple[Attack, ...] = (
    Attack(id="mirror", family=_HERE, change=lambda x, _: px.mirrored(x), required=0.99, quick=True),
    Attack(id="rotate 90", family=_HERE, change=lambda x, _: np.ascontiguousarray(np.rot90(x)), required=0.98),
    *ladder(
        _HERE,
        "resize, factor",
        "resize",
        lambda x, s, _: px.resized(x, s),
        [(0.75, 0.99), (0.5, 0.99), (0.35, None), (0.25, None)],
        quick=[0.5],
    ),
    Attack(
        id="resize 0.5 + JPEG 75",
        family=_HERE,
        change=lambda x, _: px.jpeg(px.resized(x, 0.5), 75),
        required=0.95,
        quick=True,
    ),
    *ladder(
        _HERE,
        "crop, share of the side kept",
        "crop",
        lambda x, s, _: px.cropped(x, s),
        [(0.8, 0.99), (0.5, 0.95), (0.33, 0.80), (0.25, None)],
        quick=[0.8, 0.5],
    ),
    Attack(
        id="crop 0.5 + JPEG 75",
        family=_HERE,
        change=lambda x, _: px.jpeg(px.cropped(x, 0.5), 75),
        required=0.95,
        quick=True,
    ),
    Attack(
        id="crop 0.5 off centre + JPEG 75",
        family=_HERE,
        change=lambda x, _: px.jpeg(px.cropped(x, 0.5, left=0.17, top=0.62), 75),
        required=0.95,
    ),
    *ladder(
        _HERE,
        "rotation, degrees",
        "rotate",
        lambda x, s, _: px.rotated(x, s),
        [(5, 0.99), (17, 0.98), (45, 0.98), (133, 0.98)],
        quick=[5],
    ),
    *ladder(
        _HERE,
        "aspect, factor on the width",
        "aspect",
        lambda x, s, _: px.resized(x, s, 1.0) if s < 1 else px.resized(x, 1.0, 1 / s),
        [(0.75, 0.95), (0.9, 0.95), (1.33, 0.95)],
        quick=[0.9],
    ),
    Attack(id="aspect 0.8 + crop 0.8", family=_HERE, change=lambda x, _: px.cropped(px.resized(x, 0.8, 1.0), 0.8)),
    *ladder(
        _HERE,
        "perspective, % of the width at either end",
        "perspective",
        lambda x, s, _: px.tilted(x, s / 100),
        [(1.5, None), (3, 0.80), (5, None)],
        quick=[3],
    ),
    Attack(id="shear 3 %", family=_HERE, change=lambda x, _: px.sheared(x, 0.03)),
    Attack(id="canvas twice as wide", family=_HERE, change=lambda x, _: px.pasted(x, 2.0)),
    Attack(
        id="crop 0.7 + enlarge 1.3 + JPEG 75",
        family=_HERE,
        change=lambda x, _: px.jpeg(px.resized(px.cropped(x, 0.7), 1.3), 75),
        required=0.98,
    ),
    Attack(
        id="rotate 3 + crop 0.85 + reduce 0.8 + JPEG 70",
        family=_HERE,
        change=lambda x, _: px.jpeg(px.resized(px.cropped(px.rotated(x, 3), 0.85), 0.8), 70),
        required=0.98,
    ),
)
"""Required shares: the acceptance of docs/watermark.md."""
