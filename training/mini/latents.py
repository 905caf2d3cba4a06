"""Compute once what the UNet trains on: latents and token ids of some ten thousand scenes.

Data flow: ``scene_at`` -> ``draw`` -> encoder -> (N, 4, 32, 32) float16; ``caption`` x 4 wordings -> (N, 4, 40) int16.
Written in shards of 500 scenes, so that a killed run goes on where it was.

The latents are normalised to mean 0 and deviation 1 per channel. The numbers are folded into the autoencoder's
1x1 ``quant_conv`` and ``post_quant_conv`` (``fold_normalisation``), so that the stored model needs no other
scaling factor than 1 and the stock pipelines work unchanged.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from torch import Tensor

from training.mini.captions import caption
from training.mini.drawing import draw
from training.mini.scenes import scene_at
from training.mini.store import CACHE, SEED, load_checkpoint, prepare_torch, save_checkpoint
from training.mini.text import load_text, tokenise
from training.mini.vae import LATENT_CHANNELS, load_vae, to_tensor

if TYPE_CHECKING:
    from diffusers import AutoencoderKL

SHARD: Final = 500
WORDINGS: Final = 4
STATISTICS_FROM: Final = 500  # scenes
FOLDER: Final = CACHE / "latents"


@torch.no_grad()
def encode(vae: AutoencoderKL, pictures: np.ndarray) -> Tensor:
    """Return the posterior means, (N, 4, 32, 32) float32, of (N, 256, 256, 3) uint8 pictures."""
    parts = [
        vae.encode(to_tensor(part).to(memory_format=torch.channels_last)).latent_dist.mean
        for part in np.array_split(pictures, max(1, len(pictures) // 10))
    ]
    return torch.cat(parts).contiguous()


def normalisation(vae: AutoencoderKL) -> tuple[Tensor, Tensor]:
    """Return mean and deviation, (4,) each, of the raw latents; measured once and kept in the cache."""
    state = load_checkpoint("latent-statistics")
    if state is None:
        pictures = np.stack([draw(scene_at(SEED + 1, i)) for i in range(STATISTICS_FROM)])
        raw = encode(vae, pictures)
        state = {"mean": raw.mean((0, 2, 3)), "deviation": raw.std((0, 2, 3))}
        save_checkpoint("latent-statistics", state)
    return state["mean"], state["deviation"]


@torch.no_grad()
def fold_normalisation(vae: AutoencoderKL, mean: Tensor, deviation: Tensor) -> None:
    """Change the 1x1 convolutions of ``vae`` in place so that its latents come out normalised.

    Args:
        vae: autoencoder with raw latents z.
        mean: (4,) mean of z.
        deviation: (4,) deviation of z, > 0.

    After this ``encode`` gives (z - mean) / deviation and ``decode`` takes it back.
    """
    channels = LATENT_CHANNELS
    vae.quant_conv.weight[:channels] /= deviation.view(-1, 1, 1, 1)
    vae.quant_conv.bias[:channels] = (vae.quant_conv.bias[:channels] - mean) / deviation
    vae.quant_conv.bias[channels:] -= 2.0 * deviation.log()  # log-variance
    vae.post_quant_conv.bias += vae.post_quant_conv.weight[:, :, 0, 0] @ mean
    vae.post_quant_conv.weight *= deviation.view(1, -1, 1, 1)
    vae.register_to_config(scaling_factor=1.0)


def load_normalised_vae() -> AutoencoderKL:
    """Return the trained autoencoder with normalised latents.

    The encoder and its statistics are those the latents were computed with, also after the decoder was refined.
    """
    vae = load_vae()
    fold_normalisation(vae, *normalisation(vae))
    return vae


def compute(*, count: int) -> None:
    """Write latents and token ids of the first ``count`` training scenes, shard by shard."""
    prepare_torch(SEED)
    FOLDER.mkdir(parents=True, exist_ok=True)
    tokenizer, _ = load_text()
    vae = load_normalised_vae()
    began = time.monotonic()
    for shard in range(count // SHARD):
        path = FOLDER / f"{shard:04d}.npz"
        if path.exists():
            continue
        scenes = [scene_at(SEED, shard * SHARD + i) for i in range(SHARD)]
        latents = encode(vae, np.stack([draw(scene) for scene in scenes])).half().numpy()
        rng = np.random.default_rng([SEED, shard, 5])
        texts = [caption(scene, rng) for scene in scenes for _ in range(WORDINGS)]
        tokens = tokenise(tokenizer, texts).numpy().astype(np.int16).reshape(SHARD, WORDINGS, -1)
        temporary = path.with_suffix(".part.npz")
        np.savez(temporary, latents=latents, tokens=tokens)
        temporary.rename(path)
        print(f"latents {(shard + 1) * SHARD}/{count} {time.monotonic() - began:.0f} s", flush=True)


def load_latents() -> tuple[Tensor, Tensor]:
    """Return all computed (N, 4, 32, 32) float16 latents and (N, 4, 40) int16 token ids."""
    paths = sorted(p for p in FOLDER.glob("*.npz") if ".part" not in p.name)
    if not paths:
        raise SystemExit("no latents in .cache/mini/latents; run `python -m training.mini latents` first")
    shards = [np.load(path) for path in paths]
    latents = np.concatenate([shard["latents"] for shard in shards])
    tokens = np.concatenate([shard["tokens"] for shard in shards])
    return torch.from_numpy(latents), torch.from_numpy(tokens)
