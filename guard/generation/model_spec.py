"""What a generative model is, before it is loaded: source, pinning, device, limits and defaults.

``ModelSpec`` is configuration: everything that can be wrong about it raises ConfigError when it is made, so that a
service does not start with a model that it could never load.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from guard.errors import ConfigError
from guard.generation.schedulers import SCHEDULERS
from guard.weights import require_commit, require_hub_id

_SHA256 = re.compile(r"[0-9a-f]{64}")
MAX_SIDE_PX = 2048
"""Default limit per side: FLUX is specified up to 2 megapixels, SDXL and SD 3.5 for 1 (their model cards)."""
MAX_STEPS = 150
"""Default limit of denoising steps; no scheduler's published comparison goes beyond (Karras et al. 2022, fig. 2)."""


class Device(StrEnum):
    """Where the model runs; ``AUTO`` takes cuda, then mps, then cpu."""

    AUTO = "auto"
    CUDA = "cuda"
    MPS = "mps"
    CPU = "cpu"


class Precision(StrEnum):
    """Number format of the weights; ``AUTO``: float32 on cpu, bfloat16 or float16 on cuda, float16 on mps."""

    AUTO = "auto"
    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"


class Offload(StrEnum):
    """What stays in the main memory while it is not needed on the accelerator."""

    NONE = "none"
    MODEL = "model"
    SEQUENTIAL = "sequential"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """A diffusers pipeline and how Signet runs it.

    Attributes:
        id: name by which requests choose the model.
        source: a ``Path`` is a local pipeline folder, a ``str`` a hub id ``owner/name`` (see ``parse_source``).
        name: for people; empty = the id.
        revision: hub ids: full commit, required. Folders: free text for the model card.
        licence: SPDX id or the licence's name; goes into manifest and ledger.
        digest: expected content digest of the loaded files, or None.
        digests: expected {relative path: sha256} of the whole folder, or None.
        device, precision, offload: see the enums; offloading needs an accelerator.
        variant: weight variant in file names, e.g. ``fp16``.
        native_size: (width, height) in pixels when a request names none; None = from the model's configuration.
        max_side: largest width or height in pixels.
        max_count: most images of one request.
        batch_size: images per forward pass; None = 1 on cpu (there a batch equals its single images bit by bit),
            the whole request on accelerators.
        steps, guidance, scheduler: the model's defaults; None = the pipeline's own.
        max_steps: most denoising steps of one request.
        true_cfg: classifier-free guidance scale for guidance-distilled pipelines (FLUX); None = switched off, and
            negative prompts are refused there.
        max_sequence_length: tokens of the long text encoder (SD3, FLUX); None = the pipeline's own.
        skip_components: parts that are not loaded, e.g. ``("text_encoder_3", "tokenizer_3")`` for SD3 without T5.
        lora_folders: local LoRA files must lie below one of these; empty = no local LoRAs.
        allow_download: fetch a hub source that is not in the local cache; off, so that no request needs the network.
        cache_dir: hub cache; None = the library's default.

    Raises:
        ConfigError: any of this cannot work.
    """

    id: str
    source: Path | str
    name: str = ""
    revision: str | None = None
    licence: str = "unknown"
    digest: str | None = None
    digests: Mapping[str, str] | None = None
    device: Device = Device.AUTO
    precision: Precision = Precision.AUTO
    offload: Offload = Offload.NONE
    variant: str | None = None
    native_size: tuple[int, int] | None = None
    max_side: int = MAX_SIDE_PX
    max_count: int = 8
    batch_size: int | None = None
    steps: int | None = None
    guidance: float | None = None
    scheduler: str | None = None
    max_steps: int = MAX_STEPS
    true_cfg: float | None = None
    max_sequence_length: int | None = None
    skip_components: tuple[str, ...] = ()
    lora_folders: tuple[Path, ...] = ()
    allow_download: bool = False
    cache_dir: Path | None = None

    def __post_init__(self) -> None:
        """Refuse what could never be loaded."""
        if not self.id.strip():
            raise ConfigError("A model needs an id: got an empty one.")
        if isinstance(self.source, str):
            require_hub_id(self.source)
            require_commit(self.revision, what=f"Model {self.id!r} (hub id {self.source})")
        if self.digest is not None and not _SHA256.fullmatch(self.digest):
            raise ConfigError(f"Model {self.id!r}: digest is {self.digest!r}; expected 64 lower-case hex digits.")
        if self.offload is not Offload.NONE and self.device is Device.CPU:
            raise ConfigError(
                f"Model {self.id!r}: offload {self.offload.value!r} needs an accelerator, but the device is cpu.",
                next_step="Set offload to none, or the device to cuda or mps.",
            )
        if self.precision is Precision.FLOAT16 and self.device is Device.CPU:
            raise ConfigError(
                f"Model {self.id!r}: float16 does not run on cpu.", next_step="Use float32 or bfloat16 there."
            )
        if self.scheduler is not None and self.scheduler not in SCHEDULERS:
            raise ConfigError(
                f"Model {self.id!r}: the scheduler {self.scheduler!r} is not known; possible: {', '.join(SCHEDULERS)}."
            )
        self._check_numbers()

    def _check_numbers(self) -> None:
        """Refuse limits and defaults that contradict one another."""
        least_one = {"max_side": self.max_side, "max_count": self.max_count, "max_steps": self.max_steps}
        optional = {
            "batch_size": self.batch_size,
            "steps": self.steps,
            "max_sequence_length": self.max_sequence_length,
        }
        for name, value in [*least_one.items(), *((n, v) for n, v in optional.items() if v is not None)]:
            if value < 1:
                raise ConfigError(f"Model {self.id!r}: {name} is {value}; expected at least 1.")
        if self.steps is not None and self.steps > self.max_steps:
            raise ConfigError(f"Model {self.id!r}: steps is {self.steps}; max_steps is {self.max_steps}.")
        if self.native_size is not None and not 1 <= min(self.native_size) <= max(self.native_size) <= self.max_side:
            raise ConfigError(
                f"Model {self.id!r}: native_size is {self.native_size}; expected both sides in 1..{self.max_side}."
            )


def parse_source(text: str) -> Path | str:
    """Return a model source given as text: a ``Path`` for a folder, a ``str`` for a hub id.

    Text that starts like a path (``/``, ``./``, ``../``, ``~``, a drive letter) is a folder; ``owner/name`` is a hub
    id even when a folder of that name happens to lie in the working directory, so that nobody can slip one in.

    Raises:
        ConfigError: neither.
    """
    if (
        text.startswith(("/", "./", "../", "~", ".\\", "..\\"))
        or text in (".", "..")
        or re.match(r"[A-Za-z]:[\\/]", text)
    ):
        return Path(text).expanduser()
    return require_hub_id(text)
