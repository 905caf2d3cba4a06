"""A canary: marks small drawn pictures with the operator's own key, harms them, and reads them back.

Run it weekly and after every change of library, machine or key: it notices a codec that has stopped reading its own
marks, or has begun to see marks where none are, before an upload does.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from guard.interfaces import Watermarker
from guard.records import RGB8, ImageID

SIDE: Final = 512
_IDS: Final = (ImageID("00112233445566ff"), ImageID("ffffffffffffffff"), ImageID("0000000000000000"))


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryCheck:
    """One thing that was tried.

    Attributes:
        name: what was done.
        ok: it came out as it must.
        detail: what was read.
        seconds: processor time of the reading.
    """

    name: str
    ok: bool
    detail: str
    seconds: float


def run_canary(codec: Watermarker) -> tuple[CanaryCheck, ...]:
    """Return every check; all must be ok.

    Args:
        codec: with the operator's keys.

    Raises:
        WatermarkError: nothing can be marked at all.
    """
    checks = []
    for index, image_id in enumerate(_IDS):
        plain = _picture(index)
        checks.append(_read(codec, f"picture {index}, unmarked", plain, None))
        marked = codec.embed(plain, image_id)
        for name, harm in _HARMS.items():
            checks.append(_read(codec, f"picture {index}, {name}", harm(marked), image_id))
    return tuple(checks)


def _read(codec: Watermarker, name: str, pixels: RGB8, expected: ImageID | None) -> CanaryCheck:
    """Read one picture and compare."""
    start = time.process_time()
    reading = codec.detect(pixels)
    took = time.process_time() - start
    seen = reading.image_id or "no mark"
    return CanaryCheck(
        name=name, ok=reading.image_id == expected, detail=f"{seen}, p <= 10^{reading.log10_p:.1f}", seconds=took
    )


def _picture(seed: int) -> RGB8:
    """Return (SIDE, SIDE, 3) smooth colour clouds with texture in one half, the same for ever for a seed."""
    y, x = np.indices((SIDE, SIDE), dtype=np.float32) / SIDE
    rng = np.random.default_rng(seed)
    waves = [
        np.sin(2 * np.pi * (x * rng.uniform(0.5, 2.5) + y * rng.uniform(0.5, 2.5)) + rng.uniform(0, 6))
        for _ in range(3)
    ]
    clouds = np.stack([128 + 70 * wave for wave in waves], axis=-1)
    clouds[:, SIDE // 2 :] += rng.normal(0, 18, (SIDE, SIDE // 2, 1))
    return np.asarray(np.clip(np.rint(clouds), 0, 255), dtype=np.uint8)


def _jpeg(pixels: RGB8) -> RGB8:
    done, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 60])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR)) if done else pixels


def _half_crop(pixels: RGB8) -> RGB8:
    quarter = SIDE // 4
    return np.ascontiguousarray(pixels[quarter:-quarter, quarter:-quarter])


def _turned(pixels: RGB8) -> RGB8:
    matrix = cv2.getRotationMatrix2D((SIDE / 2, SIDE / 2), 11.0, 1.0)
    return np.asarray(cv2.warpAffine(pixels, matrix, (SIDE, SIDE), flags=cv2.INTER_CUBIC))


def _reduced(pixels: RGB8) -> RGB8:
    return np.asarray(cv2.resize(pixels, (SIDE * 2 // 3, SIDE * 2 // 3), interpolation=cv2.INTER_AREA))


_HARMS: Final[dict[str, Callable[[RGB8], RGB8]]] = {
    "as it is": lambda x: x,
    "JPEG 60": _jpeg,
    "two thirds of the size": _reduced,
    "middle half": _half_crop,
    "turned by 11 degrees": _turned,
    "mirrored": lambda x: np.ascontiguousarray(x[:, ::-1]),
}
