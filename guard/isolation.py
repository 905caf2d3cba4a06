"""Killable worker processes for code that cannot be stopped in a thread: native parsers of uploads.

A call into native code (``c2pa`` Reader, a Pillow decoder) cannot be cancelled, and a hostile file can make it take
minutes or gigabytes. ``WorkerPool`` runs it in another process under a deadline and a memory limit::

    with WorkerPool(size=2, preload=("c2pa",)) as pool:
        report = pool.run(parse_upload, data, deadline_s=2.0)

One call, step by step:

 (1) take an idle worker, or start one; wait for a free one no longer than ``queue_timeout_s``
 (2) arm the deadline twice: a timer here that kills the worker, and ``SIGALRM`` in the worker for the case that this
     process dies first
 (3) send (function path, arguments); receive one answer: a value, an error of our tree, or a foreign error's name
 (4) give the worker back, or, after an overrun, a crash or a memory error, reap it; the next call starts another

Why a plain ``subprocess`` with length-prefixed pickles and not ``multiprocessing``: spawn re-imports the caller's
``__main__`` (a script that uses this package at module level would run twice, and under uvicorn or the CLI the whole
application would load in each worker), fork copies a threaded process with its native contexts dead in the child.

The worker parses hostile bytes, so what comes back is not trusted: answers are unpickled by ``_AnswerUnpickler``, which
builds only plain values, NumPy arrays and the dataclasses, enums and errors of our own packages.
"""

from __future__ import annotations

import contextlib
import dataclasses
import enum
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO, ParamSpec, TypeVar, cast

from guard.errors import BusyError, ConfigError, DeadlineError, GuardError, WorkerError
from guard.isolation_worker import BlobUnpickler, Part, pack, receive, send

P = ParamSpec("P")
R = TypeVar("R")

DEFAULT_MEMORY_BYTES = 2 * 1024**3
"""Address space of one worker: Python, NumPy and c2pa map 0.4 GB, a 40 Mpx RGBA decode adds 0.5 GB (measured)."""
START_TIMEOUT_S = 30.0
"""Longest start of a worker, imports of ``preload`` included; 0.2-0.6 s on an idle core (measured)."""
MAX_ANSWER_BYTES = 512 * 1024**2
"""Largest answer that is read: twice the RGBA pixels of a 40 Mpx picture, with room."""
_PIPE_BYTES = 1024**2
"""Pipe capacity asked of Linux, its default limit for users (fs.pipe-max-size); 64 KiB costs a switch per 64 KiB."""
_CLOSE_TIMEOUT_S = 1.0
_WORKER_ENVIRONMENT = {
    # one thread per numeric library: each maps arenas of 64 MB, which would eat the address-space limit
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "2",
    # glibc: keep buffers of some MB on the heap; mapping them anew for each call cost 1.6 of 5 ms (measured, 1 MB PNG)
    "MALLOC_MMAP_THRESHOLD_": str(32 * 1024**2),
    "MALLOC_TRIM_THRESHOLD_": str(64 * 1024**2),
}
_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "TEMP", "SYSTEMROOT", "LD_LIBRARY_PATH", "PYTHONHOME")
"""All that a worker sees of our environment: passphrases and tokens are none of a hostile file's business."""
_BOOT = "from guard.isolation_worker import serve; serve()"
_OUR_PACKAGES = ("guard", "detectors")
_PLAIN_GLOBALS = frozenset(
    {
        ("builtins", "frozenset"),
        ("builtins", "set"),
        ("datetime", "datetime"),
        ("datetime", "timedelta"),
        ("datetime", "timezone"),
        ("numpy", "dtype"),
        ("numpy", "ndarray"),
        ("numpy._core.multiarray", "_reconstruct"),
        ("numpy._core.multiarray", "scalar"),
        ("numpy._core.numeric", "_frombuffer"),
    }
)
"""Constructors an answer may name besides our own value classes; none of them runs code of the sender's choice."""


class _AnswerUnpickler(BlobUnpickler):
    """Unpickler for answers of a worker, which may have been taken over by the file it parsed."""

    def find_class(self, module: str, name: str) -> Any:
        """Allow plain constructors and our own dataclasses, enums and errors; refuse every other name."""
        if (module, name) in _PLAIN_GLOBALS:
            return super().find_class(module, name)
        if module.partition(".")[0] in _OUR_PACKAGES and "." not in name:
            found = super().find_class(module, name)
            if isinstance(found, type) and found.__module__ == module and _is_value_class(found):
                return found
        raise pickle.UnpicklingError(f"a worker's answer may not contain {module}.{name}")


def _is_value_class(found: type) -> bool:
    """Return whether instances are mere data."""
    return dataclasses.is_dataclass(found) or issubclass(found, enum.Enum | GuardError)


