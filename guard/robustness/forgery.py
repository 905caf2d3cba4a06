"""Attacks that need several marked pictures: copying a mark, averaging, marking twice; and whether confirmation holds.

The mark is an index, not proof (docs/watermark.md): these attacks are *expected* to move a mark onto another picture.
What must hold is the second line: the forged picture does not look like the one registered under the id that it shows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from guard.errors import RequestError
from guard.fingerprint import Match, compare
from guard.interfaces import Watermarker
from guard.records import RGB8, Fingerprints, ImageID
from guard.robustness.attack import Attack, AttackFamily
from guard.robustness.pixels import clipped


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgeryTally:
    """How many forgeries got how far.

    Attributes:
        tried: pictures onto which a mark was put.
        read: of these, the detector accepted some registered id.
        confirmed: of these, the fingerprint comparison agreed: a successful forgery.
    """

    tried: int
    read: int
    confirmed: int


def residual(marked: RGB8, *, sigma: float = 2.0) -> NDArray[np.float32]:
    """Return (H, W) float32 of what an attacker takes for the mark: luma less its blur."""
    luma = cv2.cvtColor(marked, cv2.COLOR_RGB2GRAY).astype(np.float32)
    return np.asarray(luma - cv2.GaussianBlur(luma, (0, 0), sigma))


def estimated_mark(marked: Iterable[RGB8], *, size: tuple[int, int] = (512, 512)) -> NDArray[np.float32]:
    """Return the mean residual of many marked pictures, brought to one (width, height), unit root mean square.

    Source: "Can simple averaging defeat modern watermarks?", NeurIPS 2024.

    Raises:
        RequestError: no picture was given.
    """
    total = np.zeros(size[::-1], np.float32)
    count = 0
    for pixels in marked:
        detail = cv2.resize(residual(pixels), size, interpolation=cv2.INTER_AREA)
        total += detail / (np.sqrt(cv2.GaussianBlur(detail * detail, (0, 0), 4.0)) + 2.0)
        count += 1
    if count == 0:
        raise RequestError("Averaging needs at least one marked picture.", next_step="Give some.")
    return np.asarray(total / (float(np.sqrt((total * total).mean())) + 1e-12))


def forged(pixels: RGB8, mark: NDArray[np.float32], *, strength: float = 2.0) -> RGB8:
    """Return a picture with an estimated mark added, root mean square ``strength`` levels."""
    height, width = pixels.shape[:2]
    fitted = cv2.resize(mark, (width, height), interpolation=cv2.INTER_CUBIC)
    fitted = fitted * (strength / (float(np.sqrt((fitted * fitted).mean())) + 1e-12))
    return clipped(pixels + fitted[..., None])


def confirm_forgeries(
    codec: Watermarker, pictures: Iterable[RGB8], registry: dict[ImageID, Fingerprints]
) -> ForgeryTally:
    """Return how far forged pictures get with the detector, and then with the fingerprint of the id that they show.

    Args:
        codec: the operator's.
        pictures: forgeries.
        registry: what was registered under each id.
    """
    tried = read = confirmed = 0
    for pixels in pictures:
        tried += 1
        reading = codec.detect(pixels)
        original = registry.get(reading.image_id) if reading.image_id is not None else None
        if original is not None:
            read += 1
            confirmed += compare(original, pixels, reading.geometry).match is Match.CONFIRMED
    return ForgeryTally(tried=tried, read=read, confirmed=confirmed)


def confirmed_anyway(original: Fingerprints, pictures: Sequence[RGB8]) -> int:
    """Return how many foreign pictures the comparison alone would confirm, had the detector read ``original``'s id.

    The strongest forger - one who holds the key - is stopped by nothing else, so this is the rate that counts.
    """
    return sum(compare(original, pixels, None).match is Match.CONFIRMED for pixels in pictures)


def marked_again(codec: Watermarker) -> Attack:
    """Return the attack of another operator who marks a marked picture with a key of their own."""
    other = ImageID("0123456789abcdef")
    return Attack(
        id="marked by another operator",
        family=AttackFamily.ADVERSARIAL,
        change=lambda x, _: codec.embed(x, other) if min(x.shape[:2]) >= codec.min_side else x,
        quick=True,
    )


def marked_twice(codec: Watermarker, pixels: RGB8, first: ImageID, second: ImageID) -> ImageID | None:
    """Return which id is read after a picture was marked with two ids of one key; None when neither is."""
    return codec.detect(codec.embed(codec.embed(pixels, first), second)).image_id
