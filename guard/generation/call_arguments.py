"""Turns a request into the arguments of one pipeline's ``__call__``: nothing it lacks, nothing silently dropped.

Pipelines differ in what they accept (SD has no second prompt, FLUX no ordinary guidance, SD image-to-image no size).
Every argument is taken from the signature of the pipeline at hand; a feature that was asked for and that it lacks is
a RequestError that says so.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from guard.errors import RequestError
from guard.generation.canvas import Canvas
from guard.generation.model_spec import ModelSpec
from guard.generation.operations import OperationPipeline
from guard.records import GenerationRequest, Operation

_FEATURES = {
    "negative_prompt": "a negative prompt",
    "prompt_2": "a second prompt",
    "guidance_scale": "guidance",
    "strength": "a strength",
    "mask_image": "a mask",
}
_BLEND_STRENGTH = 1.0
"""Source: default of StableDiffusionInpaintPipeline, whose place the blend takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallPlan:
    """Arguments that are the same for every image of a request.

    Attributes:
        fixed: arguments given as they are.
        per_image: arguments that are repeated, one for each image of a batch.
        steps: denoising steps asked of the scheduler.
        guidance: the guidance scale in force; 0.0 for a model without guidance.
    """

    fixed: Mapping[str, Any]
    per_image: Mapping[str, Any]
    steps: int
    guidance: float

    def batch(self, count: int) -> dict[str, Any]:
        """Return the arguments for a batch of ``count`` images, lists as pipelines of every kind take them."""
        return {**self.fixed, **{name: [value] * count for name, value in self.per_image.items()}}


def plan_call(chosen: OperationPipeline, request: GenerationRequest, canvas: Canvas, spec: ModelSpec) -> CallPlan:
    """Return the arguments for a request on a pipeline.

    Raises:
        RequestError: a feature that the pipeline lacks, or a number out of range.
    """
    pipeline = chosen.pipeline
    accepted = inspect.signature(pipeline.__call__).parameters
    steps = _steps(request, spec, accepted)
    fixed: dict[str, Any] = {"num_inference_steps": steps, "output_type": "np", "num_images_per_prompt": 1}
    per_image: dict[str, Any] = {"prompt": request.prompt}
    if request.prompt_2.strip():
        _need(accepted, "prompt_2", pipeline)
        per_image["prompt_2"] = request.prompt_2
    guidance = _guidance(pipeline, request, spec, accepted, fixed)
    if request.negative_prompt.strip():
        _need(accepted, "negative_prompt", pipeline)
        per_image["negative_prompt"] = request.negative_prompt
        _negative_works(pipeline, fixed, accepted, spec)
    fixed |= {n: v for n, v in (("height", canvas.height), ("width", canvas.width)) if n in accepted}
    if spec.max_sequence_length is not None and "max_sequence_length" in accepted:
        fixed["max_sequence_length"] = spec.max_sequence_length
    if request.operation is not Operation.TEXT_TO_IMAGE:
        per_image["image"] = canvas.model_image()
        if request.operation is Operation.INPAINTING and not chosen.blends:
            _need(accepted, "mask_image", pipeline)
            per_image["mask_image"] = canvas.model_mask()
        fixed["strength"] = _strength(request, steps, accepted, blends=chosen.blends)
    fixed = {name: value for name, value in fixed.items() if name in accepted}
    return CallPlan(fixed=fixed, per_image=per_image, steps=steps, guidance=guidance)


def _need(accepted: Mapping[str, inspect.Parameter], name: str, pipeline: Any) -> None:
    """Raise RequestError when the pipeline has no argument for something that was asked for."""
    if name not in accepted:
        raise RequestError(
            f"{_FEATURES[name].capitalize()} was asked for, but this model's pipeline "
            f"({type(pipeline).__name__}) does not take one.",
            next_step="Leave it out, or choose another model.",
        )


def _steps(request: GenerationRequest, spec: ModelSpec, accepted: Mapping[str, inspect.Parameter]) -> int:
    """Return the number of denoising steps: the request's, the spec's or the pipeline's own."""
    if request.steps is None:
        return int(spec.steps if spec.steps is not None else accepted["num_inference_steps"].default)
    if not 1 <= request.steps <= spec.max_steps:
        raise RequestError(f"The number of steps is {request.steps}; this model takes 1 to {spec.max_steps}.")
    return request.steps


