"""Compute once what the UNet trains on: latents and token ids of some ten thousand scenes.

Data flow: ``scene_at`` -> ``draw`` -> ``picture_latents`` (N, 4, 32, 32) float16; ``caption`` x 4 wordings
-> (N, 4, 40) int16. Written in shards, so that a killed run goes on where it was; the UNet reads new shards as
they come.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor

from training.mini.captions import caption
from training.mini.drawing import draw
from training.mini.latent_space import picture_latents
from training.mini.parallel import WORKERS, launch
from training.mini.scenes import scene_at
from training.mini.store import CACHE, SEED
from training.mini.text import load_text, tokenise

SHARD: Final = 1000
WORDINGS: Final = 4
FOLDER: Final = CACHE / "latents"


def _compute_worker(worker: int, count: int) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    tokenizer, _ = load_text()
    began = time.monotonic()
    for shard in range(worker, count // SHARD, WORKERS):
        path = FOLDER / f"{shard:04d}.npz"
        if path.exists():
            continue
        scenes = [scene_at(SEED, shard * SHARD + i) for i in range(SHARD)]
        latents = np.concatenate([picture_latents(draw(scene)[None]) for scene in scenes]).astype(np.float16)
        rng = np.random.default_rng([SEED, shard, 5])
        texts = [caption(scene, rng) for scene in scenes for _ in range(WORDINGS)]
        tokens = tokenise(tokenizer, texts).numpy().astype(np.int16).reshape(SHARD, WORDINGS, -1)
        temporary = path.with_suffix(".part.npz")
        np.savez(temporary, latents=latents, tokens=tokens)
        temporary.rename(path)
        print(f"latents: shard {shard} of {count // SHARD} after {time.monotonic() - began:.0f} s", flush=True)


def compute(*, count: int) -> None:
    """Write latents and token ids of the first ``count`` training scenes, shard by shard, on all workers."""
    launch(_compute_worker, count)


def latent_shards() -> list[Path]:
    """Return the finished shards, in order."""
    return sorted(p for p in FOLDER.glob("*.npz") if ".part" not in p.name)


def load_latents() -> tuple[Tensor, Tensor]:
    """Return all computed (N, 4, 32, 32) float16 latents and (N, 4, 40) int16 token ids."""
    paths = latent_shards()
    if not paths:
        raise SystemExit("no latents in .cache/mini/latents; run `python -m training.mini latents` first")
    shards = [np.load(path) for path in paths]
    latents = np.concatenate([shard["latents"] for shard in shards])
    tokens = np.concatenate([shard["tokens"] for shard in shards])
    return torch.from_numpy(latents), torch.from_numpy(tokens)
