"""Forgery by averaging: what many marked pictures of one tenant are worth to somebody who wants to move the mark.

::

    python -m benchmarks.watermark_forgery --average 1000 --out forgery.json PHOTOS GENERATED

Pictures of GENERATED (the last folder) are marked, all others are foreign. Three forgers, each stronger than the last:
the average of pictures with different ids; the average of pictures under one id; and one who holds the key, so that
his picture reads as any registered id and only the comparison with the registered fingerprint is left.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from guard.fingerprint import fingerprints
from guard.records import RGB8
from guard.robustness.forgery import confirm_forgeries, confirmed_anyway, estimated_mark, forged
from guard.robustness.measure import image_id_for
from guard.robustness.report import wilson
from guard.robustness.samples import pictures, shaped
from guard.watermark.codec import LatticeWatermarker

SIDE = 512


def squares(folder: Path, *, least_side: int = 320) -> Iterator[RGB8]:
    """Yield the pictures of a folder as squares of 512 px, in a fixed random order."""
    for _, image in pictures(folder, least_side=least_side, seed=9):
        yield shaped(image, SIDE, SIDE)


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs=2, type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--average", type=int, default=1000, help="marked pictures that the forger collects")
    parser.add_argument("--registered", type=int, default=64, help="registered pictures for the one who holds the key")
    parser.add_argument("--foreign", type=int, default=64, help="photographs onto which marks are put")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    codec = LatticeWatermarker(bytes(range(32)))
    foreign = list(itertools.islice(squares(arguments.folders[0]), arguments.foreign))
    registered = list(itertools.islice(squares(arguments.folders[1]), arguments.registered))
    known = {image_id_for(i): fingerprints(codec.embed(p, image_id_for(i))) for i, p in enumerate(registered)}
    pairs = len(known) * len(foreign)
    confirmed = sum(confirmed_anyway(original, foreign) for original in known.values())
    low, high = wilson(confirmed, pairs)
    done: dict[str, object] = {
        "holder of the key": {"comparisons": pairs, "confirmed": confirmed, "rate_95": [low, high]}
    }
    for name, one_id in (("average, different ids", False), ("average, one id", True)):
        outputs, mirrored = squares(arguments.folders[1]), squares(arguments.folders[1])
        more = (np.ascontiguousarray(p[:, ::-1]) for p in mirrored)  # other pictures to the mark, which stays upright
        collected = itertools.islice(itertools.chain(outputs, more), arguments.average)
        marked = (codec.embed(p, image_id_for(0 if one_id else i)) for i, p in enumerate(collected))
        mark = estimated_mark(marked, size=(SIDE, SIDE))
        tally = confirm_forgeries(codec, (forged(p, mark) for p in foreign), known)
        row = {"collected": arguments.average, "tried": tally.tried, "read": tally.read, "confirmed": tally.confirmed}
        done[name] = row
        arguments.out.write_text(json.dumps(done, indent=1) + "\n")
    print(arguments.out.read_text())


if __name__ == "__main__":
    main()