def _guidance(
    pipeline: Any,
    request: GenerationRequest,
    spec: ModelSpec,
    accepted: Mapping[str, inspect.Parameter],
    fixed: dict[str, Any],
) -> float:
    """Put the guidance arguments into ``fixed`` and return the scale in force.

    Pipelines with ``true_cfg_scale`` know two kinds: ``guidance_scale`` feeds a distilled embedding and works only if
    the transformer has one (FLUX.1-dev has, FLUX.1-schnell has not); ``true_cfg_scale`` is classifier-free guidance,
    at twice the cost, and is used when the spec switches it on. Source: FluxPipeline.__call__.
    """
    asked = request.guidance if request.guidance is not None else spec.guidance
    if "true_cfg_scale" in accepted:
        if spec.true_cfg is not None:
            fixed["true_cfg_scale"] = spec.true_cfg
        if _is_distilled(pipeline):
            fixed["guidance_scale"] = asked if asked is not None else accepted["guidance_scale"].default
            return float(fixed["guidance_scale"])
        if request.guidance is not None and spec.true_cfg is None:
            raise RequestError(
                "Guidance was asked for, but this model is distilled to work without it.",
                next_step="Leave guidance out.",
            )
        if spec.true_cfg is None:
            return 0.0
        fixed["true_cfg_scale"] = asked if asked is not None else spec.true_cfg
        return float(fixed["true_cfg_scale"])
    if "guidance_scale" not in accepted:
        if request.guidance is not None:
            _need(accepted, "guidance_scale", pipeline)
        return 0.0
    fixed["guidance_scale"] = asked if asked is not None else accepted["guidance_scale"].default
    return float(fixed["guidance_scale"])


def _is_distilled(pipeline: Any) -> bool:
    """Return whether the denoiser takes the guidance scale as an input."""
    denoiser = getattr(pipeline, "transformer", None) or getattr(pipeline, "unet", None)
    return bool(denoiser is not None and denoiser.config.get("guidance_embeds", False))


def _negative_works(
    pipeline: Any, fixed: Mapping[str, Any], accepted: Mapping[str, inspect.Parameter], spec: ModelSpec
) -> None:
    """Raise RequestError when the pipeline would take a negative prompt and then not use it."""
    if "true_cfg_scale" in accepted:
        scale = float(fixed.get("true_cfg_scale", 1.0))
        reason = "without classifier-free guidance" if spec.true_cfg is None else f"with a true guidance of {scale:g}"
    else:
        scale = float(fixed.get("guidance_scale", 1.0))
        reason = f"with a guidance of {scale:g}"
        unet = getattr(pipeline, "unet", None)
        if unet is not None and unet.config.get("time_cond_proj_dim") is not None:
            scale, reason = 1.0, "distilled to work without classifier-free guidance"
    if scale <= 1.0:
        raise RequestError(
            f"A negative prompt was given, but this model runs {reason}, where it would have no effect.",
            next_step="Leave the negative prompt out, or use a guidance above 1 if the model has one.",
        )


def _strength(
    request: GenerationRequest, steps: int, accepted: Mapping[str, inspect.Parameter], *, blends: bool
) -> float | None:
    """Return the share of the schedule to redo; raise RequestError when not one step would be left."""
    if "strength" not in accepted:
        if request.strength is not None:
            raise RequestError("A strength was asked for, but this model's pipeline has none; leave it out.")
        return None
    own = _BLEND_STRENGTH if blends else float(accepted["strength"].default)
    strength = request.strength if request.strength is not None else own
    if not 0.0 < strength <= 1.0:
        raise RequestError(f"The strength is {strength:g}; expected more than 0 and at most 1.")
    if int(steps * strength) < 1:
        raise RequestError(
            f"A strength of {strength:g} leaves none of {steps} steps to do.",
            next_step=f"Use a strength of at least {math.ceil(1000 / steps) / 1000:g}, or more steps.",
        )
    return strength
