"""The worker's side of ``guard/isolation.py``: message format, limits, and the loop that answers requests.

A message is a header (length of the pickle, number of blobs, length of each blob), a pickle, and the blobs: ``bytes``
of 64 KiB and more travel beside the pickle, so that an upload is written from where it lies and read to where it stays
(1 MB: 0.4 ms instead of 2.8 ms when pickled in place, measured on a busy core). A worker is started with
``python -c "from guard.isolation_worker import serve; serve()"`` and imports nothing but what it is asked to run.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import pickle
import signal
import struct
from collections.abc import Sequence
from typing import Any, BinaryIO

from guard.errors import GuardError

BLOB_BYTES = 64 * 1024
"""Shortest ``bytes`` that travels beside the pickle: one default pipe buffer."""
_MAX_BLOBS = 4096
_MAX_MESSAGE_CHARS = 300
_ALARM_GRACE_S = 1.0
"""The worker's own alarm comes this much after the deadline, so that normally the parent acts first."""
_HEADER = struct.Struct("<QQ")


class _BlobPickler(pickle.Pickler):
    """Pickler that leaves long ``bytes`` out and collects them."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file, protocol=5)
        self.blobs: list[bytes] = []

    def persistent_id(self, obj: object) -> int | None:
        """Return the number of a blob in place of long bytes; None keeps the object in the pickle."""
        if type(obj) is bytes and len(obj) >= BLOB_BYTES:
            self.blobs.append(obj)
            return len(self.blobs) - 1
        return None


class BlobUnpickler(pickle.Unpickler):
    """Unpickler that puts the blobs back."""

    def __init__(self, body: bytes, blobs: Sequence[bytes]) -> None:
        super().__init__(io.BytesIO(body))
        self._blobs = blobs

    def persistent_load(self, pid: int) -> bytes:
        """Return blob number ``pid``. Raises IndexError, TypeError."""
        return self._blobs[pid]


def pack(value: object) -> list[bytes]:
    """Return the parts of one message. Raises whatever pickling ``value`` raises."""
    file = io.BytesIO()
    pickler = _BlobPickler(file)
    pickler.dump(value)
    body, lengths = file.getvalue(), [len(blob) for blob in pickler.blobs]
    header = _HEADER.pack(len(body), len(lengths)) + struct.pack(f"<{len(lengths)}Q", *lengths)
    return [header + body, *pickler.blobs]


def send(descriptor: int, parts: Sequence[bytes]) -> None:
    """Write one message. Raises OSError."""
    for part in parts:
        view, sent = memoryview(part), 0
        while sent < len(view):
            sent += os.write(descriptor, view[sent:])


def receive(stream: BinaryIO, *, limit: int) -> tuple[bytes, list[bytes]]:
    """Read one message as (pickle, blobs).

    Raises:
        EOFError: the pipe ended.
        ValueError: more than ``limit`` bytes or _MAX_BLOBS blobs were announced.
        OSError: the pipe broke.
    """
    length, count = _HEADER.unpack(_exactly(stream, _HEADER.size))
    if count > _MAX_BLOBS:
        raise ValueError(f"a message of {count} blobs was announced; at most {_MAX_BLOBS} are read")
    lengths = struct.unpack(f"<{count}Q", _exactly(stream, 8 * count))
    if length + sum(lengths) > limit:
        raise ValueError(f"a message of {length + sum(lengths)} bytes was announced; at most {limit} are read")
    return _exactly(stream, length), [_exactly(stream, size) for size in lengths]


def _exactly(stream: BinaryIO, length: int) -> bytes:
    """Read exactly ``length`` bytes. Raises EOFError, OSError."""
    got = stream.read(length)
    if len(got) < length:
        raise EOFError(f"the pipe ended after {len(got)} of {length} bytes")
    return got


def serve() -> None:
    """Answer requests until the pipe ends; the main function of a worker process."""
    descriptor = os.dup(1)
    requests = os.fdopen(os.dup(0), "rb")
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)  # whatever a library prints must not get between the answers
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(EOFError, BrokenPipeError):
        send(descriptor, _prepare(*_request(requests)))
        while True:
            deadline_s, path, args, kwargs = _request(requests)
            _alarm(deadline_s + _ALARM_GRACE_S)
            answer = _answer(path, args, kwargs)
            del args, kwargs  # an idle worker keeps no upload
            _alarm(0)
            send(descriptor, answer)
            del answer


def _request(stream: BinaryIO) -> Any:
    """Read one request; our own parent wrote it, so it may name any class. Raises EOFError."""
    return BlobUnpickler(*receive(stream, limit=2**63)).load()


def _prepare(memory_bytes: int | None, preload: tuple[str, ...]) -> list[bytes]:
    """Set the limits of this process, import what will be needed, and return the first answer."""
    with contextlib.suppress(ImportError):  # Windows has no resource limits
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold somebody's upload
        if memory_bytes is not None:
            resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    try:
        for module in preload:
            importlib.import_module(module)
    except Exception as exc:  # becomes WorkerError in the parent
        return pack(("raised", _describe(exc)))
    return pack(("value", None))


def _answer(path: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[bytes]:
    """Run one request and return its packed (kind, value)."""
    module, _, name = path.partition(":")
    try:
        return pack(("value", getattr(importlib.import_module(module), name)(*args, **kwargs)))
    except GuardError as exc:
        return pack(("error", exc))
    except MemoryError:
        return pack(("memory", None))
    except Exception as exc:  # becomes WorkerError in the parent
        return pack(("raised", _describe(exc)))


def _describe(exc: Exception) -> str:
    """Return type and message of a foreign error, clipped."""
    return f"{type(exc).__name__}: {exc}"[:_MAX_MESSAGE_CHARS]


def _alarm(seconds: float) -> None:
    """Let the kernel end this process after ``seconds``, also when the parent is gone; 0 disarms."""
    if hasattr(signal, "setitimer"):  # SIGALRM keeps its default action: no Python code needs to run
        signal.setitimer(signal.ITIMER_REAL, seconds)
