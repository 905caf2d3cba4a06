"""Write the model card of signet-mini and its page under docs from what was measured, so that neither can drift.

Data flow: ``docs/signet-mini.json`` (evaluate) + checkpoints (steps, hours) + stored folder (parameters, bytes)
-> ``guard/models/signet-mini/README.md`` and ``docs/signet-mini.md``.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any, Final

from training.mini.evaluate import REPORT
from training.mini.notes import DECISIONS, LIMITS
from training.mini.store import MODEL_DIR, ROOT, SEED, load_checkpoint
from training.mini.vocabulary import COLOURS, RADII_PX, SHAPES, TERRAINS, TEXTURES, TIMES

PAGE: Final = ROOT / "docs" / "signet-mini.md"
JOBS: Final = ("vae", "text", "unet")
MACHINE: Final = "2 cores of an AMD Zen 4 server (AVX-512, bfloat16), no GPU, shared with other work"
RESUME: Final = "python -m training.mini all"
GOAL: Final = 0.90


def _training_rows() -> list[str]:
    rows = []
    for name in JOBS:
        state = load_checkpoint(name)
        if state is not None:
            rows.append(f"| `{name}` | {int(state['step']):,} | {float(state['seconds']) / 3600:.2f} |")
    return rows


def _rate_rows(report: dict[str, Any]) -> list[str]:
    return [
        f"| {name} | {row['right']}/{row['n']} | {row['rate']:.1%} | {row['low']:.1%} - {row['high']:.1%} |"
        for name, row in report["rates"].items()
    ]


def _commit() -> str:
    command = ["git", "-C", str(ROOT), "log", "-1", "--format=%h", "--", "training/mini"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def _parameters(folder: Path) -> dict[str, int]:
    from safetensors import safe_open

    counts = {}
    for path in sorted(folder.rglob("*.safetensors")):
        with safe_open(path, "numpy") as tensors:
            sizes = [tensors.get_slice(key).get_shape() for key in tensors.keys()]  # noqa: SIM118 (not a dict)
        total = 0
        for shape in sizes:
            product = 1
            for side in shape:
                product *= side
            total += product
        counts[path.parent.name] = total
    return counts


def verdict(report: dict[str, Any]) -> str:
    """Return one sentence that says whether the goal of 90 % is reached."""
    row = report["rates"]["follows"]
    reached = "reaches" if row["rate"] >= GOAL else "does NOT reach"
    return (
        f"It follows {row['right']} of {row['n']} held-out prompts ({row['rate']:.1%}) and so {reached} the goal "
        f"of {GOAL:.0%}."
    )


def _about(report: dict[str, Any]) -> list[str]:
    return [
        "A small text-conditioned latent diffusion model, made from nothing by the scripts in `training/mini`.",
        "It draws coloured shapes, their places and numbers, simple landscapes and textures, 256x256 pixels.",
        verdict(report),
        "",
        "## Use",
        "",
        "```python",
        "from diffusers import DiffusionPipeline",
        'pipeline = DiffusionPipeline.from_pretrained("guard/models/signet-mini")',
        'prompt = "a red circle to the left of a blue square"',
        "image = pipeline(prompt, num_inference_steps=20, guidance_scale=2.0).images[0]",
        "```",
        "",
        "`AutoPipelineForImage2Image.from_pipe` and `AutoPipelineForInpainting.from_pipe` take the same weights.",
        "",
        "## What it knows",
        "",
        f"- colours: {', '.join(COLOURS)}",
        f"- shapes: {', '.join(SHAPES)}; sizes: {', '.join(RADII_PX)}; nine places; one to four of a kind",
        "- two objects: left of, right of, above, below, in several wordings; gray and grey, center and centre",
        f"- landscapes: {', '.join(TERRAINS)}, each by {', '.join(TIMES)}; textures: {', '.join(TEXTURES)}",
        "",
        "It knows nothing else: no people, no text, no photographs. Other words are ignored as well as it can.",
        "",
    ]


def _made(folder: Path) -> list[str]:
    parameters = _parameters(folder)
    megabytes = sum(p.stat().st_size for p in folder.rglob("*") if p.is_file()) / 1e6
    counted = ", ".join(f"{name} {count / 1e6:.2f} M" for name, count in parameters.items())
    return [
        "## Architecture",
        "",
        f"Stock diffusers classes, {megabytes:.1f} MB in half precision ({counted} parameters):",
        "`CLIPTextModel` (3 layers, width 128, 40 tokens), byte-level BPE of the captions' words,",
        "`AutoencoderKL` (8-fold, 4 channels), `UNet2DConditionModel` (32, 96, 128),",
        "velocity prediction, cosine schedule, `DDIMScheduler` (trailing steps).",
        "",
        "## Data and training",
        "",
        f"Scenes drawn by `training/mini` (commit {_commit()}), seed {SEED}; nothing was collected. A tenth of all",
        "combinations is held out by a SHA-256 hash of the scene's meaning and never drawn for training.",
        f"Machine: {MACHINE}.",
        "",
        "| job | steps | hours |",
        "|---|---|---|",
        *_training_rows(),
        "",
        "The text tower was trained first, alone, to say what lies where; the UNet was trained with it fixed.",
        f"Reproduce or go on: `{RESUME}` (resumes from `.cache/mini`).",
        "",
    ]


def _measured(report: dict[str, Any]) -> list[str]:
    return [
        "## Measured",
        "",
        f"{report['prompts']} held-out prompts, seed {report['seed']}, {report['sampling_steps']} steps, guidance "
        f"{report['guidance']}, judged by `training/mini/measure.py` (segmentation and contours, no model; right",
        "on at least 99 % of drawn scenes, `tests/training/test_mini_measure.py`). Interval: Wilson, 95 %.",
        "`follows` = number, colours, shapes and relation or position all right.",
        "",
        "| attribute | right | rate | interval |",
        "|---|---|---|---|",
        *_rate_rows(report),
        "",
        f"Time: {report['seconds_per_image_batched']} s an image (batches of 8, 2 cores).",
        "",
        "## Weak points",
        "",
        *(f"- {line}" for line in LIMITS),
        "",
        "## Decisions and what they rest on",
        "",
        *(f"- {line}" for line in DECISIONS),
        "",
    ]


def body(report: dict[str, Any], folder: Path = MODEL_DIR) -> str:
    """Return the text shared by the model card and the page."""
    return "\n".join([*_about(report), *_made(folder), *_measured(report)])


def write_card(report_path: Path = REPORT, folder: Path = MODEL_DIR) -> None:
    """Write the model card and the page."""
    report = json.loads(report_path.read_text())
    text = body(report, folder)
    head = "---\nlicense: apache-2.0\nlibrary_name: diffusers\npipeline_tag: text-to-image\n---\n\n# signet-mini\n\n"
    (folder / "README.md").write_text(f"{head}{text}\n## Licence\n\nApache-2.0, weights and code.\n")
    sheet = "![24 samples, not chosen](signet-mini-sheet.png)\n\n"
    PAGE.write_text(f"# signet-mini\n\n{sheet}{text}")
    print(f"wrote {folder / 'README.md'} and {PAGE}")
