"""Runs one check under its deadline and takes nothing but a clean answer for a clearance."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError

from guard.errors import CheckError, InputError
from guard.records import Finding


class CheckRunner:
    """Runs checks on a few threads; safe to share between flows."""

    def __init__(self, *, deadline_s: float) -> None:
        """Remember the seconds granted to each check; threads start with the first one."""
        self._deadline_s = deadline_s
        self._threads = ThreadPoolExecutor(max_workers=4, thread_name_prefix="signet-check")

    def close(self) -> None:
        """Stop the threads; a check that still runs is abandoned."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def run(self, checker_id: str, check: Callable[[], Sequence[Finding]]) -> list[Finding]:
        """Return what the check found.

        Args:
            checker_id: the checker's name in errors.
            check: the call to make.

        Raises:
            InputError: the check could not read what it was given.
            CheckError: it ran past the deadline, broke, or answered with a score outside 0..1 (NaN included) or a
                severity outside 0..7.
        """
        future = self._threads.submit(check)
        try:
            found = list(future.result(timeout=self._deadline_s))
        except FutureTimeoutError as exc:
            raise CheckError(f"{checker_id} gave no answer within {self._deadline_s:.0f} s.") from exc
        except (CheckError, InputError):
            raise
        except Exception as exc:  # becomes a CheckError: a checker that breaks has not cleared anything
            raise CheckError(f"{checker_id} could not decide ({type(exc).__name__}).") from exc
        for finding in found:
            if not (math.isfinite(finding.score) and 0.0 <= finding.score <= 1.0 and 0 <= finding.severity <= 7):
                raise CheckError(f"{checker_id} answered with a score outside 0..1 or a severity outside 0..7.")
        return found