class WorkerPool:
    """A small pool of worker processes; thread-safe; workers start on first use, see the module."""

    def __init__(
        self,
        *,
        size: int = 2,
        memory_bytes: int | None = DEFAULT_MEMORY_BYTES,
        preload: Sequence[str] = (),
        queue_timeout_s: float = 30.0,
    ) -> None:
        """Prepare; no process starts yet.

        Args:
            size: most workers at one time, 1..64.
            memory_bytes: address-space limit of each worker, or None for no limit; no effect on Windows.
            preload: modules that a worker imports before its first call, so that no call pays for them.
            queue_timeout_s: longest wait for a free worker, s.

        Raises:
            ConfigError: ``size`` out of range.
        """
        if not 1 <= size <= 64:
            raise ConfigError(f"The worker pool got size {size}; expected 1 to 64.")
        self._size = size
        self._memory_bytes = memory_bytes
        self._preload = tuple(preload)
        self._queue_timeout_s = queue_timeout_s
        self._closed = False
        self._own_state()

    def _own_state(self) -> None:
        """Make the state that belongs to this process; also called in a forked child, which owns no workers."""
        self._pid = os.getpid()
        self._free = threading.Condition()
        self._idle: list[_Worker] = []
        self._busy: set[_Worker] = set()
        self._finalizer = weakref.finalize(self, _close_all, os.getpid(), self._idle, self._busy)

    def run(self, function: Callable[P, R], /, *args: P.args, deadline_s: float, **kwargs: P.kwargs) -> R:  # type: ignore[valid-type]
        """Run ``function(*args, **kwargs)`` in a worker and return what it returns.

        Args:
            function: module-level function of an importable module; named to the worker by its path.
            args: picklable arguments.
            deadline_s: seconds the call may take, > 0; the start of a worker does not count.
            kwargs: picklable keyword arguments.

        Raises:
            DeadlineError: the call ran past its deadline (the worker was killed), or, as BusyError, no worker became
                free in time.
            WorkerError: the worker crashed, ran out of memory, raised a foreign error or gave a forbidden answer.
            GuardError: whatever error of our tree the function raised, unchanged.
            ConfigError: the function cannot be named by a path, or the pool is closed.
        """
        request = pack((deadline_s, _path_of(function), args, kwargs))
        worker = self._acquire()
        keep = False
        try:
            kind, value = worker.exchange(request, deadline_s=deadline_s, name=function.__name__)
            keep = kind != "memory"
        finally:
            self._release(worker, keep=keep)
        if kind == "value":
            return cast("R", value)
        if kind == "error":
            raise cast("GuardError", value)
        if kind == "memory":
            raise WorkerError(
                f"{function.__name__} needed more memory than the worker's limit of {self._memory_bytes} bytes.",
                next_step="The file is built to exhaust memory, or the limit is too low for it.",
            )
        raise WorkerError(f"{function.__name__} raised {value} in its worker.")

    def warm(self) -> None:
        """Start all workers now and wait until they are ready, so that the first call does not pay for it."""
        taken = [self._acquire() for _ in range(self._size)]
        for worker in taken:
            self._release(worker, keep=True)

    def close(self) -> None:
        """Stop all workers and reap them; a call that is running fails with WorkerError. May be called twice."""
        self._closed = True
        if self._pid == os.getpid():
            with self._free:
                _close_all(self._pid, self._idle, self._busy)
                self._free.notify_all()

    def __enter__(self) -> WorkerPool:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _acquire(self) -> _Worker:
        """Return a worker that nobody else uses; start one when there is room."""
        if self._pid != os.getpid():  # forked (gunicorn --preload): the parent's workers are not ours
            self._own_state()
        give_up = time.monotonic() + self._queue_timeout_s
        with self._free:
            while True:
                if self._closed:
                    raise ConfigError("The worker pool is closed.", next_step="Use it before close() is called.")
                if self._idle:
                    worker = self._idle.pop()
                    if worker.alive():
                        self._busy.add(worker)
                        return worker
                    worker.close()
                elif len(self._busy) < self._size:
                    worker = _Worker()
                    self._busy.add(worker)  # reserves the place; the slow start happens outside the lock
                    break
                elif not self._free.wait(give_up - time.monotonic()):
                    raise BusyError(f"All {self._size} workers stayed busy for {self._queue_timeout_s:.0f} s.")
        try:
            worker.start(self._memory_bytes, self._preload)
        except BaseException:
            self._release(worker, keep=False)
            raise
        return worker

    def _release(self, worker: _Worker, *, keep: bool) -> None:
        """Give a worker back, or reap it."""
        with self._free:
            keep = keep and not self._closed
            if keep:
                self._busy.discard(worker)
                self._idle.append(worker)
                self._free.notify()
        if not keep:
            worker.kill()  # still counted as busy: its memory is in use until it is gone
            with self._free:
                self._busy.discard(worker)
                self._free.notify()


