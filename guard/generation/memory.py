"""Recognises that memory ran out, and gives it back so that the next request can run."""

from __future__ import annotations

import gc
import traceback

_TEXTS = ("not enough memory", "out of memory", "can't allocate memory")
"""Source: c10/core/impl/alloc_cpu.cpp ("DefaultCPUAllocator: not enough memory", "can't allocate memory"),
c10/cuda/CUDACachingAllocator.cpp and aten/src/ATen/mps/MPSAllocator.mm ("out of memory")."""


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an exception means that a memory request could not be met, on any device."""
    import torch

    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error).lower() for text in _TEXTS)


def release_memory(error: BaseException | None = None) -> None:
    """Free what a failed generation still holds.

    The traceback of an exception keeps the tensors of every frame alive for as long as somebody keeps the exception
    (a log handler, the ``__cause__`` of ours), so its frames are cleared first; then the caches are emptied.
    """
    import torch

    if error is not None:
        traceback.clear_frames(error.__traceback__)
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if torch.backends.mps.is_available():
        torch.mps.empty_cache()
