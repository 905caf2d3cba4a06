"""Survival of the embedded watermark under every attack of ``guard.robustness``, on any folders of pictures.

::

    python -m benchmarks.watermark_robustness --out run.jsonl PHOTOS GENERATED
    python -m benchmarks.watermark_robustness --small --least-side 256 --out small.jsonl PHOTOS GENERATED

Stops and goes on: a second call with the same file continues. ``--except-groups`` leaves out subfolders looked
at while the codec was tuned. ``signet robustness report`` turns the file into a report. Keys and ids are fixed.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator
from pathlib import Path

import cv2

from guard.robustness.catalogue import ATTACKS, SMALL_ATTACKS, choose
from guard.robustness.measure import RobustnessRun
from guard.robustness.samples import SHAPES, Sample, drawn_samples, folder_samples
from guard.watermark.codec import LatticeWatermarker


def sources(arguments: argparse.Namespace) -> Iterator[Sample]:
    """Yield the pictures: the folders in turn, and drawings for the small run."""
    shapes = ((256, 256),) if arguments.small else SHAPES
    excluded = frozenset(arguments.except_groups.split(",")) if arguments.except_groups else frozenset()
    groups = sorted({g.name for f in arguments.folders for g in f.iterdir() if g.is_dir()} - excluded)
    wanted, least = arguments.count, arguments.least_side
    streams = [folder_samples(arguments.folders, count=wanted, least_side=least, shapes=shapes, groups=groups)]
    if arguments.small:
        streams.append(drawn_samples(count=wanted, size=256))
    yield from itertools.chain(*streams)


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=200, help="pictures of each folder")
    parser.add_argument("--least-side", type=int, default=480)
    parser.add_argument("--small", action="store_true", help="256 x 256 pictures and drawings")
    parser.add_argument("--required", action="store_true", help="only attacks with a required rate")
    parser.add_argument("--except-groups", default="", help="comma-separated subfolders to leave out")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    attacks = choose(SMALL_ATTACKS if arguments.small else ATTACKS, required=arguments.required)
    run = RobustnessRun(LatticeWatermarker(bytes(range(32))), attacks, results=arguments.out)
    for outcome in run.measure(sources(arguments)):
        missed = [o.attack for o in outcome.outcomes if not o.exact]
        print(outcome.source, outcome.index, outcome.name, outcome.quality.psnr_db, missed, flush=True)


if __name__ == "__main__":
    main()
