"""Functions that tests run in workers: well behaved and hostile ones."""

import ctypes
import os
import signal
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from guard.credentials import CredentialReport, CredentialState
from guard.errors import MediaTooLargeError, SigningError
from guard.isolation import WorkerPool


def echo(value: object) -> object:
    return value


def length(data: bytes) -> int:
    return len(data)


def process_id() -> int:
    return os.getpid()


def environment() -> list[str]:
    return sorted(os.environ)


def session_and_core_limit() -> tuple[int, tuple[int, int]]:
    import resource

    return os.getsid(0), resource.getrlimit(resource.RLIMIT_CORE)


def report(text: str) -> CredentialReport:
    return CredentialReport(state=CredentialState.INVALID, codes=(text,))


def pixels(side: int) -> NDArray[np.uint8]:
    return np.arange(side * side * 3, dtype=np.uint8).reshape(side, side, 3)


def print_noise() -> int:
    print("noise on standard output")
    sys.stdout.flush()
    os.write(1, b"noise on the descriptor\n")
    return 7


def fail_of_our_tree() -> None:
    raise SigningError("the key is away", next_step="plug the token in")


def fail_with_default_step() -> None:
    raise MediaTooLargeError("too large")


def fail_foreign() -> None:
    raise ZeroDivisionError("one by nought")


def exit_at_once() -> None:
    os._exit(3)


def kill_self() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def sleep(seconds: float) -> None:
    time.sleep(seconds)


def hang_in_native_code() -> None:
    """Blocks inside libc with the interpreter lock released, as a native parser does."""
    ctypes.CDLL(None).usleep(60_000_000)


def hang_holding_the_lock() -> None:
    """Blocks inside libc with the interpreter lock held: no Python code of the worker can run."""
    ctypes.PyDLL(None).usleep(60_000_000)


def eat_memory() -> int:
    blocks = []
    while True:
        blocks.append(np.empty(64 * 1024**2, np.uint8))  # maps, touches nothing: the limit is on addresses


@dataclass(frozen=True)
class Stranger:
    """A dataclass outside our packages."""

    value: int = 1


def return_stranger() -> Stranger:
    return Stranger()


class Bomb:
    """Unpickles by calling a function of the sender's choice."""

    def __init__(self, call: object, *arguments: object) -> None:
        self.call = call, arguments

    def __reduce__(self) -> tuple[object, ...]:
        return self.call


def return_bomb(path: str) -> Bomb:
    return Bomb(os.mkdir, path)


def return_bomb_of_ours(path: str) -> Bomb:
    """Names a function of our own package; functions are no values."""
    from guard.provenance.dev_ca import init_development_keys  # here: no other job needs to load cryptography

    return Bomb(init_development_keys, Path(path), datetime(2026, 1, 1, tzinfo=UTC))


def return_bomb_behind_ours(path: str) -> Bomb:
    """Names a foreign class that one of our modules imports."""
    return Bomb(WorkerPool, path)


def announce_a_huge_answer() -> None:
    """Writes a header for 2**60 bytes to every open descriptor that could be the answer pipe."""
    for descriptor in range(3, 12):
        try:
            os.write(descriptor, (2**60).to_bytes(8, "little") + bytes(16))
        except OSError:
            continue
    time.sleep(5)
