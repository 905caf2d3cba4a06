"""Feature vectors of calibration and test pictures, along the path that uploads take: treat, choose crops, measure."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing import Pool
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from detectors.calibration.domain import texture
from detectors.crops import CROP_COUNT, choose_crops
from detectors.evaluation.degradations import Mode, apply_mode
from detectors.statistical.features import feature_vector
from guard.errors import MediaError
from guard.inference import open_onnx
from guard.media import decode
from training.pixels.pictures import Picture
from training.pixels.vectors import as_input

LARGEST = 2600
WINDOW = 2000
"""Larger pictures are cut to their middle: crops are all that is looked at, and re-encoding 40 Mpx takes seconds."""
SEED = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """Features of every crop of every picture, missing crops NaN.

    Attributes:
        statistics: (N, CROP_COUNT, D) float32.
        texture: (N, CROP_COUNT, D) float16.
        rows: sha256, generated, group, generator, family, part, media type, height, width, texture measure.
    """

    statistics: NDArray[np.float32]
    texture: NDArray[np.float16]
    rows: list[dict[str, object]]


def at_most(pictures: Sequence[Picture], per_group: int) -> list[Picture]:
    """Return at most ``per_group`` pictures a source group, chosen by digest."""
    groups: dict[str, list[Picture]] = defaultdict(list)
    for picture in sorted(pictures, key=lambda p: p.sha256):
        groups[picture.group].append(picture)
    return sorted((p for members in groups.values() for p in members[:per_group]), key=lambda p: p.sha256)


def _measure(
    task: tuple[Picture, Mode, Path],
) -> tuple[NDArray[np.float32], NDArray[np.float16], dict[str, object]] | None:
    picture, mode, model = task
    cv2.setNumThreads(1)
    try:
        image = decode(picture.file.read_bytes())
    except MediaError:
        return None
    pixels = image.rgb
    if picture.grid > 1:
        height, width = pixels.shape[0] // picture.grid, pixels.shape[1] // picture.grid
        pixels = pixels[4 : height - 4, 4 : width - 4]
    if max(pixels.shape[:2]) > LARGEST:
        top, left = (max(0, (side - WINDOW) // 2) // 8 * 8 for side in pixels.shape[:2])
        pixels = pixels[top : top + WINDOW, left : left + WINDOW]
    rng = np.random.default_rng([int(picture.sha256[:8], 16), SEED])
    treated = apply_mode(np.ascontiguousarray(pixels), mode, rng, lossless=image.media_type != "image/jpeg")
    crops = choose_crops(treated)
    if not crops:
        return None
    statistics = np.full((CROP_COUNT, len(feature_vector(crops[0].pixels))), np.nan, np.float32)
    statistics[: len(crops)] = [feature_vector(crop.pixels) for crop in crops]
    found = open_onnx(model, name="The texture model").run(None, {"rgb": as_input([c.pixels for c in crops])})[0]
    textures = np.full((CROP_COUNT, found.shape[1]), np.nan, np.float16)
    textures[: len(crops)] = found
    row: dict[str, object] = {
        "sha256": picture.sha256,
        "generated": picture.generated,
        "group": picture.group,
        "generator": picture.generator,
        "family": picture.family,
        "part": picture.part.value,
        "media_type": image.media_type,
        "height": treated.shape[0],
        "width": treated.shape[1],
        "detail": float(np.median([texture(crop) for crop in crops])),
    }
    return statistics, textures, row


def write_judged(pictures: Sequence[Picture], mode: Mode, model: Path, target: Path, *, processes: int) -> None:
    """Measure all pictures in one mode and write ``target`` (.npz)."""
    with Pool(processes) as pool:
        found = [r for r in pool.imap(_measure, [(p, mode, model) for p in pictures], chunksize=4) if r is not None]
    np.savez(
        target,
        statistics=np.stack([part[0] for part in found]),
        texture=np.stack([part[1] for part in found]),
        rows=np.array(json.dumps([part[2] for part in found])),
    )


def read_judged(path: Path) -> Judged:
    """Return what ``write_judged`` wrote."""
    stored = np.load(path)
    return Judged(statistics=stored["statistics"], texture=stored["texture"], rows=json.loads(str(stored["rows"])))
