"""Inpainting for autoencoders with any number of latent channels: after each step the unmasked latents are restored.

After step ``k`` the latents outside the mask are replaced by the source's latents, noised to the level of step
``k + 1`` (by the scheduler's own ``add_noise``), so that the repainted part grows into its surroundings.

Source: Avrahami, Lischinski, Fried 2022, "Blended Diffusion" (arXiv 2111.14818) alg. 1, in latent space as in
Avrahami, Fried, Lischinski 2023 (arXiv 2206.02779) sec. 4.1. This is also what StableDiffusionInpaintPipeline does for
UNets with 4 channels. Differs: a latent cell counts as masked when any of its pixels is, so that thin masks take part.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from guard.generation.canvas import Canvas


def steps_of(pipeline: Any) -> int:
    """Return the steps of the running call: what image-to-image and inpainting leave of the schedule."""
    return int(getattr(pipeline, "num_timesteps", None) or len(pipeline.scheduler.timesteps))


class LatentBlend:
    """Restores the unmasked latents of one batch; called by ``StepReporter`` after each step."""

    def __init__(self, pipeline: Any, canvas: Canvas, seeds: tuple[int, ...]) -> None:
        """Encode the source and draw the noise.

        Args:
            pipeline: an image-to-image pipeline with ``vae``, ``image_processor`` and ``unet``.
            canvas: with ``image`` and ``mask``.
            seeds: one for each image of the batch.
        """
        import torch

        vae = pipeline.vae
        device, dtype = pipeline._execution_device, pipeline.unet.dtype
        picture = pipeline.image_processor.preprocess(canvas.model_image()).to(device=device, dtype=vae.dtype)
        with torch.no_grad():
            latents = vae.encode(picture).latent_dist.mode()
        shift = vae.config.get("shift_factor") or 0.0
        self._source = ((latents - shift) * vae.config.scaling_factor).to(dtype)
        masked = torch.from_numpy(np.asarray(canvas.model_mask()) >= 128).float()[None, None]
        cells = torch.nn.functional.adaptive_max_pool2d(masked, self._source.shape[-2:])
        self._repaint = cells.to(device=device, dtype=dtype)
        self._noise = torch.cat([self._start_noise(seed) for seed in seeds]).to(device=device, dtype=dtype)

    def _start_noise(self, seed: int) -> Any:
        """Return the noise that image-to-image itself starts from, so that both parts share one noise field.

        The pipeline's generator first samples the encoder's distribution and then draws the noise, both of this shape.
        """
        import torch

        generator = torch.Generator("cpu").manual_seed(seed)
        torch.randn(self._source.shape, generator=generator)
        return torch.randn(self._source.shape, generator=generator)

    def __call__(self, pipeline: Any, step: int, latents: Any) -> Any:
        """Return the latents after step ``step`` (from 0) with everything outside the mask restored."""
        source = self._source
        timesteps = pipeline.scheduler.timesteps[-steps_of(pipeline) :]
        if step + 1 < len(timesteps):
            source = pipeline.scheduler.add_noise(
                source.expand_as(latents), self._noise, timesteps[step + 1 : step + 2]
            )
        return source + (latents - source) * self._repaint
