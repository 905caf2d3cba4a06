"""How a process that judges or makes pictures uses its machine: set once, before its threads start.

Both settings hold for the whole process, so only what owns the process (``gateway/runtime.py``) asks for them.
"""

from __future__ import annotations

import ctypes
import sys

from threadpoolctl import threadpool_limits

_M_ARENA_MAX = -8
"""Source: glibc malloc.h; mallopt(3), M_ARENA_MAX."""


def settle_process() -> None:
    """Limit BLAS to one thread and, with glibc, the heap to one arena; doing it again changes nothing.

    - BLAS: the matrices here are small; on two threads the search for our mark took 2.6 times the processor time of
      one. Requests and files already keep the cores busy side by side.
    - Heap: glibc gives every thread a heap of its own, and each keeps what the largest picture needed. With one heap, a
      process that judged twenty-five 1024 x 1024 files held 370 MB instead of 730 MB and was 6 % faster.

    Measured: ``benchmarks/detect_speed.py``, ``benchmarks/detect_bulk.py``, 2026-11-23, two cores.
    """
    threadpool_limits(limits=1, user_api="blas")
    if sys.platform == "linux":
        set_option = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none, and no heap a thread either
        if set_option is not None:
            set_option(_M_ARENA_MAX, 1)
