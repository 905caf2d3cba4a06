"""What the embedded watermark's detector says about unmarked pictures: crops of any folders of pictures.

::

    python -m benchmarks.watermark_false_positives --crops 1000 --out false_positives.json PHOTOS GENERATED

Every crop is searched in full. By the theorem (docs/watermark.md) the share of crops whose pilots alone reach
``log10_p <= -x`` is at most ``10**-x``, and none is accepted; the run shows both.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import cv2
import numpy as np

from benchmarks import watermark_attacks as wa
from guard.watermark.codec import LatticeWatermarker


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--crops", type=int, default=1000)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    rng = np.random.default_rng(11)
    bounds: list[float] = []
    times: list[float] = []
    accepted = 0
    each = -(-arguments.crops // (2 * len(arguments.folders)))
    for folder in arguments.folders:
        for name, image in wa.pictures(folder, count=each, least_side=260, seed=3):
            codec = LatticeWatermarker(rng.bytes(32), tenant=name)  # the bound is over keys: a new one each time
            pixels = np.asarray(image)
            for _ in range(2):
                part = wa.cropped(pixels, float(rng.uniform(0.5, 1)), left=float(rng.random()), top=float(rng.random()))
                if rng.random() < 0.5:
                    part = wa.jpeg(part, int(rng.integers(40, 96)))
                start = time.process_time()
                reading = codec.detect(part)
                times.append(time.process_time() - start)
                bounds.append(reading.log10_p)
                accepted += reading.image_id is not None
            values = np.array(bounds)
            result = {
                "crops": len(values),
                "accepted": accepted,
                "smallest_log10_p": round(float(values.min()), 2),
                "share_at_or_below": {f"1e-{x}": float((values <= -x).mean()) for x in (1, 2, 3, 4, 6)},
                "seconds": {
                    "median": round(float(np.median(times)), 3),
                    "p95": round(float(np.percentile(times, 95)), 3),
                },
            }
            arguments.out.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
