"""Several processes that each judge files with a runtime of their own; one that dies costs one file.

Flow: tasks -> at most one in flight a worker -> answers in the order of the tasks. Nothing is kept but what is in
flight, so memory stays level over any number of files.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any

from guard.errors import DetectorError, GuardError

Answer = dict[str, Any]
"""A JSON row."""
Opener = Callable[[], contextlib.AbstractContextManager[Callable[[str], Answer]]]
"""Opens, inside a worker, what turns a task into an answer; must be picklable."""
MOST_AHEAD = 64
"""Answers that wait for an earlier, slower file before they can be given out."""


@dataclass(slots=True)
class _Worker:
    """One process and the task that it is at."""

    process: SpawnProcess
    link: Connection
    task: int | None = None


def _serve(link: Connection, opener: Opener) -> None:
    """Answer tasks until the link closes; runs in the worker."""
    with opener() as answer:
        while True:
            try:
                text = link.recv()
            except (EOFError, OSError):
                return
            link.send(answer(text))


def answers(
    tasks: Sequence[str], opener: Opener, *, workers: int, failed: Callable[[GuardError], Answer]
) -> Iterator[tuple[str, Answer]]:
    """Yield (task, answer) in the order of the tasks.

    Args:
        tasks: e.g. paths.
        opener: see ``Opener``.
        workers: number of processes, at least 1.
        failed: makes the answer of a task whose worker died.
    """
    running = [_start(opener) for _ in range(min(workers, len(tasks)))]
    ready: dict[int, Answer] = {}
    given, following = 0, 0
    try:
        while given < len(tasks):
            for worker in running:
                if worker.task is None and following < min(len(tasks), given + MOST_AHEAD):
                    worker.task, following = following, following + 1
                    with contextlib.suppress(OSError):  # a dead worker is noticed when its answer is waited for
                        worker.link.send(tasks[worker.task])
            busy = {worker.link: index for index, worker in enumerate(running) if worker.task is not None}
            for link in wait(list(busy)):
                index = busy[link]  # type: ignore[index]  # wait() returns what it was given
                worker = running[index]
                task = worker.task if worker.task is not None else given
                try:
                    ready[task] = worker.link.recv()
                    worker.task = None
                except (EOFError, OSError):
                    ready[task] = failed(DetectorError("The process that examined this file ended unexpectedly."))
                    _stop(worker)
                    running[index] = _start(opener)
            while given in ready:
                yield tasks[given], ready.pop(given)
                given += 1
    finally:
        for worker in running:
            _stop(worker)


def _start(opener: Opener) -> _Worker:
    context = get_context("spawn")  # fork would copy locks of this process's threads
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, opener), daemon=False)
    process.start()
    theirs.close()
    return _Worker(process=process, link=ours)


def _stop(worker: _Worker) -> None:
    worker.link.close()
    worker.process.join(timeout=10)
    if worker.process.is_alive():
        worker.process.kill()
        worker.process.join()
