"""What happens between denoising steps: progress, cancellation, and the blend of inpainting."""

from __future__ import annotations

from typing import Any

from guard.errors import CancelledError
from guard.generation.latent_blend import LatentBlend, steps_of
from guard.interfaces import GenerationHooks


class StepReporter:
    """``callback_on_step_end`` of a pipeline; counts over all batches of one request."""

    def __init__(self, hooks: GenerationHooks, *, batches: int) -> None:
        """Report to ``hooks``; the request runs the schedule ``batches`` times."""
        self._hooks = hooks
        self._batches = batches
        self._finished_batches = 0
        self._blend: LatentBlend | None = None

    def check_cancelled(self) -> None:
        """Raise CancelledError when the caller has asked to stop."""
        if self._hooks.should_cancel is not None and self._hooks.should_cancel():
            raise CancelledError("The generation was cancelled.")

    def start_batch(self, blend: LatentBlend | None) -> None:
        """Begin a batch; ``blend`` restores its unmasked latents after each step."""
        self.check_cancelled()
        self._blend = blend

    def finish_batch(self) -> None:
        """Count a batch as finished."""
        self._finished_batches += 1
        self._blend = None

    def __call__(self, pipeline: Any, step: int, timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        """Report step ``step`` (from 0) as done.

        Args:
            pipeline: the running pipeline.
            step: index of the step within the batch.
            timestep: unused, part of the library's protocol.
            tensors: ``latents`` after the step.

        Returns:
            ``tensors``, blended with the source where a batch asks for it.

        Raises:
            CancelledError: the caller asked to stop.
        """
        del timestep
        steps = steps_of(pipeline)
        if self._hooks.on_step is not None:
            self._hooks.on_step(self._finished_batches * steps + step + 1, self._batches * steps)
        self.check_cancelled()
        if self._blend is None:
            return tensors
        return {"latents": self._blend(pipeline, step, tensors["latents"])}
