"""Published checkpoints -> safetensors, in a killable worker and without running any code of the file.

Most authors publish Python pickles. A pickle can run code when it is read, so Signet never loads one while it judges:
``signet weights fetch`` reads it once with torch's restricted reader (``weights_only=True``: tensors and plain
containers, nothing else), in another process, and keeps only the tensors as safetensors.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from json import loads
from pathlib import Path
from typing import Any

from guard.errors import ConfigError, WeightsError
from guard.isolation import WorkerPool

CONVERSION_DEADLINE_S = 600.0
"""A 1.2 GB checkpoint is read and written within a minute on a slow disk; ten leave room."""
MAX_HEADER_BYTES = 64 * 1024**2
"""Source: safetensors format; its own library refuses headers above 100 MB."""
_PARALLEL_PREFIX = "module."
"""torch's DataParallel puts it before every name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTensor:
    """What is known of a tensor without reading it."""

    shape: tuple[int, ...]


def convert(source: Path, target: Path, *, unwrap: tuple[str, ...]) -> None:
    """Write the tensors of a published checkpoint to a safetensors file.

    Args:
        source: the published file, of any suffix; its digest was checked before.
        target: written; replaced when it exists.
        unwrap: keys to follow until the tensors are reached.

    Raises:
        WeightsError: not a checkpoint of plain tensors, or not with these keys.
        WorkerError: the worker died; DeadlineError: it took too long.
    """
    with WorkerPool(size=1, memory_bytes=None, preload=("torch", "safetensors.torch")) as pool:
        pool.run(write_tensors, str(source), str(target), unwrap, deadline_s=CONVERSION_DEADLINE_S)


def write_tensors(source: str, target: str, unwrap: tuple[str, ...]) -> None:
    """Do the work of ``convert`` in the worker; the arguments are the same."""
    try:
        import argparse

        import torch
        from safetensors.torch import save_file
    except ImportError as exc:
        raise ConfigError(
            "Converting weights needs torch.", next_step='pip install "signet-gateway[detectors]"'
        ) from exc
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):  # options of the training run beside the tensors
            found: Any = torch.load(source, map_location="cpu", weights_only=True)
    except Exception as exc:  # torch raises many kinds for what it refuses to read; nothing is installed
        raise WeightsError(
            f"{source} is not a checkpoint of plain tensors ({type(exc).__name__}).",
            next_step="Check that the file is the published one; nothing in it was run.",
        ) from exc
    for key in unwrap:
        if not isinstance(found, dict) or key not in found:
            raise WeightsError(f"{source} has no part {key!r}, in which the tensors were published.")
        found = found[key]
    if not isinstance(found, dict) or not found or not all(isinstance(v, torch.Tensor) for v in found.values()):
        raise WeightsError(f"{source} does not hold a mapping of names to tensors.")
    tensors = {str(name).removeprefix(_PARALLEL_PREFIX): value.contiguous().clone() for name, value in found.items()}
    save_file(tensors, target)


def stored_shapes(path: Path) -> dict[str, StoredTensor]:
    """Return name and shape of every tensor of a safetensors file from its header; no tensor is read.

    Raises:
        WeightsError: not a safetensors file.
    """
    try:
        with path.open("rb") as stream:
            (length,) = struct.unpack("<Q", stream.read(8))
            if length > MAX_HEADER_BYTES:
                raise WeightsError(f"{path} is not a safetensors file: its header would have {length} bytes.")
            header = loads(stream.read(length))
        return {
            name: StoredTensor(shape=tuple(int(side) for side in described["shape"]))
            for name, described in header.items()
            if name != "__metadata__"
        }
    except (OSError, struct.error, ValueError, KeyError, TypeError, AttributeError) as exc:
        raise WeightsError(f"{path} is not a readable safetensors file.") from exc
