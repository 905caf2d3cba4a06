"""What prompt checkers give for texts outside a generation request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from guard.records import AdmittedRequest, Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class TextFindings:
    """What one checker found in a set of texts.

    Attributes:
        findings: what is reported to the policy.
        probability: 0..1, the checker's P(violating), also where it is too low to be reported.
    """

    findings: tuple[Finding, ...]
    probability: float


class TextChecker(Protocol):
    """A prompt checker that can look at texts outside a request."""

    id: str

    def examine(self, texts: Sequence[tuple[str, str]], *, negative_counts: bool = False) -> TextFindings:
        """Return what was found in (field name, text) pairs.

        Args:
            texts: the field ``negative_prompt`` is what to stay away from.
            negative_counts: treat the negative prompt as a prompt.

        Raises:
            CheckError: it cannot decide.
        """
        ...


class PromptTextChecker(TextChecker, Protocol):
    """A checker for requests and for single texts alike: what every checker of this package is."""

    def check(self, request: AdmittedRequest) -> Sequence[Finding]:
        """Return what was found in the texts of a request. Raises CheckError when it cannot decide."""
        ...