class _Worker:
    """One child process and the two pipes to it; used by one thread at a time."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, memory_bytes: int | None, preload: tuple[str, ...]) -> None:
        """Start the process and wait until it has imported what it needs. Raises WorkerError, DeadlineError."""
        environment = {name: os.environ[name] for name in _INHERITED if name in os.environ} | _WORKER_ENVIRONMENT
        environment["PYTHONPATH"] = os.pathsep.join(str(Path(entry).resolve()) for entry in sys.path)
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", _BOOT],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=environment,
                start_new_session=True,  # Ctrl-C in the terminal is for the parent, which then closes the pool
            )
        except OSError as exc:
            raise WorkerError(f"A worker process could not start: {exc.strerror or exc}.") from exc
        _widen(self._process.stdin)
        _widen(self._process.stdout)
        kind, value = self.exchange(
            pack((memory_bytes, preload)), deadline_s=START_TIMEOUT_S, name="the start of a worker"
        )
        if kind != "value":
            raise WorkerError(f"A worker process could not start: {value}.", next_step="Run `signet doctor`.")

    def alive(self) -> bool:
        """Return whether the process still runs."""
        return self._process is not None and self._process.poll() is None

    def exchange(self, request: Sequence[Part], *, deadline_s: float, name: str) -> tuple[str, Any]:
        """Send one request and return (kind, value) of its answer. Raises DeadlineError, WorkerError."""
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            raise WorkerError("The worker process was stopped before the call.")
        deadline = _Deadline(process, deadline_s)
        try:
            with deadline:
                send(process.stdin.fileno(), request)
                message = receive(cast("BinaryIO", process.stdout), limit=MAX_ANSWER_BYTES)
        except (OSError, EOFError, ValueError, MemoryError) as exc:
            if deadline.passed or _ended_by_alarm(process):
                raise DeadlineError(f"{name} ran past its deadline of {deadline_s:g} s and was stopped.") from exc
            raise WorkerError(f"The worker process died during {name} ({_status(process)}).") from exc
        if deadline.passed:  # the answer came in the same instant; the worker is already being killed
            raise DeadlineError(f"{name} ran past its deadline of {deadline_s:g} s and was stopped.")
        try:
            kind, value = _AnswerUnpickler(message).load()
        except Exception as exc:  # hostile pickles raise anything; every one becomes "not accepted"
            raise WorkerError(f"The worker's answer to {name} cannot be accepted: {exc}.") from exc
        return str(kind), value

    def kill(self) -> None:
        """Kill the process at once and reap it."""
        if self._process is not None:
            self._process.kill()
            self._reap(self._process)

    def interrupt(self) -> None:
        """Kill the process; the thread that waits for its answer fails with WorkerError and reaps it."""
        if self._process is not None:
            self._process.kill()

    def close(self) -> None:
        """Let the process end by itself, then reap it; kill it when it does not."""
        if self._process is None:
            return
        with contextlib.suppress(OSError):
            if self._process.stdin is not None:
                self._process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_CLOSE_TIMEOUT_S)
        self._process.kill()
        self._reap(self._process)

    def _reap(self, process: subprocess.Popen[bytes]) -> None:
        """Wait for the end of the process and close its pipes; leaves no zombie and no descriptor."""
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()


class _Deadline:
    """Kills a process when a call takes too long; ``passed`` tells afterwards whether it did."""

    def __init__(self, process: subprocess.Popen[bytes], deadline_s: float) -> None:
        self.passed = False
        self._process = process
        self._over = False
        self._lock = threading.Lock()
        self._timer = threading.Timer(deadline_s, self._expire)
        self._timer.daemon = True

    def _expire(self) -> None:
        with self._lock:
            if not self._over:  # else the call has just ended and the worker may serve the next one
                self.passed = True
                self._process.kill()

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, *exc_info: object) -> None:
        with self._lock:
            self._over = True
        self._timer.cancel()


def _close_all(owner_pid: int, idle: list[_Worker], busy: set[_Worker]) -> None:
    """Stop every worker that this process owns; threads that wait for a busy one reap it themselves."""
    if owner_pid != os.getpid():
        return
    while idle:
        idle.pop().close()
    for worker in tuple(busy):
        worker.interrupt()


def _path_of(function: Callable[..., Any]) -> str:
    """Return ``module:name`` of a module-level function. Raises ConfigError when a worker could not import it."""
    module, name = getattr(function, "__module__", None), getattr(function, "__qualname__", repr(function))
    if module in (None, "__main__") or getattr(sys.modules.get(module), name, None) is not function:
        raise ConfigError(
            f"{module}.{name} cannot run in a worker; expected a module-level function of an importable module.",
            next_step="Move the function to the top level of a module.",
        )
    return f"{module}:{name}"


def _ended_by_alarm(process: subprocess.Popen[bytes]) -> bool:
    """Return whether the worker's own alarm ended it (this process was too busy to do it in time)."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        return process.wait(_CLOSE_TIMEOUT_S) == -getattr(signal, "SIGALRM", 0)
    return False


def _status(process: subprocess.Popen[bytes]) -> str:
    """Return how a process ended, for an error message."""
    code = process.poll()
    if code is None:
        return "it closed its pipe"
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"


def _widen(pipe: Any) -> None:
    """Ask for a larger pipe, where the platform has it."""
    if sys.platform == "linux":
        import fcntl

        with contextlib.suppress(OSError):  # over the user's quota of pipe pages: the pipe keeps its size
            fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
