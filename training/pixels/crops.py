"""Decoded crops on disk: every picture is decoded once, then given several random histories.

Data flow: picture -> (grid cell) -> window -> first save -> reduction -> web save -> SIDE x SIDE crop -> crops.u8,
with one JSON line a crop in crops.jsonl. Crops are cut, never resized to fit.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing import Pool
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from detectors.evaluation.degradations import Mode, apply_mode, first_save, jpeg_round_trip, reduce
from guard.errors import MediaError
from guard.media import decode
from guard.records import RGB8
from training.pixels.pictures import Part, Picture

SIDE = 272
"""Side of a stored crop; training cuts 224 out of it at random."""
WINDOW = 1600
"""Larger pictures are cut to a random window of this side before anything else, to bound the cost."""
REDUCED_SHARE = 0.5
SMALLEST = 0.35
"""Strongest reduction in training: 4:1 to 3:1 is what web pages do to photographs."""
WEB_SAVE_SHARE = 0.6


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One picture to cut."""

    picture: Picture
    count: int
    mode: Mode | None
    seed: int


def plan(pictures: Sequence[Picture], *, per_group: int, most: int) -> list[Job]:
    """Return how many crops each training picture gives: about ``per_group`` a source group, at most ``most`` each."""
    sizes = Counter(p.group for p in pictures)
    return [
        Job(picture=p, count=max(2, min(most, per_group // sizes[p.group])), mode=None, seed=int(p.sha256[:8], 16))
        for p in pictures
    ]


def cut(job: Job) -> list[RGB8]:
    """Return the crops of one picture; empty when it is too small or cannot be decoded."""
    rng = np.random.default_rng(job.seed)
    try:
        image = decode(job.picture.file.read_bytes())
    except MediaError:
        return []
    lossless = image.media_type != "image/jpeg"
    crops = []
    for _ in range(job.count):
        cell = _window(_cell(image.rgb, job.picture.grid, rng), rng)
        if job.mode is not None:
            treated = apply_mode(cell, job.mode, rng, lossless=lossless)
        else:
            treated = _history(cell, rng, lossless=lossless)
        if min(treated.shape[:2]) < SIDE:
            continue
        y = int(rng.integers(treated.shape[0] - SIDE + 1))
        x = int(rng.integers(treated.shape[1] - SIDE + 1))
        crops.append(np.ascontiguousarray(treated[y : y + SIDE, x : x + SIDE]))
    return crops


def _history(pixels: RGB8, rng: np.random.Generator, *, lossless: bool) -> RGB8:
    """Return a picture with a random past; its last save is drawn anew in every training step."""
    if lossless:
        pixels = first_save(pixels, rng)
    if rng.random() < REDUCED_SHARE and min(pixels.shape[:2]) > SIDE:
        pixels = reduce(pixels, rng, smallest=max(SMALLEST, min(1.0, (SIDE + 1) / min(pixels.shape[:2]))))
        if rng.random() < WEB_SAVE_SHARE:
            pixels = jpeg_round_trip(pixels, quality=int(rng.integers(70, 98)), subsampling=int(rng.choice([0, 2])))
    return pixels


def _cell(pixels: RGB8, grid: int, rng: np.random.Generator) -> RGB8:
    """Return one picture out of a sheet of grid x grid, trimmed by a border that may hold its neighbours."""
    if grid == 1:
        return pixels
    height, width = pixels.shape[0] // grid, pixels.shape[1] // grid
    row, column = (int(v) for v in rng.integers(grid, size=2))
    return pixels[row * height + 4 : (row + 1) * height - 4, column * width + 4 : (column + 1) * width - 4]


def _window(pixels: RGB8, rng: np.random.Generator) -> RGB8:
    """Return a random window of at most WINDOW a side, on the 8-pixel grid of the file."""
    height, width = pixels.shape[:2]
    y = int(rng.integers(max(1, height - WINDOW + 1))) // 8 * 8
    x = int(rng.integers(max(1, width - WINDOW + 1))) // 8 * 8
    return pixels[y : y + WINDOW, x : x + WINDOW]


def write_crops(jobs: Sequence[Job], folder: Path, *, processes: int) -> int:
    """Cut all jobs into ``folder`` and return the number of crops."""
    folder.mkdir(parents=True, exist_ok=True)
    written = 0
    with (
        Pool(processes) as pool,
        (folder / "crops.u8").open("wb") as pixels,
        (folder / "crops.jsonl").open("w", encoding="utf-8") as rows,
    ):
        for job, crops in zip(jobs, pool.imap(cut, jobs, chunksize=8), strict=True):
            for crop in crops:
                pixels.write(crop.tobytes())
                rows.write(json.dumps(_row(job.picture)) + "\n")
            written += len(crops)
    return written


def _row(picture: Picture) -> dict[str, object]:
    return {
        "sha256": picture.sha256,
        "generated": picture.generated,
        "group": picture.group,
        "family": picture.family,
        "part": picture.part.value,
    }


def read_crops(folder: Path) -> tuple[NDArray[np.uint8], list[dict[str, object]]]:
    """Return the crops as an (N, SIDE, SIDE, 3) memory map and their rows."""
    rows = [json.loads(line) for line in (folder / "crops.jsonl").read_text(encoding="utf-8").splitlines()]
    return np.memmap(folder / "crops.u8", np.uint8, "r", shape=(len(rows), SIDE, SIDE, 3)), rows


def of_part(pictures: Sequence[Picture], part: Part) -> list[Picture]:
    """Return the pictures that may be used for ``part``."""
    return [picture for picture in pictures if picture.part is part]
