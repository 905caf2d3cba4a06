"""What a marked picture is put through before it is released: the attacks whose outcome decides the strength.

``TRIALS`` say how strong the mark must be as a whole; ``PROMISES`` say how far the ceiling of flat areas may be lifted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

import cv2
import numpy as np

from guard.records import RGB8

LOWEST_PSNR_DB = 40.1
"""Never stronger, whatever a trial says."""

Attack: TypeAlias = Callable[[RGB8], RGB8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """An attack that the mark should survive.

    Attributes:
        attack: what is done to the marked picture; it must keep the centre where it is.
        target_z: z over all lit lines to reach; from about 15 on words decode (measured: docs/watermark.md).
        floor_db: the PSNR below which this trial may not push the strength.
        reduction: by what the attack divides the px per canonical px.
    """

    attack: Attack = field(repr=False)
    target_z: float
    floor_db: float
    reduction: float = 1.0


def _coded(pixels: RGB8, suffix: str, parameter: int, quality: int) -> RGB8:
    """Return the picture after a lossy round trip; in OpenCV's channel order, or its luma would be another."""
    done, data = cv2.imencode(suffix, cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), [parameter, quality])
    return np.asarray(cv2.cvtColor(cv2.imdecode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)) if done else pixels


def _jpeg(pixels: RGB8, quality: int) -> RGB8:
    """Return the picture after a JPEG round trip (4:2:0)."""
    return _coded(pixels, ".jpg", cv2.IMWRITE_JPEG_QUALITY, quality)


def _webp(pixels: RGB8, quality: int) -> RGB8:
    """Return the picture after a lossy WebP round trip."""
    return _coded(pixels, ".webp", cv2.IMWRITE_WEBP_QUALITY, quality)


def _middle(pixels: RGB8, side: float) -> RGB8:
    """Return the middle ``side`` of either side."""
    height, width = pixels.shape[:2]
    top, left = round(height * (1 - side) / 2), round(width * (1 - side) / 2)
    return np.ascontiguousarray(pixels[top : height - top, left : width - left])


def _reduced(pixels: RGB8, factor: float) -> RGB8:
    """Return the picture made smaller."""
    height, width = pixels.shape[:2]
    size = (round(width * factor), round(height * factor))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA))


def _brightened(pixels: RGB8) -> RGB8:
    """Return the picture times 1.3; what was nearly white loses its mark."""
    return np.asarray(cv2.convertScaleAbs(pixels, alpha=1.3))


TRIALS = (
    Trial(attack=lambda x: _jpeg(_middle(x, 0.5), 75), target_z=19.0, floor_db=LOWEST_PSNR_DB),
    Trial(attack=lambda x: _jpeg(_reduced(x, 0.5), 75), target_z=19.0, floor_db=41.5, reduction=2.0),
    Trial(attack=_brightened, target_z=19.0, floor_db=LOWEST_PSNR_DB),
    Trial(attack=lambda x: _middle(x, 0.34), target_z=18.0, floor_db=42.7),
    Trial(attack=lambda x: _jpeg(x, 10), target_z=16.0, floor_db=44.0),
)
TRIALS_SMALL = (
    Trial(attack=lambda x: _reduced(_jpeg(x, 75), 0.7), target_z=17.5, floor_db=LOWEST_PSNR_DB, reduction=1 / 0.7),
    Trial(attack=_brightened, target_z=18.0, floor_db=LOWEST_PSNR_DB),
    Trial(attack=lambda x: _jpeg(_middle(x, 0.8), 75), target_z=16.0, floor_db=42.0),
    Trial(attack=lambda x: _jpeg(_reduced(x, 0.7), 75), target_z=15.0, floor_db=42.5, reduction=1 / 0.7),
    Trial(attack=lambda x: _jpeg(x, 50), target_z=14.0, floor_db=43.0),
)
"""What decides the strength. Source: the required rates in docs/watermark.md; 14 to 19 leave up to 2 dB spare."""

PROMISES: tuple[tuple[Attack, ...], ...] = (
    (lambda x: _webp(x, 80), lambda x: _jpeg(x, 50)),
    (lambda x: _jpeg(x, 75),),
)
PROMISES_SMALL: tuple[tuple[Attack, ...], ...] = (
    (lambda x: _webp(x, 80), lambda x: _jpeg(x, 50)),
    (lambda x: _jpeg(x, 50),),
    (lambda x: _jpeg(x, 75), lambda x: _reduced(_jpeg(x, 75), 0.7)),
)
"""What flat areas must not cost, hardest first: the ceiling is lifted until the word reads after the first set that can
be kept. JPEG 25 is no promise: drawings alone need it, and it would double the grain that is seen on them. Measured:
docs/watermark.md, "Visibility"."""
