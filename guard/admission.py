"""Whether a generation request is well-formed: limits of every field, in one place.

The HTTP models check types; this checks meaning, for every way in (HTTP, command line, library).
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection

import numpy as np

from guard.errors import RequestError
from guard.picture_file import write_with_metadata
from guard.records import GenerationRequest, Operation
from guard.tenant import LOCALE_PATTERN, TENANT_PATTERN

MAX_PROMPT_CHARS = 4000
"""Longest text of one field: 77 CLIP tokens are about 350 characters, 512 T5 tokens about 2500 (English text)."""
MAX_COUNT = 16
"""Most images of one request: a batch of 16 SDXL pictures needs about 40 GB; ask for more in a second request."""
MAX_STEPS = 200
"""Most denoising steps; published schedules use 4 to 100, 1000 is the training schedule itself."""
MAX_GUIDANCE = 50.0
"""Largest guidance scale; useful values lie between 1 and 20."""


def check_form(request: GenerationRequest, *, models: Collection[str], min_side: int) -> None:
    """Check a request before anything is started.

    Args:
        request: as it came from the caller.
        models: ids of the configured models.
        min_side: smallest width and height in pixels that can be marked.

    Raises:
        RequestError: says which field is wrong and what is expected.
    """
    if not request.prompt.strip():
        raise RequestError("The prompt is empty.", next_step="Describe the picture you want in `prompt`.")
    for name in ("prompt", "prompt_2", "negative_prompt"):
        length = len(getattr(request, name))
        if length > MAX_PROMPT_CHARS:
            raise RequestError(f"`{name}` has {length} characters; at most {MAX_PROMPT_CHARS} are accepted.")
    if not 1 <= request.count <= MAX_COUNT:
        raise RequestError(f"`count` is {request.count}; 1 to {MAX_COUNT} images can be asked for at once.")
    if request.seed is not None and not 0 <= request.seed < 2**63:
        raise RequestError("`seed` must be a whole number from 0 to 2^63 - 1.")
    for name, low, high in (("guidance", 0.0, MAX_GUIDANCE), ("strength", 0.0, 1.0)):
        value = getattr(request, name)
        if value is not None and not (math.isfinite(value) and low <= value <= high):
            raise RequestError(f"`{name}` must be a number from {low:g} to {high:g}.")
    if request.steps is not None and not 1 <= request.steps <= MAX_STEPS:
        raise RequestError(f"`steps` must be a whole number from 1 to {MAX_STEPS}.")
    if request.model is not None and request.model not in models:
        raise RequestError(
            f"The model {request.model!r} is not configured.",
            next_step=f"Choose one of: {', '.join(sorted(models))}.",
        )
    if not re.fullmatch(TENANT_PATTERN, request.tenant):
        raise RequestError("`tenant` must be 1 to 128 letters, digits or _ . : / @ + -, the first a letter or digit.")
    if request.locale and not re.fullmatch(LOCALE_PATTERN, request.locale):
        raise RequestError("`locale` must be a language tag such as de or pt-BR.")
    _check_sides(request, min_side)
    needs_source = request.operation is not Operation.TEXT_TO_IMAGE
    if needs_source and request.source_image is None:
        raise RequestError(f"{request.operation} needs a source image.")
    if not needs_source and request.source_image is not None:
        raise RequestError("A source image was sent, but the operation is text-to-image.")
    if request.operation is Operation.INPAINTING:
        if request.mask is None:
            raise RequestError("inpainting needs a mask: white where the picture is repainted.")
        if request.source_image is not None and request.mask.shape != request.source_image.shape[:2]:
            raise RequestError("The mask must have the same width and height as the source image.")
    if needs_source:  # known only when written: now, before the model has run
        write_with_metadata(
            np.zeros((1, 1, 3), np.uint8), request.source_metadata.of_a_new_picture(), request.image_format
        )


def _check_sides(request: GenerationRequest, min_side: int) -> None:
    """Refuse pictures that would be too small to carry the mark, before any work goes into them."""
    sides = {"width": request.width, "height": request.height}
    if request.source_image is not None:
        height, width = request.source_image.shape[:2]
        sides = {"width": request.width or width, "height": request.height or height}
    for name, side in sides.items():
        if side is not None and side < min_side:
            raise RequestError(
                f"`{name}` is {side} pixels; at least {min_side} are needed to carry the watermark.",
                next_step=f"Ask for, or send, a picture of at least {min_side} x {min_side} pixels.",
            )
