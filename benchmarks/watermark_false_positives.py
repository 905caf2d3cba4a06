"""What the embedded watermark's detector says about unmarked pictures: crops of any folders of pictures.

::

    python -m benchmarks.watermark_false_positives --crops 1000 --out false_positives.json PHOTOS GENERATED

Every crop is searched in full with a pool of keys, drawn anew for every picture: the bound is over keys, so each pair
of crop and pool is one trial of the theorem (docs/watermark.md): the share of crops whose pilots alone reach
``log10_p <= -x`` is at most ``10**-x``, and none is accepted. The run shows both. ``--skip`` makes runs disjoint.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from pathlib import Path

import cv2
import numpy as np

from guard.robustness import pixels as px
from guard.robustness.samples import pictures
from guard.watermark.codec import LatticeWatermarker
from guard.watermark.key_schedule import KeyName


def summary(bounds: list[float], times: list[float], accepted: int, pool: int) -> dict[str, object]:
    """Return the figures so far."""
    values = np.array(bounds)
    return {
        "crops": len(values),
        "keys_each": pool,
        "accepted": accepted,
        "smallest_log10_p": round(float(values.min()), 2),
        "share_at_or_below": {f"1e-{x}": float((values <= -x).mean()) for x in (1, 2, 3, 4, 6)},
        "seconds": {
            "median": round(float(np.median(times)), 3),
            "p95": round(float(np.percentile(times, 95)), 3),
        },
    }


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--crops", type=int, default=1000)
    parser.add_argument("--each", type=int, default=4, help="crops of each picture")
    parser.add_argument("--pool", type=int, default=1, help="keys that every crop is read with")
    parser.add_argument("--skip", type=int, default=0, help="pictures of each folder to leave out")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    rng = np.random.default_rng(11 + arguments.skip)
    bounds: list[float] = []
    times: list[float] = []
    accepted = 0
    streams = [itertools.islice(pictures(f, least_side=260, seed=3), arguments.skip, None) for f in arguments.folders]
    for name, image in itertools.chain(*zip(*streams, strict=False)):
        names = [KeyName(tenant=name, period=str(i)) for i in range(1, arguments.pool)]
        codec = LatticeWatermarker(rng.bytes(32), tenant=name, period="0", pool=names)
        pixels = np.asarray(image)
        for _ in range(arguments.each):
            part = px.cropped(pixels, float(rng.uniform(0.5, 1)), left=float(rng.random()), top=float(rng.random()))
            if rng.random() < 0.5:
                part = px.jpeg(part, int(rng.integers(40, 96)))
            start = time.process_time()
            reading = codec.detect(part)
            times.append(time.process_time() - start)
            bounds.append(reading.log10_p)
            accepted += reading.image_id is not None
        arguments.out.write_text(json.dumps(summary(bounds, times, accepted, arguments.pool), indent=1) + "\n")
        if len(bounds) >= arguments.crops:
            break
    print(arguments.out.read_text())


if __name__ == "__main__":
    main()
