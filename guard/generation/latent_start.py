"""The noise that a picture grows from, drawn by a mark instead of a random generator (opt-in, text-to-image only)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from guard.generation.canvas import Canvas
from guard.interfaces import LatentMarker
from guard.records import ImageID, Operation


@dataclass(frozen=True, slots=True, kw_only=True)
class LatentStart:
    """Marked initial latents for the pictures of one request.

    Attributes:
        marker: draws them.
        image_ids, seeds: one for each picture of the request.
    """

    marker: LatentMarker
    image_ids: tuple[ImageID, ...]
    seeds: tuple[int, ...]

    def latents(self, pipeline: Any, canvas: Canvas, *, first: int, count: int) -> Any:
        """Return the (count, channels, h, w) tensor from which ``count`` pictures start, the first being ``first``."""
        import torch

        scale = int(pipeline.vae_scale_factor)
        shape = (int(pipeline.unet.config.in_channels), canvas.height // scale, canvas.width // scale)
        chosen = range(first, first + count)
        drawn = [self.marker.draw(self.image_ids[i], shape, seed=self.seeds[i]) for i in chosen]
        return torch.from_numpy(np.stack(drawn)).to(pipeline.unet.dtype)


def latent_start(
    marker: LatentMarker | None,
    pipeline: Any,
    operation: Operation,
    *,
    image_ids: tuple[ImageID, ...],
    seeds: tuple[int, ...],
) -> LatentStart | None:
    """Return the marked start of a request, or None where there is none to be had.

    None without a marker, for image-to-image and inpainting (they start from a picture), and for models without a UNet
    and an autoencoder, which could not be run backwards.
    """
    fits = all(hasattr(pipeline, part) for part in ("unet", "vae", "vae_scale_factor"))
    if marker is None or operation is not Operation.TEXT_TO_IMAGE or not fits:
        return None
    return LatentStart(marker=marker, image_ids=image_ids, seeds=seeds)
