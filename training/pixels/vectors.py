"""Feature vectors of stored crops: one random cut and one random last save a crop, statistics and texture."""

from __future__ import annotations

from collections.abc import Iterator
from multiprocessing import Pool
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from detectors.evaluation.degradations import last_save, webp_round_trip
from detectors.statistical.features import feature_vector
from guard.inference import open_onnx
from guard.records import RGB8
from training.pixels.crops import SIDE, read_crops

CUT = 224
CHUNK = 64
PROCESSED_SHARE = 0.5
WEBP_SHARE = 0.4
"""Hardly any training photograph is a WebP file, many generated pictures are: without this WebP passes for a sign."""
TRAINING_QUALITIES = (60, 100)
"""Wider than in the protocol, so that its ends are no edge of what was trained on."""


def processed(crop: RGB8, rng: np.random.Generator) -> RGB8:
    """Return a crop after one step of everyday editing, or unchanged; the same for real and generated pictures.

    Cameras, phones and sites sharpen, denoise, brighten and enlarge; none of it makes a picture generated.
    """
    if rng.random() >= PROCESSED_SHARE:
        return crop
    kind = int(rng.integers(6))
    if kind == 0:  # unsharp mask
        soft = cv2.GaussianBlur(crop, (0, 0), float(rng.uniform(0.7, 1.6)))
        amount = float(rng.uniform(0.3, 1.2))
        return np.asarray(cv2.addWeighted(crop, 1 + amount, soft, -amount, 0), np.uint8)
    if kind == 1:  # denoising that keeps edges
        strength = float(rng.uniform(8, 25))
        return np.asarray(cv2.bilateralFilter(crop, 5, strength, 2.0), np.uint8)
    if kind == 2:  # slight blur
        return np.asarray(cv2.GaussianBlur(crop, (0, 0), float(rng.uniform(0.3, 0.9))), np.uint8)
    if kind == 3:  # grain
        noise = rng.normal(0, rng.uniform(1, 5), (*crop.shape[:2], 1)) + rng.normal(0, 1, crop.shape)
        return np.clip(crop + noise, 0, 255).astype(np.uint8)
    if kind == 4:  # brightness and contrast
        curve = 255 * (np.arange(256) / 255) ** rng.uniform(0.75, 1.33)
        curve = (curve - 128) * rng.uniform(0.85, 1.2) + 128
        return np.clip(curve, 0, 255).astype(np.uint8)[crop]
    factor = float(rng.uniform(1.1, 1.7))  # enlarged, as sites do with small pictures
    side = round(CUT / factor) + 8
    part = np.ascontiguousarray(crop[:side, :side])
    filters = (cv2.INTER_CUBIC, cv2.INTER_LANCZOS4, cv2.INTER_LINEAR)
    return np.asarray(cv2.resize(part, (SIDE, SIDE), interpolation=filters[int(rng.integers(3))]), np.uint8)


def cut_and_save(crop: RGB8, rng: np.random.Generator) -> RGB8:
    """Return a random CUT x CUT part of a crop, edited or not, after a random last save, mirrored half of the time."""
    y, x = (int(v) for v in rng.integers(SIDE - CUT + 1, size=2))
    crop = processed(crop, rng)
    if rng.random() < WEBP_SHARE:
        crop = webp_round_trip(crop, quality=int(rng.integers(55, 96)))
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
    """Write ``parts-SEED/*.npz`` beside the crops; finished parts are not done again."""
    parts = folder / f"parts-{seed}"
    parts.mkdir(exist_ok=True)
    tasks = [t for t in _chunks(folder, model, seed) if not (parts / f"{t[2]:07d}.npz").exists()]
    with Pool(processes) as pool:
        for task, (statistics, texture) in zip(tasks, pool.imap(_chunk, tasks), strict=True):
            with (parts / f"{task[2]:07d}.npz").open("wb") as stream:
                np.savez(stream, statistics=statistics.astype(np.float32), texture=texture.astype(np.float16))


def read_vectors(folder: Path) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]]:
    """Return crop indices, statistics and texture of all parts of all seeds."""
    indices, statistics, texture = [], [], []
    for path in sorted(folder.glob("parts-*/*.npz")):
        with np.load(path) as part:
            start = int(path.stem)
            indices.append(np.arange(start, start + len(part["statistics"])))
            statistics.append(part["statistics"])
            texture.append(part["texture"].astype(np.float32))
    return np.concatenate(indices), np.concatenate(statistics), np.concatenate(texture)
