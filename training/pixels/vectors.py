"""Feature vectors of stored crops: one random cut and one random last save a crop, statistics and texture."""

from __future__ import annotations

from collections.abc import Iterator
from multiprocessing import Pool
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from detectors.evaluation.degradations import last_save
from detectors.statistical.features import feature_vector
from guard.inference import open_onnx
from guard.records import RGB8
from training.pixels.crops import SIDE, read_crops

CUT = 224
CHUNK = 64
TRAINING_QUALITIES = (60, 100)
"""Wider than in the protocol, so that its ends are no edge of what was trained on."""


def cut_and_save(crop: RGB8, rng: np.random.Generator) -> RGB8:
    """Return a random CUT x CUT part of a crop after a random last save, mirrored half of the time."""
    y, x = (int(v) for v in rng.integers(SIDE - CUT + 1, size=2))
    part = last_save(np.ascontiguousarray(crop[y : y + CUT, x : x + CUT]), rng, qualities=TRAINING_QUALITIES)
    return np.ascontiguousarray(part[:, ::-1]) if rng.random() < 0.5 else part


def as_input(crops: list[RGB8]) -> NDArray[np.float32]:
    """Return (N, 3, H, W) float32 for the networks."""
    return np.ascontiguousarray(np.stack(crops).transpose(0, 3, 1, 2).astype(np.float32))


def _chunk(task: tuple[Path, Path, int, int]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    folder, model, start, seed = task
    cv2.setNumThreads(1)
    session: Any = open_onnx(model, name="The texture model")
    crops, _ = read_crops(folder)
    statistics, texture = [], []
    for index in range(start, min(start + CHUNK, len(crops))):
        part = cut_and_save(crops[index], np.random.default_rng([seed, index]))
        statistics.append(feature_vector(part))
        texture.append(session.run(None, {"rgb": as_input([part])})[0][0])
    return np.stack(statistics), np.stack(texture)


def _chunks(folder: Path, model: Path, seed: int) -> Iterator[tuple[Path, Path, int, int]]:
    _, rows = read_crops(folder)
    return ((folder, model, start, seed) for start in range(0, len(rows), CHUNK))


def write_vectors(folder: Path, model: Path, *, seed: int, processes: int) -> None:
    """Write ``statistics.npy`` and ``texture.npy`` (float16) beside the crops; finished chunks are not done again."""
    parts = folder / f"parts-{seed}"
    parts.mkdir(exist_ok=True)
    tasks = [t for t in _chunks(folder, model, seed) if not (parts / f"{t[2]:07d}.npz").exists()]
    with Pool(processes) as pool:
        for task, (statistics, texture) in zip(tasks, pool.imap(_chunk, tasks), strict=True):
            with (parts / f"{task[2]:07d}.npz").open("wb") as stream:
                np.savez(stream, statistics=statistics.astype(np.float32), texture=texture.astype(np.float16))
    loaded = [np.load(path) for path in sorted(parts.glob("*.npz"))]
    np.save(folder / f"statistics-{seed}.npy", np.concatenate([part["statistics"] for part in loaded]))
    np.save(folder / f"texture-{seed}.npy", np.concatenate([part["texture"] for part in loaded]))
