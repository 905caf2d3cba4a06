"""Exact nearest-neighbour search over 256-bit PDQ hashes by brute force: popcount of XOR over one numpy matrix.

The matrix is only a cache of an append-only table, so it is extended, never rebuilt. 2 million hashes are 64 MB and
take some 50 ms a query on one core (measured: benchmarks/ledger_append.py); beyond that an IVF index pays.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

PDQ_BYTES = 32
"""256 bits."""
_WORDS = PDQ_BYTES // 8
_CHUNK = 131_072  # rows a step: 4 MB of XOR scratch stays in the processor's cache
_FIRST_CAPACITY = 1024


class SimilarIndex:
    """Ids and hashes in insertion order; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._words: NDArray[np.uint64] = np.empty((_FIRST_CAPACITY, _WORDS), np.uint64)
        self._ids: NDArray[np.int64] = np.empty(_FIRST_CAPACITY, np.int64)
        self._count = 0

    @property
    def last_id(self) -> int:
        """Return the largest id held, or -1."""
        with self._lock:
            return int(self._ids[self._count - 1]) if self._count else -1

    def extend(self, rows: Iterable[tuple[int, bytes]]) -> None:
        """Add (id, 32-byte hash) rows, ids ascending; ids that are already held are ignored."""
        with self._lock:
            last = int(self._ids[self._count - 1]) if self._count else -1
            fresh = [(number, raw) for number, raw in rows if number > last]
            if not fresh:
                return
            self._reserve(self._count + len(fresh))
            stop = self._count + len(fresh)
            self._ids[self._count : stop] = [number for number, _ in fresh]
            raw = np.frombuffer(b"".join(raw for _, raw in fresh), np.uint64)
            self._words[self._count : stop] = raw.reshape(-1, _WORDS)
            self._count = stop

    def search(self, pdq: bytes, *, max_distance: int) -> list[tuple[int, int]]:
        """Return every (id, distance) within ``max_distance`` bits of 256, nearest first, then by id."""
        query = np.frombuffer(pdq, np.uint64)
        with self._lock:  # rows below count never change; the arrays may be replaced, so hold on to these
            words, ids, count = self._words, self._ids, self._count
        found: list[tuple[int, int]] = []
        for start in range(0, count, _CHUNK):
            block = words[start : min(start + _CHUNK, count)]
            distance = np.bitwise_count(block ^ query).sum(axis=1, dtype=np.uint16)
            hits = np.flatnonzero(distance <= max_distance)
            found += [(int(ids[start + hit]), int(distance[hit])) for hit in hits]
        return sorted(found, key=lambda pair: (pair[1], pair[0]))

    def _reserve(self, wanted: int) -> None:
        """Grow by doubling; old arrays stay valid for searches under way."""
        capacity = len(self._ids)
        if wanted <= capacity:
            return
        grown = max(wanted, 2 * capacity)
        words, ids = np.empty((grown, _WORDS), np.uint64), np.empty(grown, np.int64)
        words[: self._count], ids[: self._count] = self._words[: self._count], self._ids[: self._count]
        self._words, self._ids = words, ids
