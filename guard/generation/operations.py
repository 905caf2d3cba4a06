"""Which pipeline class does an operation for a model; all share the components of the one that was loaded.

diffusers' inpainting classes fix the number of latent channels (SD: 4, or 9 for inpainting checkpoints). A UNet model
with another autoencoder is inpainted by its image-to-image class, and ``LatentBlend`` keeps the unmasked latents.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

from guard.errors import RequestError
from guard.records import Operation

_LIBRARY_LATENTS = 4
"""Source: StableDiffusionInpaintPipeline and its XL sibling, "should have either 4 or 9 input channels"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationPipeline:
    """A pipeline for one operation.

    Attributes:
        pipeline: shares its components with the loaded one.
        blends: True when inpainting runs on an image-to-image class together with a ``LatentBlend``.
    """

    pipeline: Any
    blends: bool = False


def derive(base: Any, operation: Operation) -> OperationPipeline:
    """Return the pipeline of an operation around the components of ``base``.

    Raises:
        RequestError: diffusers has no such pipeline for this model, or the denoiser is made for another operation.
    """
    import diffusers

    refusal = RequestError(
        f"This model ({type(base).__name__}) does not do {operation.value}.", next_step="Choose another model."
    )
    if not _fits_latents(base) and operation is not Operation.INPAINTING:
        raise refusal
    if operation is Operation.TEXT_TO_IMAGE and "image" not in inspect.signature(base.__call__).parameters:
        return OperationPipeline(pipeline=base)
    blends = operation is Operation.INPAINTING and _needs_blend(base)
    family = {
        Operation.TEXT_TO_IMAGE: diffusers.AutoPipelineForText2Image,
        Operation.IMAGE_TO_IMAGE: diffusers.AutoPipelineForImage2Image,
        Operation.INPAINTING: diffusers.AutoPipelineForImage2Image if blends else diffusers.AutoPipelineForInpainting,
    }[operation]
    try:
        # classes that could watermark (SDXL) do so by default when the library for it happens to be installed
        pipeline = family.from_pipe(base, add_watermarker=False)
    except ValueError as exc:
        raise refusal from exc
    pipeline.set_progress_bar_config(disable=True)
    return OperationPipeline(pipeline=pipeline, blends=blends)


def _channels(base: Any) -> tuple[int, int] | None:
    """Return (UNet input channels, latent channels), or None for transformers, which pack their latents."""
    unet, vae = getattr(base, "unet", None), getattr(base, "vae", None)
    if unet is None or vae is None:
        return None
    return int(unet.config.get("in_channels")), int(vae.config.get("latent_channels"))


def _fits_latents(base: Any) -> bool:
    """Return whether the denoiser takes latents alone; inpainting checkpoints want mask and picture besides."""
    channels = _channels(base)
    return channels is None or channels[0] == channels[1]


def _needs_blend(base: Any) -> bool:
    """Return whether the library's inpainting class would refuse this UNet's latents."""
    channels = _channels(base)
    return channels is not None and channels[0] == channels[1] != _LIBRARY_LATENTS
