"""Draw the contact sheet of signet-mini: 24 prompts that show what it can do, failures included.

Data flow: fixed prompts and seed -> ``generate`` -> ``docs/signet-mini-sheet.png`` (6 columns, 4 rows).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from training.mini.evaluate import contact_sheet
from training.mini.generate import generate
from training.mini.store import ROOT, SEED, prepare_torch

if TYPE_CHECKING:
    from diffusers import StableDiffusionPipeline

SHEET: Final = ROOT / "docs" / "signet-mini-sheet.png"
SHEET_SEED: Final = 7
SHEET_PROMPTS: Final = (
    "a red circle to the left of a blue square",
    "a yellow star above a purple heart, light blue background",
    "a green triangle to the right of an orange ring",
    "a pink diamond below a black cross on a beige background",
    "a white heart left of a red star on a black background",
    "a large blue circle over a small yellow square",
    "a large red heart",
    "a small green star in the top right corner",
    "a purple ring in the bottom left corner, grey background",
    "a brown cross on the left side on a light green background",
    "a large yellow triangle at the bottom on a black background",
    "an orange square in the center",
    "three red stars",
    "two blue hearts on a light blue background",
    "four green diamonds",
    "2 white rings on a black background",
    "snowy mountains at sunset",
    "a house on green hills by day",
    "a sailing boat on the sea at night",
    "a cactus in the desert on a sunny day",
    "trees in front of mountains at night",
    "red and white vertical stripes",
    "a black and yellow checkerboard",
    "a gradient from blue to pink",
)


def draw_sheet(pipeline: StableDiffusionPipeline, path: Path = SHEET) -> None:
    """Draw the 24 prompts and save the sheet as PNG."""
    prepare_torch(SEED)
    pictures = generate(pipeline, list(SHEET_PROMPTS), seed=SHEET_SEED)
    path.parent.mkdir(parents=True, exist_ok=True)
    contact_sheet(pictures, 6).save(path, optimize=True)
    print(f"{len(SHEET_PROMPTS)} pictures in {path}")
