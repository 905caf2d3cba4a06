"""Exact-recovery rates of the embedded watermark under attacks, on any folders of pictures.

::

    python -m benchmarks.watermark_robustness --out robustness.json PHOTOS GENERATED
    python -m benchmarks.watermark_robustness --small --out small.json PHOTOS GENERATED

One table row for each attack and one column for each folder; ``--small`` marks 256 x 256 copies and, as a further
column, drawn flat shapes. Keys and ids are fixed, so a run can be repeated exactly.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks import watermark_attacks as wa
from guard.records import ImageID
from guard.watermark.codec import LatticeWatermarker


class Tally:
    """Collects what one column measures."""

    def __init__(self) -> None:
        self.quality: list[tuple[float, float]] = []
        self.times: dict[str, list[float]] = {"embed": [], "detect": []}
        self.hits: dict[str, list[tuple[bool, float]]] = {}
        self.missed: dict[str, list[str]] = {}

    def summary(self) -> dict[str, Any]:
        """Return JSON-ready figures."""
        psnr, ssim = np.array(self.quality).T
        return {
            "pictures": len(psnr),
            "psnr_db": {"mean": round(float(psnr.mean()), 2), "min": round(float(psnr.min()), 2)},
            "ssim": {"mean": round(float(ssim.mean()), 4), "min": round(float(ssim.min()), 4)},
            "seconds": {k: {"median": round(float(np.median(v)), 4)} for k, v in self.times.items()},
            "exact": {k: round(float(np.mean([h for h, _ in v])), 4) for k, v in self.hits.items()},
            "log10_p_median": {k: round(float(np.median([p for _, p in v])), 1) for k, v in self.hits.items()},
            "missed": self.missed,
        }


def measure(
    codec: LatticeWatermarker, pixels: wa.RGB8, name: str, index: int, attacks: dict[str, Any], t: Tally
) -> None:
    """Mark one picture, attack it in every way and note what is read."""
    image_id = ImageID(f"{np.random.default_rng(1000 + index).integers(0, 2**63):016x}")
    start = time.process_time()
    marked = codec.embed(pixels, image_id)
    t.times["embed"].append(time.process_time() - start)
    t.quality.append((wa.psnr(pixels, marked), wa.ssim(pixels, marked)))
    for attack, entry in attacks.items():
        attacked = (entry[1] if isinstance(entry, tuple) else entry)(marked)
        start = time.process_time()
        reading = codec.detect(attacked)
        t.times["detect"].append(time.process_time() - start)
        hit = reading.image_id == image_id
        t.hits.setdefault(attack, []).append((hit, reading.log10_p))
        if not hit:
            t.missed.setdefault(attack, []).append(name)


def table(columns: dict[str, dict[str, Any]], attacks: dict[str, Any]) -> str:
    """Return the figures as a Markdown table."""
    names = list(columns)
    lines = ["| | required | " + " | ".join(names) + " |", "|---" * (len(names) + 2) + "|"]
    for key in ("psnr_db", "ssim"):
        cells = [f"{columns[n][key]['mean']} (min {columns[n][key]['min']})" for n in names]
        lines.append(f"| {key} | | " + " | ".join(cells) + " |")
    lines.append("| pictures | | " + " | ".join(str(columns[n]["pictures"]) for n in names) + " |")
    for attack, entry in attacks.items():
        need = f"{entry[0]:.0%}" if isinstance(entry, tuple) else ""
        cells = [f"{100 * columns[n]['exact'][attack]:.1f} %" for n in names]
        lines.append(f"| {attack} | {need} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def sources(arguments: argparse.Namespace) -> Iterator[tuple[str, str, int, wa.RGB8]]:
    """Yield (column, name, index, pixels), the folders in turn."""
    wanted = arguments.count + arguments.skip
    folders = {f.name: wa.pictures(f, count=wanted, least_side=arguments.least_side) for f in arguments.folders}
    for index in range(wanted):
        for column, stream in folders.items():
            entry = next(stream, None)
            if entry is not None and index >= arguments.skip:
                shape = (256, 256) if arguments.small else wa.SHAPES[index % len(wa.SHAPES)]
                yield column, entry[0], index, wa.shaped(entry[1], *shape)
        if arguments.small and index >= arguments.skip:
            yield "drawings", f"drawing {index}", index, wa.drawing(index)


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=200, help="pictures of each folder")
    parser.add_argument("--skip", type=int, default=0, help="leave out the first ones (used while tuning)")
    parser.add_argument("--least-side", type=int, default=480)
    parser.add_argument("--small", action="store_true", help="256 x 256 pictures and drawings")
    parser.add_argument("--further", action="store_true", help="also attacks without a required rate")
    parser.add_argument("--only", default="", help="comma-separated names of attacks")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    codec = LatticeWatermarker(bytes(range(32)))
    attacks: dict[str, Any] = dict(wa.SMALL if arguments.small else wa.REQUIRED)
    if arguments.further:
        attacks |= wa.FURTHER
    if arguments.only:
        attacks = {name: attacks[name] for name in arguments.only.split(",")}
    columns: dict[str, dict[str, Any]] = {}
    tallies: dict[str, Tally] = {}
    for column, name, index, pixels in sources(arguments):
        tally = tallies.setdefault(column, Tally())
        measure(codec, pixels, name, index, attacks, tally)
        columns[column] = tally.summary()
        arguments.out.write_text(json.dumps(columns, indent=1) + "\n")  # so that a run may be cut short
    print(table(columns, attacks))
    print({n: c["seconds"] for n, c in columns.items()})


if __name__ == "__main__":
    main()
