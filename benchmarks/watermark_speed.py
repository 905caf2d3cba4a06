"""CPU seconds of the embedded watermark on one core, by picture size; synthetic texture, any machine.

::

    OMP_NUM_THREADS=1 python -m benchmarks.watermark_speed
"""

from __future__ import annotations

import time
from collections.abc import Callable

import cv2
import numpy as np

from guard.records import ImageID
from guard.watermark.codec import LatticeWatermarker
from guard.watermark.key_schedule import KeyName

SIDES = (256, 512, 1024, 1536)
REPEATS = 5


def texture(side: int) -> np.ndarray:
    """Return a (side, side, 3) uint8 picture with detail at every scale."""
    rng = np.random.default_rng(side)
    total = np.zeros((side, side, 3), np.float32)
    for level in (4, 16, 64, 256):
        coarse = rng.normal(size=(level, level, 3)).astype(np.float32)
        total += cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC) * (120 / level**0.5)
    return np.clip(128 + total, 0, 255).astype(np.uint8)


def seconds(call: Callable[[], object]) -> float:
    """Return the least CPU time of some calls."""
    best = float("inf")
    for _ in range(REPEATS):
        start = time.process_time()
        call()
        best = min(best, time.process_time() - start)
    return best


def main() -> None:
    """Print one table row for each size."""
    cv2.setNumThreads(1)
    key = bytes(range(32))
    codec = LatticeWatermarker(key)
    pool = LatticeWatermarker(key, pool=[KeyName(tenant="t", period=str(i)) for i in range(15)])
    print("| side | embed | detect marked | detect turned | detect unmarked | unmarked, pool of 16 |")
    print("|---|---|---|---|---|---|")
    for side in SIDES:
        plain = texture(side)
        marked = codec.embed(plain, ImageID("00112233445566ff"))
        turned = np.ascontiguousarray(
            cv2.warpAffine(marked, cv2.getRotationMatrix2D((side / 2, side / 2), 7, 1), (side, side))
        )
        row = [
            seconds(lambda plain=plain: codec.embed(plain, ImageID("00112233445566ff"))),
            seconds(lambda marked=marked: codec.detect(marked)),
            seconds(lambda turned=turned: codec.detect(turned)),
            seconds(lambda plain=plain: codec.detect(plain)),
            seconds(lambda plain=plain: pool.detect(plain)),
        ]
        print(f"| {side} | " + " | ".join(f"{1000 * s:.0f} ms" for s in row) + " |", flush=True)


if __name__ == "__main__":
    main()
