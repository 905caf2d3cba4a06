"""Times the stages of a flow."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Stopwatch:
    """Adds up the seconds spent in each named stage."""

    def __init__(self, outer: Stopwatch | None = None) -> None:
        """Start from nothing, or from what an outer watch has so far; the outer one then counts along."""
        self._outer = outer
        self._seconds: dict[str, float] = {} if outer is None else outer.seconds

    @property
    def seconds(self) -> dict[str, float]:
        """Return stage name -> seconds so far, in the order in which the stages first ended."""
        return dict(self._seconds)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the time spent inside, also when it ends by an exception."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self._add(name, time.perf_counter() - started)

    def _add(self, name: str, spent: float) -> None:
        self._seconds[name] = self._seconds.get(name, 0.0) + spent
        if self._outer is not None:
            self._outer._add(name, spent)
