"""The YAML file that lists further models (``SIGNET_MODELS``): strict, versioned, checked as a whole at start-up.

::

    version: 1
    models:
      - id: sdxl
        source: stabilityai/stable-diffusion-xl-base-1.0
        revision: 0123456789abcdef0123456789abcdef01234567
        licence: CreativeML Open RAIL++-M
      - id: house-style
        source: ./models/house-style      # relative to this file
        verify_digests: true              # against the digests.json in that folder
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from guard.errors import ConfigError
from guard.generation.model_spec import MAX_SIDE_PX, MAX_STEPS, Device, ModelSpec, Offload, Precision, parse_source
from guard.strict_yaml import read_strict
from guard.weights import read_digests

MAX_MODELS = 64
"""Far more than one machine holds; keeps a mistaken file from being read for long."""


class ModelEntry(BaseModel):
    """One model of the file; the fields are those of ``ModelSpec``."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$", description="Name by which requests choose the model.")
    source: str = Field(description="Hub id owner/name, or a folder: /absolute, ./relative to this file, or ~/home.")
    revision: str | None = Field(None, description="Hub ids: the full commit, required.")
    name: str = Field("", description="Name for people.")
    licence: str = Field("unknown", description="SPDX id or name; goes into manifests and the ledger.")
    digest: str | None = Field(None, description="Expected content digest, as `model.digest` of a ledger entry says.")
    verify_digests: bool = Field(False, description="Check every file of a folder against its digests.json.")
    device: Device | None = Field(None, description="auto, cuda, mps or cpu; default: SIGNET_DEVICE.")
    precision: Precision = Field(Precision.AUTO, description="auto, float32, bfloat16 or float16.")
    offload: Offload = Field(Offload.NONE, description="none, model or sequential.")
    variant: str | None = Field(None, description="Weight variant in file names, for instance fp16.")
    native_size: tuple[int, int] | None = Field(None, description="[width, height] when a request names none.")
    max_side: int = Field(MAX_SIDE_PX, description="Largest width or height, in pixels.")
    max_count: int = Field(8, description="Most images of one request.")
    batch_size: int | None = Field(None, description="Images per forward pass.")
    steps: int | None = Field(None, description="Denoising steps when a request names none.")
    guidance: float | None = Field(None, description="Guidance scale when a request names none.")
    scheduler: str | None = Field(None, description="Scheduler when a request names none.")
    max_steps: int = Field(MAX_STEPS, description="Most denoising steps of one request.")
    true_cfg: float | None = Field(None, description="FLUX: scale of classifier-free guidance; default off.")
    max_sequence_length: int | None = Field(None, description="SD3, FLUX: tokens of the long text encoder.")
    skip_components: tuple[str, ...] = Field((), description="Parts that are not loaded, for instance SD3's T5.")
    lora_folders: tuple[str, ...] = Field((), description="Folders whose LoRA files requests may use.")
    allow_download: bool = Field(False, description="Fetch a hub model that is not in the local cache.")
    cache_dir: str | None = Field(None, description="Folder of the hub cache.")


class Catalogue(BaseModel):
    """The whole file."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    version: Literal[1]
    models: tuple[ModelEntry, ...] = Field(min_length=1, max_length=MAX_MODELS)


def load_catalogue(path: Path, *, device: Device = Device.AUTO) -> dict[str, ModelSpec]:
    """Return the models of a file by id.

    Args:
        path: the YAML file.
        device: for the models that name none.

    Raises:
        ConfigError: the file is not valid, an id is listed twice, or a model could never be loaded.
    """
    catalogue, _ = read_strict(path, Catalogue)
    specs: dict[str, ModelSpec] = {}
    for entry in catalogue.models:
        if entry.id in specs:
            raise ConfigError(f"{path} lists the model {entry.id!r} twice.", next_step="Give each model its own id.")
        specs[entry.id] = _spec(entry, path.parent, device)
    return specs


def _spec(entry: ModelEntry, folder: Path, device: Device) -> ModelSpec:
    """Return the spec of an entry; relative paths start at the file's folder."""
    source = parse_source(entry.source)
    if isinstance(source, Path):
        source = folder / source
    elif entry.verify_digests:
        raise ConfigError(
            f"Model {entry.id!r}: verify_digests is for folders, and {source} is a hub id.",
            next_step="Hub ids are pinned by their revision; add digest to pin the content besides.",
        )
    plain = entry.model_dump(exclude={"source", "device", "verify_digests", "lora_folders", "cache_dir"})
    return ModelSpec(
        source=source,
        digests=read_digests(source) if entry.verify_digests and isinstance(source, Path) else None,
        device=entry.device or device,
        lora_folders=tuple(folder / Path(lora).expanduser() for lora in entry.lora_folders),
        cache_dir=folder / Path(entry.cache_dir).expanduser() if entry.cache_dir is not None else None,
        **plain,
    )
