"""LoRA adapters for the length of one request: resolve, load, weigh, and take away again.

::

    with applied_loras(pipeline, request.loras, spec) as loras:
        ...                      # the pipeline generates with the adapters
    # here the pipeline is exactly what it was before, also after an error
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from guard.errors import ConfigError, GenerationError, RequestError, WeightsError
from guard.generation.foreign import RUN_ERRORS, load_errors
from guard.generation.memory import is_out_of_memory
from guard.generation.model_spec import ModelSpec
from guard.records import LoRASpec
from guard.weights import require_commit, require_hub_id, require_safe_format, sha256_file

MAX_LORAS = 8
"""Each adapter costs its size in memory and a matrix product per layer; common interfaces combine two to four."""
MAX_WEIGHT = 4.0
"""Beyond 2 pictures break up; 4 leaves room for slider LoRAs, which are meant for -4..4 (their papers' own range)."""
_DEFAULT_NAME = "pytorch_lora_weights.safetensors"
"""Source: diffusers ``LORA_WEIGHT_NAME_SAFE``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AppliedLoRA:
    """An adapter in force: what was asked for, its file and the SHA-256 of that file."""

    spec: LoRASpec
    path: Path
    sha256: str


@contextmanager
def applied_loras(
    pipeline: Any, loras: Sequence[LoRASpec], spec: ModelSpec, *, on_stuck: Callable[[], None]
) -> Iterator[tuple[AppliedLoRA, ...]]:
    """Load adapters into a pipeline and remove them when the block ends, however it ends.

    Args:
        pipeline: the pipeline that will run.
        loras: adapters of the request, applied together.
        spec: says which folders and downloads are allowed.
        on_stuck: called when the adapters cannot be removed again, so that the pipeline is never used again.

    Raises:
        RequestError: unknown or refused source, unpinned hub revision, bad weight, or an adapter for another model.
        GenerationError: the adapters could not be removed again.
    """
    if not loras:
        yield ()
        return
    _check(pipeline, loras)
    resolved = tuple(_resolve(lora, spec) for lora in loras)
    try:
        _load(pipeline, resolved)
        yield resolved
    finally:
        try:
            pipeline.unload_lora_weights()
        except RUN_ERRORS as exc:
            on_stuck()
            raise GenerationError(
                "The LoRA adapters could not be removed from the model; it will be loaded anew.",
                next_step="Send the request again; if this repeats, do not use this LoRA with this model.",
            ) from exc


def _check(pipeline: Any, loras: Sequence[LoRASpec]) -> None:
    """Refuse what cannot work before any file is touched."""
    if not hasattr(pipeline, "load_lora_weights"):
        raise RequestError(f"LoRA adapters were asked for, but {type(pipeline).__name__} does not take any.")
    if len(loras) > MAX_LORAS:
        raise RequestError(f"{len(loras)} LoRA adapters were asked for; at most {MAX_LORAS} are applied at once.")
    for lora in loras:
        if not math.isfinite(lora.weight) or abs(lora.weight) > MAX_WEIGHT:
            raise RequestError(
                f"The LoRA weight {lora.weight:g} is out of range; expected {-MAX_WEIGHT}..{MAX_WEIGHT}."
            )
    try:
        import peft  # noqa: F401
    except ImportError as exc:
        raise ConfigError(
            "LoRA adapters need a library that is not installed: peft.",
            next_step="pip install 'signet-gateway[generate]'",
        ) from exc


def _resolve(lora: LoRASpec, spec: ModelSpec) -> AppliedLoRA:
    """Return the file of an adapter: below a configured folder, or in the snapshot of a pinned commit."""
    try:
        path = _hub_file(lora, spec) if lora.revision is not None else _local_file(lora, spec)
        require_safe_format(path)
        return AppliedLoRA(spec=lora, path=path, sha256=sha256_file(path))
    except ConfigError as exc:
        # the source comes from the request, so here these are the caller's mistakes
        raise RequestError(f"LoRA {lora.source!r}: {exc}", next_step=exc.diagnostics()) from exc


def _local_file(lora: LoRASpec, spec: ModelSpec) -> Path:
    """Return a local adapter file; only files below ``spec.lora_folders`` are opened."""
    for folder in spec.lora_folders:
        root = folder.resolve()
        path = (root / lora.source).resolve()
        if path.is_relative_to(root) and path.exists():
            return _one_file(path) if path.is_dir() else path
    raise RequestError(
        f"The LoRA {lora.source!r} is not in the LoRA folders of model {spec.id!r}.",
        next_step="Use the name of a file there, or a hub id with its pinned revision.",
    )


def _hub_file(lora: LoRASpec, spec: ModelSpec) -> Path:
    """Return the adapter file in the local snapshot of a pinned commit; downloads only if the spec allows it."""
    import huggingface_hub

    require_hub_id(lora.source)
    commit = require_commit(lora.revision, what=f"LoRA {lora.source}")
    try:
        folder = huggingface_hub.snapshot_download(
            lora.source,
            revision=commit,
            allow_patterns=["*.safetensors"],
            cache_dir=spec.cache_dir,
            local_files_only=not spec.allow_download,
        )
    except (OSError, ValueError) as exc:
        raise WeightsError(
            f"Commit {commit} is not in the local cache" + ("." if spec.allow_download else " and downloads are off.")
        ) from exc
    return _one_file(Path(folder))


def _one_file(folder: Path) -> Path:
    """Return the adapter file of a folder: the usual name, or the only safetensors file."""
    if (folder / _DEFAULT_NAME).is_file():
        return folder / _DEFAULT_NAME
    files = sorted(folder.glob("*.safetensors"))
    if len(files) != 1:
        raise WeightsError(
            f"{len(files)} safetensors files were found; expected one, or one named {_DEFAULT_NAME}.",
            next_step="Name the file itself.",
        )
    return files[0]


def _load(pipeline: Any, loras: Sequence[AppliedLoRA]) -> None:
    """Load the adapters and set their weights; an adapter that fits no layer is an error, not a no-op."""
    names = [f"request_{index}" for index in range(len(loras))]
    for name, lora in zip(names, loras, strict=True):
        try:
            pipeline.load_lora_weights(
                lora.path.parent,
                weight_name=lora.path.name,
                adapter_name=name,
                use_safetensors=True,
                local_files_only=True,
            )
        except load_errors() as exc:
            if is_out_of_memory(exc):
                raise
            raise _misfit(pipeline, lora) from exc
        if name not in {n for adapters in pipeline.get_list_adapters().values() for n in adapters}:
            raise _misfit(pipeline, lora)
    pipeline.set_adapters(names, adapter_weights=[lora.spec.weight for lora in loras])


def _misfit(pipeline: Any, lora: AppliedLoRA) -> RequestError:
    """Return the error for an adapter made for another architecture."""
    return RequestError(
        f"The LoRA {lora.spec.source!r} does not fit this model ({type(pipeline).__name__}).",
        next_step="Use an adapter that was trained for this model's architecture.",
    )
