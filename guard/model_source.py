"""Weights that an operator brings: where they lie, and the digest that they must have.

::

    source = ModelSource(folder=Path("/models/clip"), digest="5c6...")
    folder = open_source(source, what="The CLIP model")     # verified; nothing was parsed yet

Hub ids are looked up in the local cache at the pinned commit; nothing is downloaded.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from guard.errors import ConfigError, WeightsError
from guard.weights import (
    CODE_SUFFIXES,
    DIGESTS_FILE,
    PICKLE_SUFFIXES,
    content_digest,
    is_document,
    require_commit,
    require_digest,
    require_hub_id,
    require_safe_format,
    sha256_file,
)

DeviceName: TypeAlias = Literal["auto", "cpu", "cuda", "mps"]
"""Where a model runs; ``auto`` prefers an accelerator."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSource:
    """A model folder, or a hub id with its commit; exactly one of ``folder`` and ``hub``.

    Attributes:
        digest: SHA-256 over the files that a loader could read (``content_digest``), 64 hex digits.
    """

    digest: str
    folder: Path | None = None
    hub: str | None = None
    revision: str | None = None


def open_source(source: ModelSource, *, what: str) -> Path:
    """Return the folder of a model once its files are the pinned ones and none of them can run code.

    Args:
        source: where the model is.
        what: what to call it in messages, for instance ``The CLIP model``.

    Raises:
        WeightsError: missing, of a format that can run code, or with another digest.
        ConfigError: neither or both places are given, or the hub id or its commit is malformed.
    """
    folder = _folder(source, what)
    digests = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if not path.is_file() or is_document(path) or path.name == DIGESTS_FILE or name.parts[0].startswith("."):
            continue  # the download tool keeps its notes in a dot folder; no loader reads there
        if path.suffix.lower() in CODE_SUFFIXES | PICKLE_SUFFIXES:
            require_safe_format(path)
        digests[name.as_posix()] = sha256_file(path)
    if not any(name.endswith(".safetensors") for name in digests):
        raise WeightsError(f"{what}: {folder} holds no safetensors file.")
    require_digest(content_digest(digests), source.digest, what=f"{what} in {folder}")
    return folder


def _folder(source: ModelSource, what: str) -> Path:
    """Return the local folder of a source; it exists."""
    if (source.folder is None) == (source.hub is None):
        raise ConfigError(f"{what} needs either a folder or a hub id.")
    if source.folder is not None:
        if not source.folder.is_dir():
            raise WeightsError(f"{what}: the folder {source.folder} does not exist.")
        return source.folder
    hub = require_hub_id(source.hub or "")
    revision = require_commit(source.revision, what=what)
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import LocalEntryNotFoundError
    except ImportError as exc:
        raise ConfigError(f"{what} is named by hub id, which needs the package huggingface_hub.") from exc
    try:
        return Path(snapshot_download(hub, revision=revision, local_files_only=True))
    except (LocalEntryNotFoundError, OSError, ValueError) as exc:
        raise WeightsError(
            f"{what}: commit {revision} of {hub} is not in the local cache.",
            next_step=f"hf download {hub} --revision {revision} --include '*.json' '*.txt' '*.safetensors'",
        ) from exc


def torch_device(wanted: DeviceName) -> str:
    """Return the device that a name means on this machine; torch must be installed.

    Raises:
        ConfigError: the device named is not there.
    """
    import torch

    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if wanted == "auto":
        return next(name for name in ("cuda", "mps", "cpu") if there[name])
    if not there[wanted]:
        raise ConfigError(f"The device {wanted!r} is not there; there are: {', '.join(n for n in there if there[n])}.")
    return wanted
