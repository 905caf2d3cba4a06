"""How well the heat map finds a region that a decoder drew: photographs with one part redrawn by signet-mini's decoder.

``python -m benchmarks.detect_heat_map PHOTOS --count 30`` prints the AUC over windows (more than half inside the region
against fully outside) for lossless files and three JPEG qualities. A whole region went through the encoder and decoder,
as in latent inpainting; nothing else of the photograph was touched.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from detectors.crops import Crop
from detectors.evaluation.degradations import jpeg_round_trip
from detectors.evaluation.metrics import auc, group_bootstrap
from detectors.learned.heat_map import WINDOW, window_scores
from detectors.pixel_models import MODELS
from detectors.scoring import ScoringModel
from guard.media import decode
from guard.records import RGB8

SIDE = 640
"""Photographs are cut to their middle of this side."""
REGION = 256
QUALITIES = (None, 95, 85, 75)
VAE = Path(__file__).resolve().parents[1] / "guard" / "models" / "signet-mini" / "vae"


def redrawn(pixels: RGB8, vae: Any, rng: np.random.Generator) -> tuple[RGB8, tuple[int, int]]:
    """Return the picture with one REGION x REGION part decoded from its own latents, and the part's corner."""
    import torch

    y, x = (int(v) // 8 * 8 for v in rng.integers(0, SIDE - REGION + 1, size=2))
    part = torch.from_numpy(pixels[y : y + REGION, x : x + REGION].astype(np.float32) / 127.5 - 1).permute(2, 0, 1)[
        None
    ]
    with torch.no_grad():
        drawn = vae.decode(vae.encode(part).latent_dist.mean).sample[0].permute(1, 2, 0).numpy()
    changed = pixels.copy()
    changed[y : y + REGION, x : x + REGION] = np.clip((drawn + 1) * 127.5, 0, 255).astype(np.uint8)
    return changed, (y, x)


def windows_in(shape: tuple[int, int], corner: tuple[int, int]) -> NDArray[np.float64]:
    """Return the share of every window that lies inside the region."""
    starts = [np.linspace(0, SIDE - WINDOW, count) for count in shape]
    shares = [
        np.clip(np.minimum(s + WINDOW, c + REGION) - np.maximum(s, c), 0, None) / WINDOW
        for s, c in zip(starts, corner, strict=True)
    ]
    return np.outer(shares[0], shares[1])


def main() -> None:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--count", type=int, default=30)
    given = parser.parse_args()
    from diffusers import AutoencoderKL

    cv2.setNumThreads(1)
    vae = AutoencoderKL.from_pretrained(VAE).eval()
    network = ScoringModel(MODELS, "learned")

    def score(crops: tuple[Crop, ...]) -> NDArray[np.float32]:
        stacked = np.stack([c.pixels for c in crops]).transpose(0, 3, 1, 2)
        return network.run({"rgb": np.ascontiguousarray(stacked, dtype=np.float32)})[0][:, 0]

    rng = np.random.default_rng(1)
    found: dict[str, tuple[list[bool], list[float], list[str]]] = {}
    used = 0
    for path in sorted(p for p in given.photos.rglob("*") if p.suffix.lower() in (".jpg", ".jpeg", ".png")):
        pixels = decode(path.read_bytes()).rgb
        if used == given.count or min(pixels.shape[:2]) < SIDE:
            continue
        used += 1
        top, left = ((side - SIDE) // 2 // 8 * 8 for side in pixels.shape[:2])
        changed, corner = redrawn(np.ascontiguousarray(pixels[top : top + SIDE, left : left + SIDE]), vae, rng)
        for quality in QUALITIES:
            scores = window_scores(changed if quality is None else jpeg_round_trip(changed, quality=quality), score)
            if scores is None:
                continue
            share = windows_in((scores.shape[0], scores.shape[1]), corner)
            labels, values, names = found.setdefault("lossless" if quality is None else f"JPEG {quality}", ([], [], []))
            chosen = (share > 0.5) | (share == 0)
            labels += (share[chosen] > 0.5).tolist()
            values += (scores[chosen] - scores.mean()).tolist()  # within a picture: where, not whether
            names += [path.name] * int(chosen.sum())
    rows = {}
    for name, (labels, values, names) in found.items():
        truth, ratios = np.array(labels), np.array(values)
        interval = group_bootstrap(names, lambda i, t=truth, r=ratios: auc(t[i], r[i]), seed=1)  # type: ignore[misc]
        rows[name] = {"window_auc": round(auc(truth, ratios), 3), "interval": [round(v, 3) for v in interval]}
    print(json.dumps({"photographs": used, "region_px": REGION, "window_px": WINDOW, "results": rows}, indent=1))


if __name__ == "__main__":
    main()
