"""The verdict: four levels, never "authentic", with its reasons in order of weight."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from detectors.evidence import DetectorResult


class VerdictLevel(StrEnum):
    """What the evidence supports; the absence of evidence is never evidence of a camera."""

    PROVEN_AI = "PROVEN_AI"
    LIKELY_AI = "LIKELY_AI"
    UNDETERMINED = "UNDETERMINED"
    NO_EVIDENCE = "NO_EVIDENCE"


HEADLINES: dict[VerdictLevel, str] = {
    VerdictLevel.PROVEN_AI: "Made or changed by AI: there is proof.",
    VerdictLevel.LIKELY_AI: "Probably made or changed by AI: there are signs, but no proof.",
    VerdictLevel.UNDETERMINED: "Undetermined: what was found does not fit together or is too weak.",
    VerdictLevel.NO_EVIDENCE: "No evidence of AI was found. This does not mean that the picture is a photograph.",
}
"""One plain sentence per level, shown above every report."""


UNDECIDED = frozenset({VerdictLevel.UNDETERMINED, VerdictLevel.NO_EVIDENCE})
"""Levels at which a reader should know what was left out."""
ELSEWHERE = (
    "SynthID, the watermark in pictures from Google's models, cannot be checked locally: only Google can read it. Add "
    "the picture at gemini.google.com and ask whether it was made or edited with Google AI; organisations can ask for "
    "the SynthID Detector portal. The picture leaves your premises when you do.",
)
"""Checks that only somebody else can make, and how to ask for them; shown where nothing else decided.

Source: support.google.com/gemini/answer/16722517 (read November 2026).
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One step of the explanation: which evidence, and what it means here."""

    evidence_id: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The joined answer for one upload.

    Attributes:
        llr_nats: sum of the calibrated log-likelihood ratios after family caps, or None without calibrated evidence.
        generator: shares by generator name when the evidence names one, else None.
        results: every detector's answer, in the policy's order.
    """

    level: VerdictLevel
    headline: str
    reasons: tuple[Reason, ...]
    llr_nats: float | None
    generator: dict[str, float] | None
    results: tuple[DetectorResult, ...]
