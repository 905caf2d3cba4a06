"""Aligned pairs: photographs redrawn by decoders of several kinds, as further "generated" crops for the texture head.

Photograph and redrawn copy show the same, so that the head cannot learn subjects; half of the copies are blends of
both, so that it must find faint traces. Copies then have a save like those of the photographs.
Source: Chen et al. 2025, "Dual data alignment" (arXiv 2505.14359), sections 3.2 and 3.3. Differs: blends of pixels
only, qualities drawn at random, crops from the store instead of whole files.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from detectors.evaluation.degradations import jpeg_round_trip
from guard.records import RGB8
from training.pixels.decoders import Redraw, as_tensor, draw_index, real_crops

EACH = 450
"""Copies a decoder: together as many as a tenth of the other crops."""
BLENDED_SHARE = 0.5
LEAST_BLEND = 0.3
QUALITIES = (75, 97)
FOLDER = "pairs"


def redrawn(crop: RGB8, redraw: Redraw, rng: np.random.Generator) -> RGB8:
    """Return a crop after a decoder, blended with itself half of the time, and one JPEG save."""
    with torch.no_grad():
        drawn = redraw(as_tensor(crop[None]))[0].permute(1, 2, 0).numpy()
    share = 1.0 if rng.random() >= BLENDED_SHARE else float(rng.uniform(LEAST_BLEND, 1))
    mixed = share * np.clip((drawn + 1) * 127.5, 0, 255) + (1 - share) * crop
    pixels = np.clip(np.rint(mixed), 0, 255).astype(np.uint8)
    low, high = QUALITIES
    return jpeg_round_trip(pixels, quality=int(rng.integers(low, high + 1)), subsampling=int(rng.choice([0, 2])))


def write_pairs(folder: Path, decoders: Mapping[str, Redraw], *, each: int = EACH, seed: int = 5) -> Path:
    """Write ``folder/pairs`` with crops like those of ``crops.write_crops``; return it. A finished one is kept."""
    target = folder / FOLDER
    if (target / "crops.jsonl").exists():
        return target
    target.mkdir(exist_ok=True)
    crops, groups = real_crops(folder)
    rng = np.random.default_rng(seed)
    rows = []
    with (target / "crops.u8").open("wb") as pixels:
        for name, redraw in sorted(decoders.items()):
            for _ in range(each):
                index = draw_index(groups, rng)
                copy = redrawn(np.asarray(crops[index]), redraw, rng)
                pixels.write(np.ascontiguousarray(copy).tobytes())
                rows.append({"generated": True, "group": f"aligned-{name}", "family": None, "crop": index})
    (target / "crops.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return target
