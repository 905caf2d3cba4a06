"""Draw pictures with a pipeline of signet-mini; one place for the sampling settings of all jobs.

Data flow: prompts + seeds -> ``StableDiffusionPipeline`` -> (N, 256, 256, 3) uint8.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from numpy.typing import NDArray

if TYPE_CHECKING:
    from diffusers import StableDiffusionPipeline

STEPS: Final = 20
GUIDANCE: Final = 2.0  # measured: docs/signet-mini.md; 4 and more distort shapes


def generate(
    pipeline: StableDiffusionPipeline,
    prompts: list[str],
    *,
    seed: int,
    steps: int = STEPS,
    guidance: float = GUIDANCE,
    batch: int = 8,
) -> NDArray[np.uint8]:
    """Draw one picture for each prompt.

    Args:
        pipeline: loaded pipeline.
        prompts: any number of prompts.
        seed: picture number i uses seed + i, whatever the batch.
        steps: sampling steps.
        guidance: classifier-free guidance scale; 1 switches it off.
        batch: pictures drawn together.

    Returns:
        (N, 256, 256, 3) uint8 RGB.
    """
    parts = []
    for start in range(0, len(prompts), batch):
        chunk = prompts[start : start + batch]
        generators = [torch.Generator("cpu").manual_seed(seed + start + i) for i in range(len(chunk))]
        output = pipeline(
            chunk, num_inference_steps=steps, guidance_scale=guidance, generator=generators, output_type="np"
        ).images
        parts.append(np.rint(np.asarray(output) * 255.0).astype(np.uint8))
    return np.concatenate(parts)
