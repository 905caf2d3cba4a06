"""Loads a pipeline folder onto a device: the one place that calls ``from_pretrained``.

Flow: (1) resolve and verify the files, (2) choose device and number format, (3) load safetensors only, without the
library's safety checker and watermarker, (4) place on the device or install offloading, (5) read the model's limits.
"""

from __future__ import annotations

import inspect
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from guard.errors import ConfigError, WeightsError
from guard.generation.canvas import Limits
from guard.generation.foreign import load_errors
from guard.generation.memory import is_out_of_memory
from guard.generation.model_files import components, read_index, resolve_folder, verify_source
from guard.generation.model_spec import Device, ModelSpec, Offload, Precision
from guard.generation.quiet import ignore_library_warnings, quiet_libraries
from guard.generation.schedulers import compatible_names
from guard.records import ModelCard

_UNET_MULTIPLE = 8
"""SD and SDXL pipelines refuse other multiples whatever their autoencoder. Source: their ``check_inputs``."""
_PACKING = 2
"""Latents per transformer token and axis: SD3 patch_size 2; FLUX packs 2 x 2. Source: pipeline ``check_inputs``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedModel:
    """A pipeline in memory.

    Attributes:
        pipeline: the pipeline object as its folder describes it.
        card: what goes into manifest and ledger.
        limits: sizes that it takes.
        device: ``cuda``, ``mps`` or ``cpu``.
    """

    pipeline: Any
    card: ModelCard
    limits: Limits
    device: str


def load_model(spec: ModelSpec) -> LoadedModel:
    """Return a verified, loaded model.

    Raises:
        WeightsError: files missing, unsafe, not as pinned, or not loadable.
        ConfigError: a library is not installed, or the device is not there.
    """
    _require_libraries()
    quiet_libraries()
    ignore_library_warnings()
    folder = resolve_folder(spec)  # (1)
    index = read_index(folder)
    digest = verify_source(folder, index, spec)
    device = choose_device(spec)  # (2)
    pipeline = _read_pipeline(folder, index, spec, device)  # (3)
    if "callback_on_step_end" not in inspect.signature(pipeline.__call__).parameters:
        raise ConfigError(
            f"Model {spec.id!r}: {type(pipeline).__name__} reports no steps, so it could not be cancelled.",
            next_step="Use a pipeline with callback_on_step_end, for instance SD, SDXL, SD3 or FLUX.",
        )
    if spec.scheduler is not None and spec.scheduler not in compatible_names(pipeline.scheduler):
        raise ConfigError(
            f"Model {spec.id!r}: the scheduler {spec.scheduler!r} cannot sample it; possible: "
            f"{', '.join(compatible_names(pipeline.scheduler))}."
        )
    place(pipeline, spec, device)  # (4)
    card = ModelCard(
        model_id=spec.id,
        name=spec.name or spec.id,
        revision=spec.revision or "",
        pipeline=type(pipeline).__name__,
        digest=digest,
        licence=spec.licence,
    )
    return LoadedModel(pipeline=pipeline, card=card, limits=_limits(pipeline, spec), device=device)  # (5)


def _require_libraries() -> None:
    """Raise ConfigError when the optional libraries are missing."""
    try:
        import diffusers
        import torch
        import transformers  # noqa: F401
    except ImportError as exc:
        raise ConfigError(
            f"Generation needs a library that is not installed: {exc.name}.",
            next_step="pip install 'signet-gateway[generate]'",
        ) from exc
    del diffusers, torch


def choose_device(spec: ModelSpec) -> str:
    """Return ``cuda``, ``mps`` or ``cpu`` for a spec.

    Raises:
        ConfigError: the device named is not there, or offloading was asked for and there is no accelerator.
    """
    import torch

    there: list[Device] = []
    if torch.cuda.is_available():
        there.append(Device.CUDA)
    if torch.backends.mps.is_available():
        there.append(Device.MPS)
    there.append(Device.CPU)
    if spec.device is not Device.AUTO and spec.device not in there:
        raise ConfigError(
            f"Model {spec.id!r} is set to device {spec.device.value!r}, which torch does not see here.",
            next_step="Set the device to auto, or install a torch build with this device's support.",
        )
    chosen = there[0] if spec.device is Device.AUTO else spec.device
    if spec.offload is not Offload.NONE and chosen is Device.CPU:
        raise ConfigError(
            f"Model {spec.id!r}: offload {spec.offload.value!r} needs an accelerator and torch sees none.",
            next_step="Set offload to none.",
        )
    return chosen.value


def choose_dtype(spec: ModelSpec, device: str) -> Any:
    """Return the torch dtype for a spec on a device.

    Raises:
        ConfigError: float16 on cpu, where several operations do not have it.
    """
    import torch

    if spec.precision is Precision.FLOAT16 and device == "cpu":
        raise ConfigError(
            f"Model {spec.id!r}: float16 does not run on cpu, and torch sees no accelerator.",
            next_step="Set the precision to auto, float32 or bfloat16.",
        )
    if spec.precision is not Precision.AUTO:
        return getattr(torch, spec.precision.value)
    if device == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    return torch.float16 if device == "mps" else torch.float32


def _read_pipeline(folder: Path, index: dict[str, Any], spec: ModelSpec, device: str) -> Any:
    """Read the safetensors of every component; nothing is fetched and no code of the folder runs."""
    import diffusers

    pipeline_class = getattr(diffusers, index["_class_name"], None)
    if pipeline_class is None:
        raise WeightsError(
            f"Model {spec.id!r}: diffusers {diffusers.__version__} has no pipeline {index['_class_name']!r}.",
            next_step="Update diffusers, or use another model.",
        )
    unknown = set(spec.skip_components) - set(components(index))
    if unknown:
        raise ConfigError(f"Model {spec.id!r} has no component to skip named {', '.join(sorted(unknown))}.")
    accepted = inspect.signature(pipeline_class.__init__).parameters
    # the image stage decides on safety, our own mark is the watermark: the library's versions would blacken or alter
    unwanted = {"safety_checker": None, "requires_safety_checker": False, "add_watermarker": False}
    extras = {name: value for name, value in unwanted.items() if name in accepted} | dict.fromkeys(spec.skip_components)
    try:
        return pipeline_class.from_pretrained(
            folder,
            dtype=choose_dtype(spec, device),
            variant=spec.variant,
            use_safetensors=True,
            local_files_only=True,
            **extras,
        )
    except load_errors() as exc:
        if is_out_of_memory(exc):
            raise
        raise WeightsError(
            f"Model {spec.id!r} in {folder} cannot be loaded: {type(exc).__name__}: {exc}".strip()
        ) from exc


def place(pipeline: Any, spec: ModelSpec, device: str) -> None:
    """Move a pipeline to its device, or (again) install the offloading hooks of the spec on it."""
    pipeline.set_progress_bar_config(disable=True)
    if spec.offload is Offload.MODEL:
        pipeline.enable_model_cpu_offload(device=device)
    elif spec.offload is Offload.SEQUENTIAL:
        pipeline.enable_sequential_cpu_offload(device=device)
    else:
        pipeline.to(device)
    vae = getattr(pipeline, "vae", None)
    if vae is not None and hasattr(vae, "enable_slicing"):
        vae.enable_slicing()  # decode a batch one by one: same pixels, the peak is that of one image


def _limits(pipeline: Any, spec: ModelSpec) -> Limits:
    """Return the sizes a pipeline takes, from its autoencoder, its denoiser and the spec."""
    scale = int(getattr(pipeline, "vae_scale_factor", _UNET_MULTIPLE))
    transformer = getattr(pipeline, "transformer", None)
    if transformer is None:
        multiple = math.lcm(_UNET_MULTIPLE, scale)
    else:
        multiple = scale * max(_PACKING, int(transformer.config.get("patch_size") or 1))
    max_side = spec.max_side - spec.max_side % multiple
    if max_side < multiple:
        raise ConfigError(
            f"Model {spec.id!r}: max_side is {spec.max_side}; the model needs at least {multiple} pixels."
        )
    if spec.native_size is not None:
        if any(side % multiple for side in spec.native_size):
            raise ConfigError(
                f"Model {spec.id!r}: native_size is {spec.native_size}; the model needs multiples of {multiple} pixels."
            )
        return Limits(multiple=multiple, max_side=max_side, native=spec.native_size)
    width, height = (min(side - side % multiple, max_side) for side in _native_size(pipeline, scale))
    return Limits(multiple=multiple, max_side=max_side, native=(max(width, multiple), max(height, multiple)))


def _native_size(pipeline: Any, scale: int) -> tuple[int, int]:
    """Return (width, height) in pixels that the model was trained for, from its configuration."""
    denoiser = getattr(pipeline, "unet", None) or getattr(pipeline, "transformer", None)
    own = denoiser.config.get("sample_size") if denoiser is not None else None
    size = getattr(pipeline, "default_sample_size", None) or own
    if isinstance(size, int):
        return size * scale, size * scale
    high, wide = size or (64, 64)
    return int(wide) * scale, int(high) * scale
