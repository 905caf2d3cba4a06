"""From a picture back to the noise it grew from: DDIM inversion with the operator's own diffusers pipeline.

::

    pipeline = StableDiffusionPipeline.from_pretrained(folder)
    latent = mark.draw(image_id, (4, 32, 32), seed=7)
    picture = pipeline(prompt, latents=torch.from_numpy(latent)[None]).images[0]
    reading = confirmed_latent(pipeline, mark, np.asarray(picture), image_id, size=(256, 256))

The prompt is not needed: inversion runs without guidance and with an empty one. Only UNet pipelines with a DDIM-like
scheduler are supported; rectified-flow models invert less well (arXiv 2504.03850) and are refused.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from guard.errors import ConfigError
from guard.records import RGB8, ImageID, MarkReading
from guard.watermark.latent import LatentMark


def inverted_latent(pipeline: Any, pixels: RGB8, *, steps: int = 20) -> NDArray[np.float32]:
    """Return the (channels, h, w) initial latent that a deterministic sampler would have started from.

    Args:
        pipeline: a loaded diffusers text-to-image pipeline with ``unet``, ``vae`` and ``encode_prompt``.
        pixels: (H, W, 3) uint8 as it left the model: undo crops and turns first, the pixel mark tells which.
        steps: of the inversion; more are a little more exact, the number used for generation is a good choice.

    Raises:
        ConfigError: diffusers is not installed, or the pipeline is of another kind.
    """
    try:
        import torch
        from diffusers import DDIMInverseScheduler
    except ImportError as exc:
        raise ConfigError("Latent marks need diffusers.", next_step="pip install signet-gateway[generate]") from exc
    if not all(hasattr(pipeline, part) for part in ("unet", "vae", "encode_prompt")):
        raise ConfigError(
            f"{type(pipeline).__name__} cannot be inverted: expected a pipeline with a UNet and a VAE.",
            next_step="Use the pixel mark alone for this model.",
        )
    vae, unet = pipeline.vae, pipeline.unet
    scheduler = DDIMInverseScheduler.from_config(pipeline.scheduler.config)
    scheduler.set_timesteps(steps)
    with torch.no_grad():
        whole = torch.from_numpy(np.array(pixels)).permute(2, 0, 1)[None]
        picture = whole.to(vae.device, vae.dtype) / 127.5 - 1
        shift = getattr(vae.config, "shift_factor", None) or 0.0
        latent = (vae.encode(picture).latent_dist.mode() - shift) * vae.config.scaling_factor
        words = pipeline.encode_prompt("", unet.device, 1, False)[0]
        latent = latent.to(unet.dtype)
        for step in scheduler.timesteps:
            predicted = unet(latent, step, encoder_hidden_states=words).sample
            latent = scheduler.step(predicted, step, latent).prev_sample
    return np.asarray(latent[0].float().cpu().numpy(), dtype=np.float32)


def confirmed_latent(
    pipeline: Any,
    mark: LatentMark,
    pixels: RGB8,
    image_id: ImageID,
    *,
    size: tuple[int, int],
    mirrored: bool = False,
    steps: int = 20,
) -> MarkReading:
    """Return whether a picture grew from the noise that carries an id.

    Args:
        pipeline: the model that made the picture.
        mark: whose key drew the noise.
        pixels: (H, W, 3) uint8, whole: only scaling and mirroring are undone here.
        image_id: the candidate, from the pixel mark or a fingerprint.
        size: (width, height) at which the picture was made, in pixels.
        mirrored: whether it was mirrored left to right since.
        steps: of the inversion.

    Raises:
        ConfigError: the pipeline cannot be inverted.
        WatermarkError: the latent of this size is too small, or the id is not one.
    """
    upright = np.ascontiguousarray(pixels[:, ::-1]) if mirrored else pixels
    if upright.shape[1::-1] != size:
        upright = np.asarray(cv2.resize(upright, size, interpolation=cv2.INTER_CUBIC))
    return mark.confirm(inverted_latent(pipeline, upright, steps=steps), image_id)
