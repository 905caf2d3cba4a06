"""Train with one single-threaded process per core, gradients averaged once a step.

Data flow: ``launch(job, arguments)`` -> WORKERS processes, each calling ``job(worker, *arguments)`` inside a ``gloo``
group -> ``average_gradients`` after each backward pass.

Why not threads: a threaded convolution waits for its slowest core hundreds of times in a step, so that any other
program on the machine halves its speed several times over (measured: 0.5 s a step alone, 1.7 s beside one other
busy process; docs/signet-mini.md). Processes wait once.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import torch
import torch.distributed as dist
from torch import Tensor

WORKERS: Final = 2
TIMEOUT: Final = timedelta(minutes=30)


def _enter(worker: int, meeting_point: str, job: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    torch.set_num_threads(1)
    store = dist.FileStore(meeting_point, WORKERS)
    dist.init_process_group("gloo", store=store, rank=worker, world_size=WORKERS, timeout=TIMEOUT)
    try:
        job(worker, *arguments)
    finally:
        with contextlib.suppress(RuntimeError):  # the other worker may be gone already; nothing is left to tell it
            dist.destroy_process_group()


def launch(job: Callable[..., None], *arguments: object) -> None:
    """Run ``job(worker, *arguments)`` in WORKERS processes and wait for all of them.

    Args:
        job: function at module level; its first argument is the worker's number, from 0.
        arguments: passed on; must be picklable.
    """
    with tempfile.TemporaryDirectory(prefix="signet-mini-") as folder:
        meeting_point = str(Path(folder) / "meeting-point")
        torch.multiprocessing.spawn(_enter, args=(meeting_point, job, arguments), nprocs=WORKERS)


def sum_over_workers(tensors: list[Tensor]) -> None:
    """Replace every tensor by its sum over the workers, in place, in one exchange."""
    flat = torch.cat([t.reshape(-1) for t in tensors])
    dist.all_reduce(flat)
    for own, part in zip(tensors, flat.split([t.numel() for t in tensors]), strict=True):
        own.copy_(part.view_as(own))


def average_gradients(parameters: Iterable[Tensor]) -> None:
    """Replace the gradients of ``parameters`` by their mean over the workers."""
    gradients = [p.grad for p in parameters if p.grad is not None]
    sum_over_workers(gradients)
    for gradient in gradients:
        gradient.div_(WORKERS)
