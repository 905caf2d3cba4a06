"""Many files through ``signet detect``: in this process or in several, each distinct content judged once."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detectors.evidence import Family
from gateway.cli.options import runtime
from gateway.cli.output import error_row, read_file
from gateway.cli.workers import answers
from gateway.runtime import Runtime
from guard.errors import GuardError
from guard.media import sha256_hex

Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkJob:
    """What a worker needs to open a runtime like that of the command; picklable, and itself the opener."""

    home: Path | None
    policy: str | None
    families: frozenset[Family] | None

    @contextmanager
    def __call__(self) -> Iterator[Callable[[str], Row]]:
        """Open a runtime and yield path -> row."""
        import cv2

        cv2.setNumThreads(1)  # one process a core already; more threads would only wait for one another
        with runtime(self.home, detection_policy=self.policy) as opened:
            yield lambda text: judge_file(Path(text), opened, families=self.families)


def judge_file(path: Path, opened: Runtime, *, families: frozenset[Family] | None) -> Row:
    """Return the row of one file; a file that cannot be examined is a row with ``error``."""
    try:
        report, _ = opened.examine(read_file(path), name=str(path), families=families)
    except GuardError as error:
        return {"path": str(path), **error_row(error)}
    return {"path": str(path), **report.model_dump(mode="json", exclude={"path"})}


def judge_files(
    files: Sequence[Path], job: BulkJob, opened: Runtime, *, processes: int, done: Mapping[str, Row]
) -> Iterator[Row]:
    """Yield one row a file, in order.

    A file with the same bytes as an earlier one gets that one's row, with ``duplicate_of``. Files in ``done`` are not
    opened again.

    Args:
        files: in the order of the rows.
        job: opens the workers' runtimes.
        opened: serves when there is one process only.
        processes: number of processes, at least 1.
        done: rows of an earlier run by path.
    """
    rest = [path for path in files if str(path) not in done]
    fresh = _fresh(rest, job, opened, processes=processes)
    for path in files:
        yield done.get(str(path)) or next(fresh)


def _fresh(rest: Sequence[Path], job: BulkJob, opened: Runtime, *, processes: int) -> Iterator[Row]:
    """Yield the rows of files without one, each distinct content judged once."""
    twin = _twins(rest)
    wanted = set(twin.values())
    tasks = [str(path) for index, path in enumerate(rest) if index not in twin]
    judged = _judged(tasks, job, opened, processes=processes)
    kept: dict[int, Row] = {}
    for index, path in enumerate(rest):
        if index in twin:
            yield {**kept[twin[index]], "path": str(path), "duplicate_of": str(rest[twin[index]])}
            continue
        row = next(judged)
        if index in wanted:
            kept[index] = row
        yield row


def _judged(tasks: Sequence[str], job: BulkJob, opened: Runtime, *, processes: int) -> Iterator[Row]:
    _ = opened.engine  # a policy or model that does not load stops here: it is not the files that are wrong
    if processes < 2 or len(tasks) < 2:
        for task in tasks:
            yield judge_file(Path(task), opened, families=job.families)
        return
    found = answers(tasks, job, workers=processes, failed=error_row)
    for task, row in found:
        yield {**row, "path": task}


def _twins(paths: Sequence[Path]) -> dict[int, int]:
    """Return {index of a file: index of the first one with the same bytes}; only files of equal size are read."""
    sizes: dict[int, list[int]] = {}
    for index, path in enumerate(paths):
        with contextlib.suppress(OSError):  # the row of this file says what is wrong with it
            sizes.setdefault(path.stat().st_size, []).append(index)
    found: dict[int, int] = {}
    for indices in sizes.values():
        first: dict[str, int] = {}
        for index in indices if len(indices) > 1 else ():
            with contextlib.suppress(OSError):
                original = first.setdefault(sha256_hex(paths[index].read_bytes()), index)
                if original != index:
                    found[index] = original
    return found
