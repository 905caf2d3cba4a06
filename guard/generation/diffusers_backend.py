"""Any diffusers pipeline as an ``ImageGenerator``: one code path for SD, SDXL, SD3, FLUX and the shipped model.

::

    generator = DiffusersGenerator(ModelSpec(id="sdxl", source=Path("/models/sdxl")))
    generation = generator.generate(cleared_prompt, hooks=GenerationHooks())

Flow of a request: (1) wait for the model, (2) choose the pipeline of the operation, (3) lay out the canvas and the
arguments, (4) fresh scheduler and adapters, (5) run in batches, one CPU random generator per image, (6) pixels back.

Image i of a request is made with seed ``(base seed + i) mod 2**63`` and a generator of its own, so it can be made
again alone. On cpu the default batch size is 1 and the two are equal bit by bit; in larger batches the matrix
kernels round differently (measured: at most 1 of 255 levels on the test models).
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np

from guard.errors import GenerationError, GuardError, OutOfMemoryError, RequestError
from guard.generation.call_arguments import CallPlan, plan_call
from guard.generation.canvas import Canvas, image_canvas, inpainting_canvas, text_canvas
from guard.generation.foreign import RUN_ERRORS
from guard.generation.latent_blend import LatentBlend
from guard.generation.latent_start import latent_start
from guard.generation.loading import LoadedModel, load_model, place
from guard.generation.loras import AppliedLoRA, applied_loras
from guard.generation.memory import is_out_of_memory, release_memory
from guard.generation.model_spec import ModelSpec, Offload
from guard.generation.operations import OperationPipeline, derive
from guard.generation.previews import PreviewDecoder, can_preview
from guard.generation.quiet import ignore_library_warnings
from guard.generation.schedulers import build_scheduler
from guard.generation.steps import BatchStoppedError, StepReporter
from guard.interfaces import GenerationHooks, LatentMarker
from guard.records import RGB8, AdmittedRequest, ClearedPrompt, Generation, GenerationRequest, ModelCard, Operation
from guard.weights import content_digest

_SEEDS = 2**63
"""Seeds are 0..2**63-1, as in ``GenerationRequest.seed``; torch takes 64 bits."""
_Result = TypeVar("_Result")
_WAIT_S = 0.1
"""How often a request that waits for the model asks whether it was cancelled; below what a person notices."""


class DiffusersGenerator:
    """A diffusers model that loads when it is first needed and makes one request's pictures at a time."""

    def __init__(self, spec: ModelSpec, *, latent_marker: LatentMarker | None = None) -> None:
        """Keep the spec; nothing is loaded yet.

        Args:
            spec: which model.
            latent_marker: draws the noise that pictures grow from, where the model allows it; the same seed then gives
                another picture under another image id.
        """
        self.id = spec.id
        self.spec = spec
        self._latent_marker = latent_marker
        self._lock = threading.Lock()
        self._loaded: LoadedModel | None = None
        self._pipelines: dict[Operation, OperationPipeline] = {}
        self._placed: Operation | None = None

    @property
    def is_loaded(self) -> bool:
        """Return whether the weights are in memory."""
        return self._loaded is not None

    def load(self) -> ModelCard:
        """Load the model if it is not loaded, and return its card.

        Raises:
            WeightsError: files missing, unsafe or not as pinned.
            ConfigError: a library or the device is missing.
        """
        with self._lock:
            return self._ready().card

    def lend(self, use: Callable[[Any], _Result]) -> _Result:
        """Return what ``use`` makes of the loaded text-to-image pipeline; nobody generates meanwhile.

        Raises:
            ConfigError: the model could not be loaded.
            GenerationError: the model failed.
        """
        with self._lock:
            ignore_library_warnings()
            pipeline = self._pipeline(self._ready(), Operation.TEXT_TO_IMAGE).pipeline
            with _foreign_errors(self.id, pipeline):
                return use(pipeline)

    def unload(self) -> None:
        """Give the model's memory back; the next request loads it again."""
        with self._lock:
            self._drop()
            release_memory()

    def _drop(self) -> None:
        """Forget the model; the caller holds the lock."""
        self._loaded = None
        self._pipelines.clear()
        self._placed = None

    def generate(self, prompt: ClearedPrompt, *, hooks: GenerationHooks) -> Generation:
        """Return one picture for each image id of the request.

        Args:
            prompt: the cleared request.
            hooks: ``on_step`` counts over all batches of the request; ``should_cancel`` is asked while waiting for
                the model and before each step; ``on_preview`` is called for each batch.

        Returns:
            The pictures, (H, W, 3) uint8, and how they were made.

        Raises:
            RequestError: the request asks for something that this model does not do.
            OutOfMemoryError: memory ran out; it was freed and the model stays usable.
            CancelledError: the caller cancelled.
            GenerationError: the model failed, or produced values that are not finite.
            ConfigError: the model could not be loaded.
        """
        count = len(prompt.admitted.image_ids)
        if not 1 <= count <= self.spec.max_count:
            raise RequestError(f"{count} images were asked for; this model makes 1 to {self.spec.max_count} at once.")
        seeds = tuple((prompt.admitted.seed + index) % _SEEDS for index in range(count))
        batch = min(count, self.spec.batch_size or count)
        with self._turn(hooks):  # (1)
            loaded = self._ready()
            if self.spec.batch_size is None and loaded.device == "cpu":
                batch = 1
            reporter = StepReporter(hooks, batches=-(-count // batch))
            return self._generate(loaded, prompt.admitted, seeds, batch, reporter)

    @contextmanager
    def _turn(self, hooks: GenerationHooks) -> Iterator[None]:
        """Hold the model; while waiting for it, keep asking whether the caller cancelled."""
        waiting = StepReporter(hooks, batches=1)
        while not self._lock.acquire(timeout=_WAIT_S):
            waiting.check_cancelled()
        try:
            waiting.check_cancelled()
            yield
        finally:
            self._lock.release()

    def _ready(self) -> LoadedModel:
        """Return the loaded model, loading it first if need be; the caller holds the lock."""
        if self._loaded is None:
            try:
                self._loaded = load_model(self.spec)
            except (RuntimeError, MemoryError) as exc:
                if not is_out_of_memory(exc):
                    raise
                release_memory(exc)
                raise OutOfMemoryError(f"The model {self.id!r} does not fit into the device's memory.") from exc
        return self._loaded

    def _generate(
        self,
        loaded: LoadedModel,
        admitted: AdmittedRequest,
        seeds: tuple[int, ...],
        batch: int,
        reporter: StepReporter,
    ) -> Generation:
        """Make the pictures; the caller holds the lock."""
        ignore_library_warnings()
        request = admitted.request
        chosen = self._pipeline(loaded, request.operation)  # (2)
        pipeline = chosen.pipeline
        canvas = _canvas(request, loaded)  # (3)
        plan = plan_call(chosen, request, canvas, self.spec)
        marked = latent_start(
            self._latent_marker, pipeline, request.operation, image_ids=admitted.image_ids, seeds=seeds
        )
        own = pipeline.scheduler
        pipeline.scheduler, scheduler = build_scheduler(own, request.scheduler or self.spec.scheduler)  # (4)
        previews = None
        if reporter.wants_previews and can_preview(pipeline):
            previews = PreviewDecoder(pipeline, width=canvas.width, height=canvas.height)
        images: list[RGB8] = []
        try:
            with (
                _foreign_errors(self.id, pipeline),
                applied_loras(pipeline, request.loras, self.spec, on_stuck=self._drop) as loras,
            ):
                for start in range(0, len(seeds), batch):  # (5)
                    group = seeds[start : start + batch]
                    blend = LatentBlend(pipeline, canvas, group) if chosen.blends else None
                    reporter.start_batch(blend, first=start, previews=previews)
                    noise = None if marked is None else marked.latents(pipeline, canvas, first=start, count=len(group))
                    try:
                        made = _run(pipeline, plan, group, reporter, noise)
                        images += [canvas.finish(output) for output in made]  # (6)
                    except BatchStoppedError as stopped:
                        pipeline.maybe_free_model_hooks()
                        images += stopped.previews
                    reporter.finish_batch()
        finally:
            pipeline.scheduler = own
        return Generation(
            images=tuple(images),
            seeds=seeds,
            model=_card_with(loaded.card, loras),
            steps=plan.steps,
            guidance=plan.guidance,
            scheduler=scheduler,
            latent_mark=None if marked is None else marked.marker.algorithm,
        )

    def _pipeline(self, loaded: LoadedModel, operation: Operation) -> OperationPipeline:
        """Return the pipeline of an operation; all share the loaded weights."""
        if operation not in self._pipelines:
            self._pipelines[operation] = derive(loaded.pipeline, operation)
        chosen = self._pipelines[operation]
        if self.spec.offload is not Offload.NONE and self._placed is not operation:
            place(chosen.pipeline, self.spec, loaded.device)  # hooks know only the pipeline that installed them
        self._placed = operation
        return chosen


def _canvas(request: GenerationRequest, loaded: LoadedModel) -> Canvas:
    """Return the canvas of a request; refuse pictures that its operation would ignore, and missing ones."""
    source, mask, limits = request.source_image, request.mask, loaded.limits
    if request.operation is Operation.TEXT_TO_IMAGE:
        for name, value in (("source picture", source), ("mask", mask), ("strength", request.strength)):
            if value is not None:
                raise RequestError(f"Text-to-image was asked for together with a {name}, which it would ignore.")
        return text_canvas(request.width, request.height, limits)
    if source is None:
        raise RequestError(f"The operation {request.operation.value} needs a source picture.")
    if request.operation is Operation.IMAGE_TO_IMAGE:
        if mask is not None:
            raise RequestError("Image-to-image was asked for together with a mask; inpainting takes masks.")
        return image_canvas(source, request.width, request.height, limits)
    if mask is None:
        raise RequestError("Inpainting needs a mask.")
    return inpainting_canvas(source, mask, request.width, request.height, limits)


def _run(
    pipeline: Any, plan: CallPlan, seeds: tuple[int, ...], reporter: StepReporter, noise: Any | None
) -> list[RGB8]:
    """Run the pipeline once for a batch, from given noise or its own, and return its pictures.

    Generators live on the cpu whatever the device: the same seed then starts from the same noise everywhere.
    """
    import torch

    generators = [torch.Generator("cpu").manual_seed(seed) for seed in seeds]
    arguments = plan.batch(len(seeds)) | ({} if noise is None else {"latents": noise})
    output = pipeline(**arguments, generator=generators, callback_on_step_end=reporter).images
    if not np.isfinite(output).all():
        raise GenerationError(  # NaN would come out black
            "The model produced values that are not finite numbers; no picture was made of them.",
            next_step="Use float32 or bfloat16 (float16 overflows in some autoencoders), or check the weights.",
        )
    pixels = (np.clip(output, 0.0, 1.0) * 255.0).round().astype(np.uint8)
    return list(pixels)


@contextmanager
def _foreign_errors(model_id: str, pipeline: Any) -> Iterator[None]:
    """Turn what the libraries raise into our errors; put offloaded parts back in any case of failure."""
    try:
        yield
    except GuardError:
        pipeline.maybe_free_model_hooks()
        raise
    except RUN_ERRORS as exc:
        pipeline.maybe_free_model_hooks()
        if is_out_of_memory(exc):
            release_memory(exc)
            raise OutOfMemoryError(f"Memory ran out while the model {model_id!r} was generating.") from exc
        # the text of a foreign error may quote the prompt: it stays in the cause, out of message and response
        raise GenerationError(f"The model {model_id!r} failed with {type(exc).__name__}.") from exc


def _card_with(card: ModelCard, loras: tuple[AppliedLoRA, ...]) -> ModelCard:
    """Return the card of what made the pixels: name and digest also cover the adapters, in order, with weights."""
    if not loras:
        return card
    names = [f"{lora.spec.source}{'@' + lora.spec.revision if lora.spec.revision else ''}" for lora in loras]
    weights = [f"{lora.spec.weight:g}" for lora in loras]
    parts = {"model": card.digest} | {
        f"lora/{index}/{weight}": lora.sha256 for index, (lora, weight) in enumerate(zip(loras, weights, strict=True))
    }
    suffix = "".join(f" + LoRA {name} ({weight})" for name, weight in zip(names, weights, strict=True))
    return dataclasses.replace(card, name=card.name + suffix, digest=content_digest(parts))
