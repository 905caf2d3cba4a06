"""Measure how often signet-mini follows held-out prompts.

Data flow: 200 held-out scenes -> captions -> pictures -> ``measure.judge`` -> rates with Wilson 95 % intervals
-> ``docs/signet-mini.json`` and the table of ``docs/signet-mini.md``.
"""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from training.mini.captions import caption
from training.mini.generate import GUIDANCE, STEPS, generate
from training.mini.measure import Verdict, judge
from training.mini.scenes import Kind, Scene, scene_at
from training.mini.store import CACHE, ROOT, SEED, load_checkpoint, prepare_torch

if TYPE_CHECKING:
    from diffusers import StableDiffusionPipeline

SHARES: Final[dict[Kind, float]] = {"pair": 0.6, "single": 0.25, "count": 0.15}
REPORT: Final = ROOT / "docs" / "signet-mini.json"
EVALUATION_SEED: Final = 4242


def wilson(right: int, total: int) -> tuple[float, float]:
    """Return the 95 % Wilson score interval of a rate.

    Source: Wilson 1927; z = 1.959964. ``total`` must be positive.
    """
    z = 1.959964
    rate = right / total
    centre = (rate + z * z / (2 * total)) / (1 + z * z / total)
    half = z * math.sqrt(rate * (1 - rate) / total + z * z / (4 * total * total)) / (1 + z * z / total)
    return centre - half, centre + half


def heldout_prompts(count: int, *, seed: int = SEED) -> list[tuple[Scene, str]]:
    """Return held-out scenes (pairs 60 %, singles 25 %, counts 15 %) and one caption of each.

    Args:
        count: number of prompts.
        seed: SEED for the reported prompts; settings are chosen on those of other seeds.
    """
    chosen: list[tuple[Scene, str]] = []
    for kind, share in SHARES.items():
        for index in range(round(count * share)):
            scene = scene_at(seed, index, split="heldout", kind=kind)
            chosen.append((scene, caption(scene, np.random.default_rng([seed, index, 99]))))
    return chosen


def _rate(flags: list[bool]) -> dict[str, float]:
    right = sum(flags)
    low, high = wilson(right, len(flags))
    return {"right": right, "n": len(flags), "rate": right / len(flags), "low": low, "high": high}


def summarise(scenes: list[Scene], verdicts: list[Verdict]) -> dict[str, dict[str, float]]:
    """Return rates by attribute and by kind of scene."""
    pairs = list(zip(scenes, verdicts, strict=True))
    rows = {
        "number": [v.number for v in verdicts],
        "colour": [v.colour for v in verdicts],
        "shape": [v.shape for v in verdicts],
        "background": [v.background for v in verdicts],
        "relation": [bool(v.place) for s, v in pairs if s.kind == "pair"],
        "position": [bool(v.place) for s, v in pairs if s.kind == "single"],
        "follows": [v.follows for v in verdicts],
        "follows and background": [v.follows and v.background for v in verdicts],
        **{f"follows ({kind})": [v.follows for s, v in pairs if s.kind == kind] for kind in SHARES},
    }
    return {name: _rate(flags) for name, flags in rows.items() if flags}


def contact_sheet(pictures: NDArray[np.uint8], columns: int) -> Image.Image:
    """Return (N, H, W, 3) pictures as one image with ``columns`` pictures in a row and white gaps of 6 px."""
    gap = 6
    count, height, width, _ = pictures.shape
    rows = math.ceil(count / columns)
    sheet = np.full((rows * (height + gap) + gap, columns * (width + gap) + gap, 3), 255, np.uint8)
    for index, picture in enumerate(pictures):
        top, left = gap + index // columns * (height + gap), gap + index % columns * (width + gap)
        sheet[top : top + height, left : left + width] = picture
    return Image.fromarray(sheet)


def evaluate(
    pipeline: StableDiffusionPipeline,
    *,
    count: int = 200,
    steps: int = STEPS,
    guidance: float = GUIDANCE,
    failures: Path | None = None,
    prompt_seed: int = SEED,
) -> dict[str, Any]:
    """Draw ``count`` held-out prompts and measure them.

    Args:
        pipeline: loaded pipeline.
        count: number of prompts, shared over the kinds.
        steps: sampling steps.
        guidance: guidance scale.
        failures: where to save a sheet of the pictures that do not follow, or None.
        prompt_seed: which held-out prompts; any other than SEED is for choosing settings, not for reporting.

    Returns:
        Settings, rates by attribute, and the failed prompts.
    """
    prepare_torch(SEED)
    prompts = heldout_prompts(count, seed=prompt_seed)
    began = time.monotonic()
    pictures = generate(pipeline, [text for _, text in prompts], seed=EVALUATION_SEED, steps=steps, guidance=guidance)
    seconds = (time.monotonic() - began) / len(prompts)
    scenes = [scene for scene, _ in prompts]
    verdicts = [judge(scene, picture) for scene, picture in zip(scenes, pictures, strict=True)]
    wrong = [i for i, verdict in enumerate(verdicts) if not verdict.follows]
    if failures is not None and wrong:
        contact_sheet(pictures[wrong], 8).save(failures)
    state = load_checkpoint("unet")
    return {
        "prompts": len(prompts),
        "sampling_steps": steps,
        "guidance": guidance,
        "seed": EVALUATION_SEED,
        "seconds_per_image_batched": round(seconds, 3),
        "training_steps": None if state is None else int(state["step"]),
        "rates": summarise(scenes, verdicts),
        "failed": [prompts[i][1] for i in wrong],
    }


def print_rates(report: dict[str, Any]) -> None:
    """Print the rates of a report as a table."""
    for name, row in report["rates"].items():
        print(f"{name:24s} {row['right']:3d}/{row['n']:3d} {row['rate']:6.1%}  [{row['low']:.1%}, {row['high']:.1%}]")


def write_report(report: dict[str, Any], path: Path = REPORT) -> None:
    """Write a report as JSON."""
    CACHE.mkdir(parents=True, exist_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=2) + "\n")
