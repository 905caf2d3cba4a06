"""CPU seconds of the embedded watermark on one core, by picture size; synthetic texture, any machine.

::

    OMP_NUM_THREADS=1 python -m benchmarks.watermark_speed --peer --prototype ssw.py

``--peer`` times invisible-watermark (dwtDctSvd, 64 bits) in the same run, ``--prototype`` a module with a class ``WM``
whose ``embed_adaptive(pixels, bits)`` and ``detect(pixels)`` are the design that this codec grew from.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from guard.records import ImageID
from guard.watermark.codec import LatticeWatermarker
from guard.watermark.key_schedule import KeyName

SIDES = (256, 512, 1024, 1536)
REPEATS = 5
ID = ImageID("00112233445566ff")


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


def own_table() -> None:
    """Print one row for each size."""
    key = bytes(range(32))
    codec = LatticeWatermarker(key)
    pool = LatticeWatermarker(key, pool=[KeyName(tenant="t", period=str(i)) for i in range(15)])
    print("| side | embed | detect marked | detect turned | detect unmarked | unmarked, pool of 16 |")
    print("|---|---|---|---|---|---|")
    for side in SIDES:
        plain = texture(side)
        marked = codec.embed(plain, ID)
        away = turned(marked)
        row = [
            seconds(lambda plain=plain: codec.embed(plain, ID)),
            seconds(lambda marked=marked: codec.detect(marked)),
            seconds(lambda away=away: codec.detect(away)),
            seconds(lambda plain=plain: codec.detect(plain)),
            seconds(lambda plain=plain: pool.detect(plain)),
        ]
        print(f"| {side} | " + " | ".join(f"{1000 * s:.0f} ms" for s in row) + " |", flush=True)


def turned(pixels: np.ndarray) -> np.ndarray:
    """Return the picture turned by 7 degrees inside its frame."""
    height, width = pixels.shape[:2]
    return np.asarray(cv2.warpAffine(pixels, cv2.getRotationMatrix2D((width / 2, height / 2), 7, 1), (width, height)))


def comparison(name: str, embed: Callable[[Any], Any], detect: Callable[[Any], Any], side: int = 1024) -> None:
    """Print the row of one codec at one size; marked pictures are its own."""
    plain = texture(side)
    marked = embed(plain)
    away = turned(marked)
    times = [
        seconds(lambda: embed(plain)),
        seconds(lambda: detect(marked)),
        seconds(lambda: detect(away)),
        seconds(lambda: detect(plain)),
    ]
    print(f"| {name} | " + " | ".join(f"{1000 * s:.0f} ms" for s in times) + " |", flush=True)


def prototype(path: Path) -> Any:
    """Return the prototype's codec from its file."""
    spec = importlib.util.spec_from_file_location("watermark_prototype", path)
    if spec is None or spec.loader is None:
        sys.exit(f"{path} is not a Python file.")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.WM()


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", action="store_true", help="also invisible-watermark (must be installed)")
    parser.add_argument("--prototype", type=Path, help="also this file's class WM")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    own_table()
    print("\n| 1024 px | embed | detect marked | detect turned | detect unmarked |\n|---|---|---|---|---|")
    codec = LatticeWatermarker(bytes(range(32)))
    comparison("ours", lambda pixels: codec.embed(pixels, ID), codec.detect)
    bits = [int(b) for b in f"{int(ID, 16):064b}"]
    if arguments.prototype is not None:
        earlier = prototype(arguments.prototype)
        comparison("prototype", lambda pixels: earlier.embed_adaptive(pixels, np.array(bits)), earlier.detect)
    if arguments.peer:
        from imwatermark import WatermarkDecoder, WatermarkEncoder

        encoder, decoder = WatermarkEncoder(), WatermarkDecoder("bits", 64)
        encoder.set_watermark("bits", bits)
        comparison(
            "dwtDctSvd",
            lambda pixels: encoder.encode(pixels, "dwtDctSvd"),
            lambda pixels: decoder.decode(pixels, "dwtDctSvd"),
        )


if __name__ == "__main__":
    main()
