"""Where commands that turn files into files write: one file to one file, several into a folder."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from guard.errors import RequestError

STDIN_NAME = "stdin"
"""Name of the result of standard input inside a folder."""


class Targets:
    """Output paths for input paths."""

    def __init__(self, paths: Sequence[Path], out: Path, *, suffix: str | None = None) -> None:
        """Decide whether ``out`` is a file or a folder.

        Args:
            paths: files and folders as given on the command line.
            out: ``-`` for standard output, a file, or a folder: an existing one, or any when several files or a folder
                are given.
            suffix: suffix of files in a folder; None keeps that of the input.

        Raises:
            RequestError: several inputs, and ``out`` is an existing file or standard output.
        """
        several = len(paths) > 1 or any(path.is_dir() for path in paths)
        self._roots = [path for path in paths if path.is_dir()]
        self._folder = several or out.is_dir()
        self._out = out
        self._suffix = suffix
        if several and (out.is_file() or str(out) == "-"):
            raise RequestError(f"{out} is one file, and several are to be written.", next_step="Name a folder.")

    def of(self, path: Path) -> Path:
        """Return where the result of ``path`` goes; the tree below a given folder is kept."""
        if not self._folder:
            return self._out
        name = Path(STDIN_NAME) if str(path) == "-" else Path(path.name)
        for root in self._roots:
            if path.is_relative_to(root):
                name = path.relative_to(root)
        return self._out / (name if self._suffix is None else name.with_name(name.name + self._suffix))

    def write(self, target: Path, data: bytes) -> None:
        """Write a result; a file appears whole or not at all.

        Raises:
            RequestError: it cannot be written.
        """
        if str(target) == "-":
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
            return
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            partial = target.with_name(f".{target.name}.{os.getpid()}.part")
            partial.write_bytes(data)
            partial.replace(target)
        except OSError as exc:
            raise RequestError(f"{target} cannot be written: {exc.strerror}.", next_step="Check the folder.") from exc
