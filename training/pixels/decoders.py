"""Small autoencoders with decoders of different kinds, trained here: they redraw photographs as generators do.

A latent generator's last step is a decoder; what it leaves in the pixels depends on how it enlarges. Three kinds are
trained on the photographs that may train anyway; signet-mini's decoder is the fourth. Source: aligned pairs, Rajan et
al. 2025 (arXiv 2410.11835). Differs: several small decoders of our own, photographs keep their saves.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from training.pixels.crops import SIDE, read_crops

WIDTHS: Final = (20, 32, 48, 64)
KINDS: Final = {"nearest": (3, 16), "shuffle": (3, 12), "transposed": (2, 4)}
"""Way of enlarging -> (factor-2 stages, latent channels): 8:1 like SDXL and FLUX, and 4:1."""
STEPS: Final = 2100
BATCH: Final = 8
PART: Final = 96
RATE: Final = 2e-3
LATENT_NOISE: Final = 0.03
MINI: Final = Path(__file__).resolve().parents[2] / "guard" / "models" / "signet-mini" / "vae"

Redraw = Callable[[Tensor], Tensor]
"""(N, 3, H, W) in [-1, 1] -> the same, encoded and decoded; H and W multiples of 8."""


class Residual(nn.Module):
    """Two convolutions beside the identity."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.SiLU(), nn.Conv2d(width, width, 3, 1, 1), nn.SiLU(), nn.Conv2d(width, width, 3, 1, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, width, H, W)."""
        return x + self.body(x)


class Enlarge(nn.Module):
    """Twice the size, by one of the three ways in use."""

    def __init__(self, kind: str, inputs: int, outputs: int) -> None:
        super().__init__()
        self.kind = kind
        if kind == "transposed":
            self.layer: nn.Module = nn.ConvTranspose2d(inputs, outputs, 4, 2, 1)
        else:
            self.layer = nn.Conv2d(inputs, outputs * (4 if kind == "shuffle" else 1), 3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, outputs, 2 H, 2 W)."""
        if self.kind == "nearest":
            x = functional.interpolate(x, scale_factor=2, mode="nearest")
        y: Tensor = self.layer(x)
        return functional.pixel_shuffle(y, 2) if self.kind == "shuffle" else y


class Autoencoder(nn.Module):
    """A small convolutional encoder and a decoder that enlarges in one way."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        stages, latent = KINDS[kind]
        widths = WIDTHS[: stages + 1]
        encoder: list[nn.Module] = [nn.Conv2d(3, widths[0], 3, 1, 1)]
        for a, b in pairwise(widths):
            encoder += [nn.SiLU(), nn.Conv2d(a, b, 4, 2, 1), Residual(b)]
        decoder: list[nn.Module] = [nn.Conv2d(latent, widths[-1], 3, 1, 1), Residual(widths[-1])]
        for a, b in pairwise(widths[::-1]):
            decoder += [Enlarge(kind, a, b), Residual(b)]
        self.encoder = nn.Sequential(*encoder, nn.SiLU(), nn.Conv2d(widths[-1], latent, 1))
        self.decoder = nn.Sequential(*decoder, nn.SiLU(), nn.Conv2d(widths[0], 3, 3, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Return the picture redrawn; in training the latents are a little noisy."""
        latent = self.encoder(x)
        if self.training:
            latent = latent + LATENT_NOISE * torch.randn_like(latent)
        drawn: Tensor = self.decoder(latent)
        return drawn


def reconstruction_loss(drawn: Tensor, wanted: Tensor) -> Tensor:
    """Return the mean difference, that of the fine detail, and how much its local strength differs."""
    fine_drawn, fine = (x - functional.avg_pool2d(x, 3, 1, 1) for x in (drawn, wanted))
    strengths = [functional.avg_pool2d((x * x).mean(1, keepdim=True), 8, 4) for x in (fine_drawn, fine)]
    unlike = (torch.log(strengths[0] + 1e-5) - torch.log(strengths[1] + 1e-5)).abs().mean()
    return (drawn - wanted).abs().mean() + 0.5 * (fine_drawn - fine).abs().mean() + 0.02 * unlike


def real_crops(folder: Path) -> tuple[NDArray[np.uint8], list[list[int]]]:
    """Return the stored crops and the indices of the real ones, one list a source group."""
    crops, rows = read_crops(folder)
    groups: dict[str, list[int]] = defaultdict(list)
    for index, row in enumerate(rows):
        if not row["generated"]:
            groups[str(row["group"])].append(index)
    return crops, [groups[name] for name in sorted(groups)]


def draw_index(groups: list[list[int]], rng: np.random.Generator) -> int:
    """Return the index of a random crop, every source group alike often."""
    members = groups[int(rng.integers(len(groups)))]
    return members[int(rng.integers(len(members)))]


def train_autoencoder(kind: str, folder: Path, *, steps: int = STEPS, seed: int = 1) -> Autoencoder:
    """Return an autoencoder trained on the real crops of ``folder``; deterministic for a given machine."""
    crops, groups = real_crops(folder)
    torch.manual_seed(seed)
    model = Autoencoder(kind)
    optimiser = torch.optim.AdamW(model.parameters(), RATE, betas=(0.9, 0.98))
    rng = np.random.default_rng(seed)
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = RATE * min(1.0, (step + 1) / 200) * (1 - step / steps) ** 0.7 + 1e-5
        parts = []
        for _ in range(BATCH):
            index = draw_index(groups, rng)
            y, x = (int(v) for v in rng.integers(0, SIDE - PART + 1, size=2))
            parts.append(crops[index, y : y + PART, x : x + PART])
        wanted = as_tensor(np.stack(parts))
        loss = reconstruction_loss(model(wanted), wanted)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
    return model.eval()


def as_tensor(pixels: NDArray[np.uint8]) -> Tensor:
    """Return (N, H, W, 3) uint8 as (N, 3, H, W) float32 in [-1, 1]."""
    return torch.from_numpy(pixels.transpose(0, 3, 1, 2).astype(np.float32) / 127.5 - 1)


def decoders(folder: Path) -> dict[str, Redraw]:
    """Return all decoders by name, training those that are not in ``folder`` yet, and signet-mini's."""
    from diffusers import AutoencoderKL

    found: dict[str, Redraw] = {}
    for kind in KINDS:
        path = folder / f"decoder-{kind}.pt"
        if not path.exists():
            torch.save(train_autoencoder(kind, folder).state_dict(), path)
        model = Autoencoder(kind).eval()
        model.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
        found[kind] = model
    mini = AutoencoderKL.from_pretrained(MINI).eval()
    found["signet-mini"] = lambda x: mini.decode(mini.encode(x).latent_dist.mean).sample
    (folder / "decoders.json").write_text(json.dumps({"kinds": sorted(found), "steps": STEPS}) + "\n", encoding="utf-8")
    return found
