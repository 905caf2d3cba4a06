"""Write signet-mini as an ordinary diffusers folder, with the SHA-256 of every file.

Data flow: checkpoints of the cache -> ``StableDiffusionPipeline`` -> ``guard/models/signet-mini`` (half precision,
safetensors) -> ``digests.json`` -> read back through ``DiffusionPipeline.from_pretrained``.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch

from training.mini.store import MODEL_DIR
from training.mini.text import load_text
from training.mini.unet import SCHEDULE, load_unet
from training.mini.vae import load_vae

if TYPE_CHECKING:
    from diffusers import StableDiffusionPipeline

SIZE_LIMIT_BYTES: Final = 15_000_000
WEIGHT_SUFFIXES: Final = (".safetensors", ".json", ".txt")
DIGESTS: Final = "digests.json"


def build_pipeline() -> StableDiffusionPipeline:
    """Return the pipeline of the present checkpoints, in float32."""
    from diffusers import DDIMScheduler, StableDiffusionPipeline

    tokenizer, tower = load_text()
    unet, _, _ = load_unet()
    pipeline: StableDiffusionPipeline = StableDiffusionPipeline(
        vae=load_vae(),
        text_encoder=tower,
        tokenizer=tokenizer,
        unet=unet,
        scheduler=DDIMScheduler(**SCHEDULE, clip_sample=False),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    return pipeline


def load_pipeline(folder: Path = MODEL_DIR) -> StableDiffusionPipeline:
    """Return the stored pipeline, loaded as a caller of diffusers loads it."""
    from diffusers import DiffusionPipeline

    pipeline: StableDiffusionPipeline = DiffusionPipeline.from_pretrained(folder, local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def digests(folder: Path) -> dict[str, str]:
    """Return {relative path: SHA-256 in hexadecimal} of the files that make the model."""
    files = sorted(p for p in folder.rglob("*") if p.suffix in WEIGHT_SUFFIXES and p.name != DIGESTS)
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def _edit_json(path: Path, changes: dict[str, Any]) -> None:
    content = json.loads(path.read_text())
    content.update(changes)
    path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n")


def export(folder: Path = MODEL_DIR) -> int:
    """Write the model into ``folder`` and return its size in bytes.

    Raises:
        SystemExit: the folder is larger than 15 MB, or does not load.
    """
    pipeline = build_pipeline()
    pipeline.to(torch.float16, silence_dtype_warnings=True)
    pipeline.save_pretrained(folder, safe_serialization=True)
    # transformers loads in the type that config.json names; the CPU pipeline computes in float32 throughout.
    _edit_json(folder / "text_encoder" / "config.json", {"dtype": "float32"})
    for path in folder.rglob("*.safetensors"):
        path.chmod(0o644)  # safetensors writes 0600; git and wheels want ordinary files
    (folder / DIGESTS).write_text(json.dumps(digests(folder), indent=2) + "\n")
    size = sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())
    if size > SIZE_LIMIT_BYTES:
        raise SystemExit(f"signet-mini is {size} bytes, more than {SIZE_LIMIT_BYTES}; make the UNet smaller")
    loaded = load_pipeline(folder)
    kinds = {str(part.dtype) for part in (loaded.unet, loaded.vae, loaded.text_encoder)}
    if kinds != {"torch.float32"}:
        raise SystemExit(f"signet-mini loads as {kinds}, expected float32 throughout")
    print(f"signet-mini: {size / 1e6:.2f} MB in {folder}")
    return size
