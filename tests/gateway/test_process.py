"""One BLAS thread and one heap a process."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

_SCRIPT = """
import ctypes, threading
import numpy as np
from threadpoolctl import threadpool_info
from gateway.process import settle_process
settle_process()
gate = threading.Barrier(4)
def work():
    gate.wait()
    kept = [bytearray(100_000) for _ in range(50)]
    gate.wait()
threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(max(row["num_threads"] for row in threadpool_info() if row["user_api"] == "blas"))
ctypes.CDLL(None).malloc_stats()
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="malloc_stats is glibc's")
def test_threads_share_one_heap_and_blas_uses_one_thread() -> None:
    done = subprocess.run([sys.executable, "-c", _SCRIPT], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "1"
    assert "Arena 0" in done.stderr
    assert "Arena 1" not in done.stderr
