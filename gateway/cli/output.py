"""How every command speaks: JSON on standard output, tables for people, errors on standard error, exit codes.

Exit codes: 0 clean, 1 finding or refusal, 2 usage or configuration, 3 could not examine.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from detectors.report.as_text import printable
from guard.errors import ConfigError, GuardError, MediaError, RequestError, VerificationError

CLEAN, FINDING, USAGE, NOT_EXAMINED = 0, 1, 2, 3
IMAGE_SUFFIXES = frozenset(
    {
        ".png",
        ".apng",
        ".jpg",
        ".jpeg",
        ".jpe",
        ".jfif",
        ".mpo",
        ".webp",
        ".avif",
        ".heic",
        ".tif",
        ".tiff",
        ".bmp",
        ".gif",
    }
)
"""Files that are picked up when a folder is given; files named one by one are always examined."""
MAX_ENDINGS = 8
"""Endings of files passed over that are named, the most frequent first."""


def console() -> Console:
    """Return a console on standard output."""
    return Console(highlight=False)


def error_console() -> Console:
    """Return a console on standard error."""
    return Console(stderr=True, highlight=False)


def json_line(row: dict[str, Any]) -> str:
    """Return one JSON document on one line that is valid UTF-8, also for file names that are not."""
    text = json.dumps(row, ensure_ascii=False, allow_nan=False)
    try:
        text.encode()
    except UnicodeEncodeError:  # Python carries undecodable bytes of a file name as lone surrogates
        text = json.dumps(row, allow_nan=False)
    return text + "\n"


def emit(row: dict[str, Any]) -> None:
    """Print one JSON document on one line."""
    sys.stdout.write(json_line(row))
    sys.stdout.flush()


def exit_code(error: GuardError) -> int:
    """Return the exit code that an error stands for."""
    if isinstance(error, ConfigError | RequestError):
        return USAGE
    if isinstance(error, VerificationError):
        return FINDING
    return NOT_EXAMINED


def error_row(error: GuardError) -> dict[str, Any]:
    """Return the JSON keys of an error."""
    return {"error": error.code, "reason": str(error), "next_step": error.diagnostics()}


@contextmanager
def reporting(*, as_json: bool) -> Iterator[None]:
    """Turn an error of ours into a message and its exit code; anything else is a bug and keeps its traceback."""
    try:
        yield
    except GuardError as error:
        if as_json:
            emit(error_row(error))
        else:
            out = error_console()
            out.print(f"[bold red]Error:[/] {_plain(str(error))}")
            out.print(f"[bold]What to do:[/] {_plain(error.diagnostics())}")
        raise typer.Exit(exit_code(error)) from error


def _plain(text: str) -> str:
    """Escape rich markup and control characters of a message that may quote untrusted text."""
    return printable(text).replace("[", "\\[")


def find_files(paths: Sequence[Path]) -> list[Path]:
    """Return the files named and, in folders (recursed, sorted), every file with an image suffix.

    Raises:
        RequestError: a path does not exist, or nothing was found.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += sorted(p for p in path.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES and p.is_file())
        elif path.exists() or str(path) == "-":
            found.append(path)
        else:
            raise RequestError(f"{path} does not exist.", next_step="Check the path.")
    if not found:
        raise RequestError(
            "No image files were found.",
            next_step=f"Name files, or a folder with files ending in {', '.join(sorted(IMAGE_SUFFIXES))}.",
        )
    return found


def passed_over(paths: Sequence[Path]) -> str | None:
    """Return a sentence about the files in folders that ``find_files`` leaves out, by ending; None without any."""
    endings = Counter(
        found.suffix.lower() or "no ending"
        for path in paths
        if path.is_dir()
        for found in path.rglob("*")
        if found.suffix.lower() not in IMAGE_SUFFIXES and found.is_file()
    )
    if not endings:
        return None
    shown = ", ".join(f"{count} {ending}" for ending, count in endings.most_common(MAX_ENDINGS))
    more = f", and {len(endings) - MAX_ENDINGS} more endings" if len(endings) > MAX_ENDINGS else ""
    return f"Passed over by their file endings: {endings.total()} ({shown}{more}). Name a file to have it examined."


def read_file(path: Path) -> bytes:
    """Return a file's bytes; ``-`` reads standard input.

    Raises:
        MediaError: the file cannot be read.
    """
    try:
        return sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
    except OSError as exc:
        raise MediaError(f"{path} cannot be read: {exc.strerror}.", next_step="Check the path and its rights.") from exc


def make_folder(path: Path) -> None:
    """Make a folder for results. Raises RequestError when that is not possible."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise RequestError(f"The folder {path} cannot be made: {exc.strerror}.", next_step="Name another.") from exc


def write_file(path: Path, data: bytes, *, private: bool = False) -> None:
    """Write a result; ``private`` for its owner's eyes only. Raises RequestError when that is not possible."""
    try:
        if private:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
            path.chmod(0o600)
        path.write_bytes(data)
    except OSError as exc:
        raise RequestError(
            f"{path} cannot be written: {exc.strerror}.", next_step="Free space, or name another place."
        ) from exc


def for_each_file(
    paths: Sequence[Path],
    examine: Callable[[Path, bytes], tuple[dict[str, Any], int]],
    *,
    as_json: bool,
    show: Callable[[dict[str, Any]], None],
) -> int:
    """Examine files one after the other and keep going after a bad one.

    Args:
        paths: files and folders.
        examine: (path, bytes) -> (JSON row without ``path``, exit code of this item).
        as_json: one JSON line per item instead of ``show``.
        show: prints one row for people.

    Returns:
        NOT_EXAMINED when nothing at all could be examined, else FINDING when any item had one, else CLEAN.
    """
    files = find_files(paths)
    codes: list[int] = []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    out = error_console()
    with Progress(*columns, console=out, transient=True, disable=len(files) < 2 or not out.is_terminal) as progress:
        task = progress.add_task("Examining", total=len(files))
        for path in files:
            try:
                row, code = examine(path, read_file(path))
            except GuardError as error:
                row, code = error_row(error), NOT_EXAMINED
            row = {"path": str(path), **row}
            codes.append(code)
            if as_json:
                emit(row)
            elif "error" in row:
                out.print(f"[red]{_plain(row['path'])}[/]: {_plain(row['reason'])} {_plain(row['next_step'])}")
            else:
                show(row)
            progress.advance(task)
    if FINDING in codes:
        return FINDING
    return NOT_EXAMINED if NOT_EXAMINED in codes else CLEAN
