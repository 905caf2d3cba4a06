"""Train the autoencoder of signet-mini: pictures to the latents that ``latent_space`` defines, and back.

Data flow: ``scenes`` drawn on the fly (crops at first, whole pictures later) + smooth random fields
-> encoder -> squared error against ``picture_latents``; ``picture_latents`` + a little noise -> decoder
-> L1 + MSE + edge loss against the picture -> checkpoint ``vae`` in the cache.
The two halves share no gradient, so either can be refined later without touching the UNet.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from training.mini.drawing import draw
from training.mini.latent_space import LATENT_CHANNELS, picture_latents
from training.mini.optimiser import MovingAverage, MuonAdamW
from training.mini.scenes import scene_at
from training.mini.store import CHECKPOINT_EVERY_S, SEED, load_checkpoint, prepare_torch, save_checkpoint
from training.mini.vocabulary import IMAGE_SIZE_PX

if TYPE_CHECKING:
    from diffusers import AutoencoderKL

EDGE_WEIGHT: Final = 0.5
CHROMA_WEIGHT: Final = 0.5
POSTERIOR_DEVIATION: Final = 0.02  # what the encoder is taught to state as its own uncertainty
DECODER_NOISE: Final = 0.05  # largest deviation of the noise on the decoder's input; the UNet is never exact
CROP_PX: Final = 128
SMOOTH_FIELD_SHARE: Final = 0.08


def build_vae() -> AutoencoderKL:
    """Return the untrained autoencoder (four levels, so 8-fold smaller latents)."""
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        in_channels=3,
        out_channels=3,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(16, 32, 64, 80),
        layers_per_block=1,
        latent_channels=LATENT_CHANNELS,
        norm_num_groups=4,
        mid_block_add_attention=False,
        sample_size=IMAGE_SIZE_PX,
        scaling_factor=1.0,  # the defined latents are normalised already
    )


def to_tensor(pictures: np.ndarray) -> Tensor:
    """Return (N, H, W, 3) uint8 pictures as (N, 3, H, W) float32 in [-1, 1]."""
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float().div_(127.5).sub_(1.0)


def _smooth_field(rng: np.random.Generator, size: int) -> Tensor:
    coarse = torch.from_numpy(rng.uniform(-1.2, 1.2, (1, 3, *(rng.integers(2, 9, 2)))).astype(np.float32))
    field = functional.interpolate(coarse, size=(size, size), mode="bicubic", align_corners=True)
    noise = torch.from_numpy(rng.normal(0.0, rng.uniform(0.0, 0.1), (1, 3, size, size)).astype(np.float32))
    return (field + noise).clamp(-1.0, 1.0)[0]


def batch_at(seed: int, step: int, *, size: int, batch: int) -> Tensor:
    """Return the training batch of one step.

    Args:
        seed: seed of the run.
        step: step number; batches of different steps are independent.
        size: side of the square pictures in pixels, 128 (crops, two from each scene) or 256.
        batch: number of pictures.

    Returns:
        (batch, 3, size, size) float32 in [-1, 1].
    """
    rng = np.random.default_rng([seed, step, 7])
    pictures: list[Tensor] = []
    while len(pictures) < batch:
        if rng.random() < SMOOTH_FIELD_SHARE:
            pictures.append(_smooth_field(rng, size))
            continue
        kind = rng.choice(["pair", "single", "count", "landscape", "texture"], p=[0.34, 0.2, 0.16, 0.2, 0.1])
        scene = scene_at(seed, int(rng.integers(1 << 40)), kind=kind)
        whole = to_tensor(draw(scene)[None])[0]
        if size == IMAGE_SIZE_PX:
            pictures.append(whole)
            continue
        for index in range(min(2, batch - len(pictures))):
            if scene.items:  # centre the crop near an object, where the edges are
                item = scene.items[index % len(scene.items)]
                x, y = (int(c + rng.integers(-50, 51)) - size // 2 for c in (item.x, item.y))
            else:
                x, y = (int(v) for v in rng.integers(0, IMAGE_SIZE_PX - size, 2))
            x, y = (min(max(0, v), IMAGE_SIZE_PX - size) for v in (x, y))
            pictures.append(whole[:, y : y + size, x : x + size])
    return torch.stack(pictures)


def reconstruction_loss(output: Tensor, target: Tensor) -> Tensor:
    """Return L1 + MSE + weighted L1 of finite differences and of channel differences, averaged over (N, 3, H, W)."""
    difference = output - target
    across = (difference[..., 1:] - difference[..., :-1]).abs().mean()
    down = (difference[..., 1:, :] - difference[..., :-1, :]).abs().mean()
    chroma = (difference[:, 1:] - difference[:, :-1]).abs().mean()
    plain = difference.abs().mean() + difference.square().mean()
    return plain + EDGE_WEIGHT * (across + down) + CHROMA_WEIGHT * chroma


def latent_targets(pictures: Tensor) -> Tensor:
    """Return the defined latents, (N, 4, H/8, W/8), of (N, 3, H, W) float32 pictures in [-1, 1]."""
    pixels = ((pictures + 1.0) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous()
    return torch.from_numpy(picture_latents(pixels.numpy()))


def _train_step(vae: AutoencoderKL, pictures: Tensor) -> tuple[float, float]:
    target = latent_targets(pictures)
    posterior = vae.encode(pictures).latent_dist
    encoding = functional.smooth_l1_loss(posterior.mean, target, beta=0.1)
    certainty = (posterior.logvar - 2.0 * math.log(POSTERIOR_DEVIATION)).square().mean()
    (encoding + 0.01 * certainty).backward()
    strength = torch.rand(len(target), 1, 1, 1) * DECODER_NOISE
    output = vae.decode(target + strength * torch.randn_like(target)).sample
    reconstruction_loss(output, pictures).backward()
    error = functional.mse_loss(output.detach(), pictures)
    return float(error), float(functional.mse_loss(posterior.mean.detach(), target))


def train(*, steps: int, rate: float, whole_from: float) -> None:
    """Train, or go on training, until ``steps`` steps are done.

    Args:
        steps: total number of steps; the learning rate is held for a third of them, then decays.
        rate: peak learning rate.
        whole_from: share of the steps after which whole 256 px pictures replace 128 px crops.
    """
    prepare_torch(SEED)
    vae = build_vae().to(memory_format=torch.channels_last)
    optimiser = MuonAdamW(vae, rate=rate, steps=steps, warmup=30, floor=0.02, hold=0.33)
    average = MovingAverage(vae, 0.99)
    state = load_checkpoint("vae")
    seconds = 0.0
    if state is not None:
        vae.load_state_dict(state["model"])
        optimiser.load_state_dict(state["optimiser"])
        average.shadow = {k: state["average"][k] for k in average.shadow}
        seconds = state["seconds"]
    began = saved = time.monotonic()
    while optimiser.step_number < steps:
        step = optimiser.step_number
        torch.manual_seed(SEED + step)
        whole = step >= whole_from * steps
        pictures = batch_at(SEED, step, size=IMAGE_SIZE_PX if whole else CROP_PX, batch=1 if whole else 3)
        error, miss = _train_step(vae, pictures.to(memory_format=torch.channels_last))
        optimiser.step()
        average.update(vae, step)
        now = time.monotonic()
        if step % 20 == 0:
            quality = f"decoder {10 * math.log10(4.0 / max(error, 1e-12)):.2f} dB encoder {miss:.4f}"
            print(f"vae step {step}/{steps} {quality} {seconds + now - began:.0f} s", flush=True)
        if now - saved > CHECKPOINT_EVERY_S or optimiser.step_number == steps:
            saved = now
            state = {"model": vae.state_dict(), "optimiser": optimiser.state_dict(), "step": optimiser.step_number}
            smooth = {**vae.state_dict(), **average.shadow}
            save_checkpoint("vae", {**state, "average": smooth, "seconds": seconds + now - began})


def load_vae() -> AutoencoderKL:
    """Return the trained autoencoder in evaluation mode."""
    state = load_checkpoint("vae")
    if state is None:
        raise SystemExit("no checkpoint 'vae' in .cache/mini; run `python -m training.mini vae` first")
    vae = build_vae()
    vae.load_state_dict(state["average"])
    return vae.eval().to(memory_format=torch.channels_last)
