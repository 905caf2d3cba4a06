"""What adapters of other people's models share: which texts count, fail closed, scores -> findings.

An adapter implements ``_score(text)``; this class is the only door to it. Whatever goes wrong inside - any exception, a
score that is no number or out of range, a category that the policy does not know - ends as ``CheckError``.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

from guard.errors import CheckError
from guard.prompt_check.interfaces import TextFindings
from guard.prompt_check.normalise import turns_weights_around
from guard.records import AdmittedRequest, Finding


class ScoredChecker(ABC):
    """Implements ``PromptChecker`` and ``TextChecker`` around one function of a text.

    Attributes:
        id: instance id from the policy.
    """

    def __init__(self, *, checker_id: str, report_above: float, severity: int) -> None:
        """Keep what turns scores into findings.

        Args:
            checker_id: instance id from the policy.
            report_above: 0..1; categories with a lower score give no finding.
            severity: 0..7 of every finding; such models tell how sure they are, not how bad it is.
        """
        self.id = checker_id
        self._report_above = report_above
        self._severity = severity

    @abstractmethod
    def _score(self, text: str) -> Mapping[str, float]:
        """Return category -> P(category), 0..1, for one text that is not blank."""

    def check(self, request: AdmittedRequest) -> Sequence[Finding]:
        """Return findings for the texts that the picture is drawn towards. Raises CheckError."""
        asked = request.request
        inverted = asked.guidance is not None and asked.guidance < 1.0
        return self.examine(asked.texts(), negative_counts=inverted).findings

    def examine(self, texts: Sequence[tuple[str, str]], *, negative_counts: bool = False) -> TextFindings:
        """Return the worst finding of each category over all texts.

        Args:
            texts: (field name, text); the field ``negative_prompt`` is not scored.
            negative_counts: score the negative prompt as well.

        Raises:
            CheckError: the model failed or gave an answer that cannot be judged.
        """
        worst: dict[str, float] = {}
        for field, text in texts:
            away = field == "negative_prompt" and not negative_counts and not turns_weights_around(text)
            if away or not text.strip():
                continue
            for category, score in self._checked(text).items():
                worst[category] = max(score, worst.get(category, 0.0))
        findings = tuple(
            Finding(
                checker=self.id,
                category=category,
                score=score,
                severity=self._severity,
                reason=f"{self.id} reads the text as a likely violation ({category.replace('_', ' ')}).",
            )
            for category, score in sorted(worst.items())
            if score >= self._report_above
        )
        return TextFindings(findings=findings, probability=max(worst.values(), default=0.0))

    def _checked(self, text: str) -> dict[str, float]:
        """Return the scores of one text, all of them finite and in range."""
        try:
            scores = {str(category): float(score) for category, score in self._score(text).items()}
        except CheckError:
            raise
        except Exception as exc:  # model libraries raise kinds of their own; every one means "could not decide"
            raise CheckError(f"{self.id} failed on a text, so it cannot be cleared.") from exc
        if not all(math.isfinite(score) and 0.0 <= score <= 1.0 for score in scores.values()):
            raise CheckError(f"{self.id} gave a score that is not a probability, so the text cannot be cleared.")
        return scores
