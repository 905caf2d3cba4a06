"""What happens between denoising steps: progress, cancellation, previews, and the blend of inpainting."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from guard.errors import CancelledError
from guard.generation.latent_blend import LatentBlend, steps_of
from guard.generation.previews import PreviewDecoder
from guard.interfaces import GenerationHooks
from guard.records import RGB8


class BatchStoppedError(CancelledError):
    """The previews of a batch were enough: it is not finished; never leaves the generator.

    Attributes:
        previews: one picture for each image of the batch.
    """

    def __init__(self, previews: Sequence[RGB8]) -> None:
        super().__init__("The batch was stopped at a preview.")
        self.previews = previews


class StepReporter:
    """``callback_on_step_end`` of a pipeline; counts over all batches of one request."""

    def __init__(self, hooks: GenerationHooks, *, batches: int) -> None:
        """Report to ``hooks``; the request runs the schedule ``batches`` times."""
        self._hooks = hooks
        self._batches = batches
        self._finished_batches = 0
        self._blend: LatentBlend | None = None
        self._previews: PreviewDecoder | None = None
        self._first = 0

    @property
    def wants_previews(self) -> bool:
        """Return whether anybody looks at previews."""
        return self._hooks.on_preview is not None and bool(self._hooks.preview_at)

    def check_cancelled(self) -> None:
        """Raise CancelledError when the caller has asked to stop."""
        if self._hooks.should_cancel is not None and self._hooks.should_cancel():
            raise CancelledError("The generation was cancelled.")

    def start_batch(self, blend: LatentBlend | None, *, first: int, previews: PreviewDecoder | None = None) -> None:
        """Begin a batch.

        Args:
            blend: restores its unmasked latents after each step.
            first: index of its first image in the request.
            previews: shows where it is heading.
        """
        self.check_cancelled()
        self._blend = blend
        self._first = first
        self._previews = previews

    def finish_batch(self) -> None:
        """Count a batch as finished."""
        self._finished_batches += 1
        self._blend = None
        self._previews = None

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
            BatchStoppedError: the caller has seen enough of this batch.
        """
        del timestep
        steps = steps_of(pipeline)
        if self._hooks.on_step is not None:
            self._hooks.on_step(self._finished_batches * steps + step + 1, self._batches * steps)
        self.check_cancelled()
        self._show_preview(step + 1, steps)
        if self._blend is None:
            return tensors
        return {"latents": self._blend(pipeline, step, tensors["latents"])}

    def _show_preview(self, done: int, steps: int) -> None:
        """Show the batch after the steps that were asked for; the last step is no preview."""
        if self._previews is None or self._hooks.on_preview is None:
            return
        if done >= steps or done not in {math.ceil(share * steps) for share in self._hooks.preview_at}:
            return
        pictures = self._previews.pictures()
        if pictures is not None and self._hooks.on_preview(self._first, pictures):
            raise BatchStoppedError(pictures)
