"""Does ``signet detect FOLDER`` keep its memory level, and how fast is it: many distinct files, processes watched.

``python -m benchmarks.detect_bulk --home HOME --files 10000 --side 192`` draws the files, runs the command with a table
as output, reads the resident memory of all its processes once a second, and prints one JSON document: files a second,
processor time a file, memory after each tenth of the files, growth a thousand files over the last half. A second run of
the same command must judge nothing again; its time is given too.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from skimage import data

from guard.media import encode
from guard.records import ImageFormat

QUALITY = 88
_PAGE = os.sysconf("SC_PAGE_SIZE")
_PARENT_FIELD = 1
"""Place of the parent's id after the name in /proc/PID/stat (proc(5): field 4)."""


def draw(folder: Path, count: int, side: int) -> int:
    """Write ``count`` different JPEG files of ``side`` pixels and return their mean size in bytes."""
    photo = data.astronaut()
    total = 0
    for number in range(count):
        rng = np.random.default_rng(number)
        cut = int(rng.integers(min(side, 256), 513)) if side <= 512 else 512
        y, x = (int(v) for v in rng.integers(0, 512 - cut + 1, size=2))
        part = cv2.resize(photo[y : y + cut, x : x + cut], (side, side), interpolation=cv2.INTER_CUBIC)
        grain = rng.normal(0, 3, part.shape)
        coded = encode(np.clip(part + grain, 0, 255).astype(np.uint8), ImageFormat.JPEG, quality=QUALITY)
        (folder / f"{number:06d}.jpg").write_bytes(coded)
        total += len(coded)
    return total // count


def family(root: int) -> list[int]:
    """Return the ids of a process and of all its descendants."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            except OSError:  # it has just ended
                continue
            parents[int(entry.name)] = int(fields[_PARENT_FIELD])
    found = [root]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return found


def resident_mb(pids: list[int]) -> float:
    """Return the resident memory of some processes together; shared pages count for each of them."""
    total = 0
    for pid in pids:
        try:
            total += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
        except OSError:
            continue
    return total / 1e6


def command(folder: Path, table: Path, home: Path, jobs: int) -> list[str]:
    """Return the command line under test."""
    options = ["--out", str(table), "--jobs", str(jobs), "--home", str(home)]
    return [sys.executable, "-m", "gateway.cli.main", "detect", str(folder), *options]


def watched(arguments: list[str], table: Path) -> tuple[float, list[tuple[int, float]]]:
    """Run a command; return its seconds and (rows written, resident MB) once a second."""
    start = time.perf_counter()
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL)
    samples: list[tuple[int, float]] = []
    rows, read = 0, 0
    while process.poll() is None:
        time.sleep(1)
        if table.exists():
            with table.open("rb") as stream:
                stream.seek(read)
                fresh = stream.read()
            rows, read = rows + fresh.count(b"\n"), read + len(fresh)
        samples.append((rows, resident_mb(family(process.pid))))
    if process.returncode not in (0, 1):
        raise SystemExit(f"the command ended with {process.returncode}")
    return time.perf_counter() - start, samples


def summary(samples: list[tuple[int, float]], count: int) -> dict[str, Any]:
    """Return the memory after each tenth of the files and the growth over the last half, by least squares."""
    tenths = {
        f"{tenth}0 %": round(next((mb for rows, mb in samples if rows >= count * tenth / 10), samples[-1][1]), 1)
        for tenth in range(1, 10)
    }
    late = np.array([(rows, mb) for rows, mb in samples if count / 2 <= rows < count * 0.99])
    slope = float(np.polyfit(late[:, 0], late[:, 1], 1)[0]) * 1000 if len(late) > 2 else None
    largest = round(max(mb for _, mb in samples), 1)
    return {"resident_mb_after": tenths, "largest_mb": largest, "growth_mb_per_1000_files": slope and round(slope, 2)}


def main() -> None:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, required=True, help="an installation; without keys no mark is looked for")
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--side", type=int, default=192)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args()
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as scratch:
        folder, table = Path(scratch) / "files", Path(scratch) / "verdicts.jsonl"
        folder.mkdir()
        size = draw(folder, given.files, given.side)
        before = os.getloadavg()
        arguments = command(folder, table, given.home, given.jobs)
        used = os.times()
        seconds, samples = watched(arguments, table)
        spent = os.times()
        rows = [json.loads(line) for line in table.read_text(encoding="utf-8").splitlines()]
        again, _ = watched(arguments, table)
    failed = sum("error" in row for row in rows)
    print(
        json.dumps(
            {
                "files": given.files,
                "side_px": given.side,
                "mean_bytes": size,
                "jobs": given.jobs,
                "load_before": before,
                "load_after": os.getloadavg(),
                "rows": len(rows),
                "errors": failed,
                "files_per_s": round(given.files / seconds, 2),
                "seconds": round(seconds, 1),
                "processor_s_per_file": round(
                    (spent.children_user + spent.children_system - used.children_user - used.children_system)
                    / given.files,
                    4,
                ),
                "seconds_of_a_second_run": round(again, 1),
                **summary(samples, given.files),
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
