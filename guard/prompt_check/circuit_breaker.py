"""A circuit breaker: after some failures in a row nothing is tried for a while, so a dead service costs no waiting.

States: closed (calls pass) -> open after ``failures`` in a row (calls are refused) -> half open after ``cooldown_s``
(one call is let through to try; its outcome closes or opens again). Thread-safe; the clock is injected.

Source: Nygard 2018, "Release It!", chapter 5, Circuit Breaker.
"""

from __future__ import annotations

import threading
from collections.abc import Callable


class CircuitBreaker:
    """Says whether a call may be tried, and is told how it went."""

    def __init__(self, *, failures: int, cooldown_s: float, clock: Callable[[], float]) -> None:
        """Start closed.

        Args:
            failures: failures in a row that open the circuit, 1 or more.
            cooldown_s: seconds until one call is let through again.
            clock: monotonic seconds.
        """
        self._limit = failures
        self._cooldown_s = cooldown_s
        self._clock = clock
        self._lock = threading.Lock()
        self._failed = 0
        self._opened_at: float | None = None
        self._trying = False

    def admits(self) -> bool:
        """Return whether a call may be made now; a half-open circuit admits one caller at a time."""
        with self._lock:
            if self._opened_at is None:
                return True
            if self._trying or self._clock() - self._opened_at < self._cooldown_s:
                return False
            self._trying = True
            return True

    def succeeded(self) -> None:
        """Close the circuit."""
        with self._lock:
            self._failed, self._opened_at, self._trying = 0, None, False

    def failed(self) -> None:
        """Count a failure; open the circuit when there were enough, or when the trial call failed."""
        with self._lock:
            self._failed += 1
            if self._trying or self._failed >= self._limit:
                self._opened_at = self._clock()
            self._trying = False
