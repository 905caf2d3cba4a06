"""Passphrases and PINs by reference: from a secret file, or from a file descriptor that is read once and closed."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

from guard.errors import KeyMaterialError
from guard.provenance.key_source import read_secret

_MAX_BYTES = 4096


def passphrase_source(*, file: Path | None, descriptor: int | None) -> Callable[[], bytes] | None:
    """Return what gives the passphrase, or None when neither is configured.

    Args:
        file: its first line counts; readable by its owner only.
        descriptor: an open file descriptor (``signet serve 3< <(secret-manager get key)``); it is read to its first
            line end on first use, then closed, so it works once per process and not in a worker that starts later.

    Raises:
        KeyMaterialError: both are configured.
    """
    if file is not None and descriptor is not None:
        raise KeyMaterialError(
            "The passphrase is configured twice, by file and by descriptor; expected one.",
            next_step="Unset SIGNET_KEY_PASSPHRASE_FILE or SIGNET_KEY_PASSPHRASE_FD.",
        )
    if file is not None:
        return lambda: _first_line(read_secret(file), where=str(file))
    return _DescriptorPassphrase(descriptor) if descriptor is not None else None


class _DescriptorPassphrase:
    """Reads the descriptor on first use and remembers the line; never shown."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()
        self._line: bytes | None = None

    def __call__(self) -> bytes:
        with self._lock:
            if self._line is None:
                try:
                    with os.fdopen(self._descriptor, "rb") as pipe:
                        content = pipe.readline(_MAX_BYTES)
                except OSError as exc:
                    raise KeyMaterialError(
                        f"The passphrase cannot be read from file descriptor {self._descriptor}: {exc.strerror}.",
                        next_step="Open it for this process, e.g. `signet serve 3< secret` with "
                        "SIGNET_KEY_PASSPHRASE_FD=3.",
                    ) from exc
                self._line = _first_line(content, where=f"file descriptor {self._descriptor}")
            return self._line


def _first_line(content: bytes, *, where: str) -> bytes:
    """Return the first line without its end. Raises KeyMaterialError when it is empty."""
    line = content.split(b"\n", 1)[0].rstrip(b"\r")
    if not line:
        raise KeyMaterialError(f"{where} holds no passphrase; expected it in the first line.")
    return line
