"""Regeneration through an autoencoder, as every image-to-image model does it: encode, optionally add noise, decode.

Opt-in, because it needs weights: an operator's diffusers VAE folder, or the two safetensors files of TAEF2 (the tiny
autoencoder of the FLUX.2 latents, MIT), by path. A lower bound on what diffusion regeneration does to a mark.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np

from guard.errors import ConfigError, WeightsError
from guard.records import RGB8
from guard.robustness.attack import Attack, AttackFamily
from guard.weights import require_safe_format

ENCODER_FILE: Final = "taef2_encoder.safetensors"
DECODER_FILE: Final = "taef2_decoder.safetensors"
_CELL: Final = 16
"""Sides are cut to a multiple of this: two diffusers VAEs reduce by 8, one by 16."""


def regeneration_attacks(folder: Path) -> tuple[Attack, ...]:
    """Return the attacks of one autoencoder: a plain round trip, and one with noise on the latents.

    Args:
        folder: holds ``config.json`` (a diffusers ``AutoencoderKL`` or ``AutoencoderTiny``) or the two TAEF2 files.

    Raises:
        ConfigError: torch (or, for a diffusers folder, diffusers) is not installed.
        WeightsError: neither kind of weights is there, or they do not fit.
    """
    round_trip = load_round_trip(folder)
    family = AttackFamily.ADVERSARIAL
    return (
        Attack(id="VAE round trip", family=family, change=lambda x, s: round_trip(x, 0.0, s), required=0.95),
        Attack(id="VAE round trip, latent noise 0.4", family=family, change=lambda x, s: round_trip(x, 0.4, s)),
    )


def load_round_trip(folder: Path) -> Callable[[RGB8, float, int], RGB8]:
    """Return (pixels, share of latent noise, seed) -> regenerated pixels, cropped to a multiple of 16 px.

    Raises:
        ConfigError: torch or diffusers is not installed.
        WeightsError: no weights of a known kind are in the folder, or they do not fit.
    """
    try:
        import torch
    except ImportError as exc:
        raise ConfigError("Regeneration needs torch.", next_step="pip install signet-gateway[generate]") from exc
    encode, decode = _tiny(folder) if (folder / ENCODER_FILE).is_file() else _diffusers(folder)

    def round_trip(pixels: RGB8, noise: float, seed: int) -> RGB8:
        height, width = (side // _CELL * _CELL for side in pixels.shape[:2])
        whole = torch.from_numpy(np.ascontiguousarray(pixels[:height, :width])).permute(2, 0, 1)[None].float() / 255
        with torch.no_grad():
            latents = encode(whole)
            if noise:
                drawn = torch.randn(latents.shape, generator=torch.Generator().manual_seed(seed))
                latents = np.sqrt(1 - noise**2) * latents + noise * latents.std() * drawn
            back = decode(latents)[0].permute(1, 2, 0).clamp(0, 1).numpy()
        return np.asarray(np.rint(back * 255), dtype=np.uint8)

    return round_trip


def _diffusers(folder: Path) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
    """Return encoder and decoder on [0, 1] pictures of a diffusers autoencoder folder."""
    if not (folder / "config.json").is_file():
        raise WeightsError(
            f"No autoencoder is in {folder}: expected config.json, or {ENCODER_FILE} and {DECODER_FILE}.",
            next_step="Name the `vae` folder of a diffusers model, or the folder with the TAEF2 weights.",
        )
    try:
        from diffusers import AutoencoderKL, AutoencoderTiny
    except ImportError as exc:
        raise ConfigError("A diffusers VAE needs diffusers.", next_step="pip install signet-gateway[generate]") from exc
    kind = AutoencoderTiny if "AutoencoderTiny" in (folder / "config.json").read_text() else AutoencoderKL
    try:
        model = kind.from_pretrained(folder, local_files_only=True, use_safetensors=True).eval()
    except (OSError, ValueError, RuntimeError) as exc:
        raise WeightsError(f"The autoencoder in {folder} cannot be loaded: {exc}.") from exc

    def encode(x: Any) -> Any:
        out = model.encode(2 * x - 1)
        return out.latents if hasattr(out, "latents") else out.latent_dist.mode()

    return encode, lambda z: (model.decode(z).sample + 1) / 2


def _tiny(folder: Path) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
    """Return encoder and decoder of TAEF2. Source: madebyollin/taesd, taef2 (MIT)."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    encoder, decoder = _taef2_modules()
    try:
        for module, name in ((encoder, ENCODER_FILE), (decoder, DECODER_FILE)):
            module.load_state_dict(load_file(require_safe_format(folder / name)))
            module.eval()
    except (OSError, RuntimeError, SafetensorError) as exc:
        raise WeightsError(f"The TAEF2 weights in {folder} cannot be loaded: {exc}.") from exc
    return encoder, decoder


def _taef2_modules() -> tuple[Any, Any]:
    """Return the empty encoder and decoder."""
    from torch import nn, relu, tanh

    def conv(inputs: int, outputs: int, **more: Any) -> Any:
        return nn.Conv2d(inputs, outputs, 3, padding=1, **more)

    class Block(nn.Module):  # type: ignore[misc]
        def __init__(self, *, pooled: bool = False) -> None:
            super().__init__()
            self.conv = nn.Sequential(conv(64, 64), nn.ReLU(), conv(64, 64), nn.ReLU(), conv(64, 64))
            wide = [
                nn.Conv2d(64, 256, 1, bias=False),
                nn.GroupNorm(4, 256),
                nn.ReLU(),
                nn.Conv2d(256, 64, 1, bias=False),
            ]
            self.pool = nn.Sequential(*wide) if pooled else None

        def forward(self, x: Any) -> Any:
            if self.pool is not None:
                x = x + self.pool(x)
            return relu(self.conv(x) + x)

    class Squash(nn.Module):  # type: ignore[misc]
        def forward(self, x: Any) -> Any:
            return tanh(x / 3) * 3

    def down() -> list[Any]:
        return [conv(64, 64, stride=2, bias=False), Block(), Block(), Block()]

    def up() -> list[Any]:
        return [nn.Upsample(scale_factor=2), conv(64, 64, bias=False)]

    deep = [Block(pooled=True) for _ in range(3)]
    encoder = [conv(3, 64), Block(), *down(), *down(), conv(64, 64, stride=2, bias=False), *deep, conv(64, 32)]
    inner = [Block(pooled=True) for _ in range(3)]
    decoder = [Squash(), conv(32, 64), nn.ReLU(), *inner, *up(), Block(), Block(), Block()]
    decoder += [*up(), Block(), Block(), Block(), *up(), Block(), conv(64, 3)]
    return nn.Sequential(*encoder), nn.Sequential(*decoder)
