"""Train the UNet of signet-mini on precomputed latents, with the text tower fixed.

Data flow: ``latents`` + token states of the frozen tower -> noise by the cosine schedule -> ``UNet2DConditionModel``
-> velocity -> weighted squared error -> Muon/AdamW -> moving average -> checkpoint ``unet``.

Source: velocity and its target: Salimans & Ho 2022 (arXiv 2202.00512) app. D; cosine schedule: Nichol & Dhariwal 2021
(arXiv 2102.09672) sec. 3.2; capped weight: Hang et al. 2023 (arXiv 2303.09556). Differs: the weight on the predicted
clean latent is min(SNR + 1, 6), not min(SNR, 5), because the layout is decided at SNR near 0, where theirs vanishes.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor

from training.mini.latent_space import LATENT_CHANNELS, LATENT_SIZE
from training.mini.latents import SHARD, WORDINGS, latent_shards, load_latents
from training.mini.optimiser import MovingAverage, MuonAdamW
from training.mini.parallel import WORKERS, average_gradients, launch, sum_over_workers
from training.mini.store import CHECKPOINT_EVERY_S, SEED, load_checkpoint, save_checkpoint
from training.mini.text import WIDTH, load_text, tokenise

if TYPE_CHECKING:
    from diffusers import UNet2DConditionModel
    from transformers import CLIPTextModel

CAPTION_DROPOUT: Final = 0.1
WEIGHT_CAP: Final = 6.0
TRAIN_TIMESTEPS: Final = 1000
AVERAGE_DECAY: Final = 0.998
HOLD_SHARE: Final = 0.6
RELOAD_EVERY: Final = 100  # steps
SCHEDULE: Final = {
    "num_train_timesteps": TRAIN_TIMESTEPS,
    "beta_schedule": "squaredcos_cap_v2",
    "prediction_type": "v_prediction",
    "timestep_spacing": "trailing",
    "steps_offset": 1,  # without effect at trailing spacing; diffusers warns about 0
}


def build_unet() -> UNet2DConditionModel:
    """Return the untrained UNet: 32x32 without, 16x16 and 8x8 with self- and cross-attention."""
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(
        sample_size=LATENT_SIZE,
        in_channels=LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        block_out_channels=(32, 96, 128),
        layers_per_block=1,
        cross_attention_dim=WIDTH,
        attention_head_dim=4,
        norm_num_groups=8,
        only_cross_attention=(False, True, False),  # self-attention at 8x8 only: a sixth less work
    )


def alpha_bars() -> Tensor:
    """Return the (1000,) float32 cumulative products of the schedule that the stock schedulers use."""
    from diffusers import DDPMScheduler

    products: Tensor = DDPMScheduler(**SCHEDULE).alphas_cumprod
    return products


def diffusion_loss(unet: UNet2DConditionModel, clean: Tensor, states: Tensor, products: Tensor) -> Tensor:
    """Return the weighted velocity error of one batch.

    Args:
        unet: network under training.
        clean: (N, 4, 32, 32) float32 normalised latents.
        states: (N, 40, 128) float32 token states.
        products: (1000,) cumulative products.
    """
    count = clean.shape[0]
    # Stratified time steps: one from each of N equal slices, which lowers the variance of the batch loss.
    steps = (
        ((torch.randperm(count) + torch.rand(count)) / count * TRAIN_TIMESTEPS).long().clamp(max=TRAIN_TIMESTEPS - 1)
    )
    kept = products[steps].view(-1, 1, 1, 1)
    noise = torch.randn_like(clean)
    noisy = kept.sqrt() * clean + (1.0 - kept).sqrt() * noise
    target = kept.sqrt() * noise - (1.0 - kept).sqrt() * clean
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = unet(noisy, steps, states).sample
    error = (output.float() - target).square().mean((1, 2, 3))
    weight = (WEIGHT_CAP * (1.0 - kept.flatten())).clamp(max=1.0)  # min(SNR + 1, cap) / (SNR + 1)
    return (weight * error).mean()


@torch.no_grad()
def _states(tower: CLIPTextModel, tokens: Tensor, empty: Tensor) -> Tensor:
    dropped = torch.rand(tokens.shape[0]) < CAPTION_DROPOUT
    ids = torch.where(dropped[:, None], empty, tokens.long())
    states: Tensor = tower(ids).last_hidden_state
    return states


def _resume(unet: UNet2DConditionModel, optimiser: MuonAdamW, average: MovingAverage) -> float:
    """Take back the last checkpoint, where there is one, and return the seconds trained so far."""
    state = load_checkpoint("unet")
    if state is None:
        return 0.0
    unet.load_state_dict(state["model"])
    optimiser.load_state_dict(state["optimiser"])
    average.shadow = state["average"]
    return float(state["seconds"])


def _train_worker(worker: int, steps: int, rate: float, batch: int) -> None:
    torch.manual_seed(SEED)
    latents, tokens = load_latents()
    tokenizer, tower = load_text()
    empty = tokenise(tokenizer, [""])
    products = alpha_bars()
    unet = build_unet()
    parameters = list(unet.parameters())
    optimiser = MuonAdamW(unet, rate=rate, steps=steps, warmup=60, floor=0.02, hold=HOLD_SHARE)
    average = MovingAverage(unet, AVERAGE_DECAY)
    seconds = _resume(unet, optimiser, average)
    began = saved = time.monotonic()
    smoothed = 0.0
    while optimiser.step_number < steps:
        step = optimiser.step_number
        if step % RELOAD_EVERY == 0 and len(latent_shards()) * SHARD > len(latents):
            latents, tokens = load_latents()  # the latents job may still be adding scenes
        torch.manual_seed((SEED * 1000 + step) * WORKERS + worker)
        rows = torch.randint(len(latents), (batch // WORKERS,))
        words = tokens[rows, torch.randint(WORDINGS, (len(rows),))]
        loss = diffusion_loss(unet, latents[rows].float(), _states(tower, words, empty), products)
        loss.backward()
        average_gradients(parameters)
        optimiser.step((worker, WORKERS), sum_over_workers)
        value = float(loss.detach())
        smoothed = value if smoothed == 0.0 else 0.98 * smoothed + 0.02 * value
        now = time.monotonic()
        if worker > 0:
            continue
        average.update(unet, step)
        if step % 50 == 0:
            print(f"unet step {step}/{steps} loss {smoothed:.4f} {seconds + now - began:.0f} s", flush=True)
        if now - saved > CHECKPOINT_EVERY_S or optimiser.step_number == steps:
            saved = now
            state = {"model": unet.state_dict(), "optimiser": optimiser.state_dict(), "average": average.shadow}
            save_checkpoint("unet", {**state, "step": optimiser.step_number, "seconds": seconds + now - began})


def train(*, steps: int, rate: float, batch: int) -> None:
    """Train, or go on training, until ``steps`` steps of ``batch`` latents are done.

    Args:
        steps: total number of steps; the rate is held for 60 % of them, then decays to 2 %.
        rate: peak learning rate.
        batch: latents in a step, shared by the workers.
    """
    launch(_train_worker, steps, rate, batch)


def load_unet() -> tuple[UNet2DConditionModel, int, float]:
    """Return the averaged UNet in evaluation mode, its number of steps and its training time in seconds."""
    state = load_checkpoint("unet")
    if state is None:
        raise SystemExit("no checkpoint 'unet' in .cache/mini; run `python -m training.mini unet` first")
    unet = build_unet()
    unet.load_state_dict({**state["model"], **state["average"]})
    return unet.eval(), int(state["step"]), float(state["seconds"])
