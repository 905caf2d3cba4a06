"""A cheap look at a picture while it is being denoised: what the model expects it to become, decoded small.

Flow: (1) the scheduler's ``step`` is watched, so that the model's last prediction and its input are known, (2) from
both follows the expected clean latent, exactly, whatever the sampler does next with noise, (3) large latents are
averaged down, because decoding costs as the area, (4) the model's own autoencoder decodes them.

After half of the steps the composition stands and large things can be recognised; details cannot.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from guard.generation.schedulers import is_flow
from guard.records import RGB8

PREVIEW_PX = 512
"""Latents of larger pictures are averaged down to at most this side: a 1024 px picture costs a quarter."""


def can_preview(pipeline: Any) -> bool:
    """Return whether a pipeline has what previews need: an autoencoder, and a scheduler that says how noisy a step is.

    Pipelines that work on pixels, or whose autoencoder has another name, have no previews; their pictures are checked
    when they are finished, as always.
    """
    known = any(hasattr(pipeline.scheduler, name) for name in ("sigmas", "alphas_cumprod"))
    return getattr(pipeline, "vae", None) is not None and known


class PreviewDecoder:
    """Watches one run of a pipeline and can show what it is heading for."""

    def __init__(self, pipeline: Any, *, width: int, height: int) -> None:
        """Watch the pipeline's scheduler, which must be of this run alone.

        Args:
            pipeline: a latent diffusion pipeline with ``vae`` and ``scheduler``.
            width: of the picture that it makes, in pixels.
            height: of the same picture.
        """
        self._pipeline = pipeline
        self._size = (width, height)
        self._clean: Any = None
        scheduler = pipeline.scheduler
        step = scheduler.step

        @functools.wraps(step)  # (1); pipelines inspect its signature
        def watched(model_output: Any, timestep: Any, sample: Any, *args: Any, **kwargs: Any) -> Any:
            done = step(model_output, timestep, sample, *args, **kwargs)
            self._clean = functools.partial(_expected, scheduler, model_output, timestep, sample)
            return done

        scheduler.step = watched

    def pictures(self) -> list[RGB8] | None:
        """Return one picture for each image of the running batch, (h, w, 3) uint8, h and w at most PREVIEW_PX or so.

        None before the first step, for latents of an unknown layout, and when the numbers are not finite: a preview
        is a convenience, the finished picture is checked in any case.
        """
        import torch

        if self._clean is None:
            return None
        vae = self._pipeline.vae
        with torch.no_grad():
            latents = self._unpacked(self._clean())  # (2)
            if latents is None:
                return None
            factor = -(-max(self._size) // PREVIEW_PX)
            if factor > 1:  # (3)
                latents = torch.nn.functional.avg_pool2d(latents.float(), factor, ceil_mode=True)
            decoded = vae.decode(_unscaled(latents, vae).to(vae.dtype), return_dict=False)[0]  # (4)
            shown = (decoded.float() / 2 + 0.5).clamp(0, 1).permute(0, 2, 3, 1).cpu().numpy()
        if not np.isfinite(shown).all():
            return None
        return list((shown * 255).round().astype(np.uint8))

    def _unpacked(self, latents: Any) -> Any:
        """Return (batch, channels, rows, columns), or None for an unknown layout.

        FLUX and its kin keep latents as rows of 2 x 2 patches.
        """
        if latents.ndim == 4:
            return latents
        if latents.ndim != 3 or not hasattr(self._pipeline, "_unpack_latents"):
            return None
        width, height = self._size
        return self._pipeline._unpack_latents(latents, height, width, self._pipeline.vae_scale_factor)


def _expected(scheduler: Any, model_output: Any, timestep: Any, sample: Any) -> Any:
    """Return the clean latent that a prediction stands for.

    ``sample = a * clean + s * noise``; what the model predicts is named by the scheduler's configuration.

    Source: epsilon and sample: Ho et al. 2020 (arXiv 2006.11239) eq. 15; v: Salimans, Ho 2022 (arXiv 2202.00512)
    app. D; flow: Esser et al. 2024 (arXiv 2403.03206) sec. 2.
    """
    kind = scheduler.config.get("prediction_type", "epsilon")
    a, s = _noise_level(scheduler, timestep)
    x, y = sample.float(), model_output.float()
    if is_flow(scheduler):
        return x - s * y
    if kind == "sample":
        return y
    if kind == "v_prediction":
        norm = (a * a + s * s) ** 0.5  # schedulers that count in sigmas keep a = 1: bring them to a^2 + s^2 = 1
        return (a * (x / norm) - s * y) / norm
    return (x - s * y) / a


def _noise_level(scheduler: Any, timestep: Any) -> tuple[float, float]:
    """Return (a, s) of a time step: how much of the clean latent and of the noise is in the sample."""
    sigmas = getattr(scheduler, "sigmas", None)
    if sigmas is None:
        share = float(scheduler.alphas_cumprod[int(timestep)])
        return share**0.5, (1.0 - share) ** 0.5
    index = int((scheduler.timesteps.to("cpu") == _number(timestep)).nonzero()[0])
    sigma = float(sigmas[index])
    if hasattr(scheduler, "_sigma_to_alpha_sigma_t"):
        a, s = scheduler._sigma_to_alpha_sigma_t(sigmas[index])
        return float(a), float(s)
    return (1.0 - sigma, sigma) if is_flow(scheduler) else (1.0, sigma)


def _number(timestep: Any) -> Any:
    """Return a time step as a value on the processor."""
    return timestep.to("cpu") if hasattr(timestep, "to") else timestep


def _unscaled(latents: Any, vae: Any) -> Any:
    """Return latents in the autoencoder's own range. Source: ``decode_latents`` of the pipelines."""
    import torch

    config = vae.config
    mean, std = config.get("latents_mean"), config.get("latents_std")
    latents = latents.float() / config.scaling_factor
    if mean is not None and std is not None:
        shape = (1, -1, 1, 1)
        latents = latents * torch.tensor(std).view(shape).to(latents) + torch.tensor(mean).view(shape).to(latents)
    return latents + (config.get("shift_factor") or 0.0)
