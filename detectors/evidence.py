"""What one detector reports: evidence with its observations, or why there is none.

A detector returns ``Evidence`` (it looked), ``Skipped`` (it cannot say anything about this file) or, through the
engine, ``Failed`` (it broke). Absence is a value: nothing is ever scored 0 for lack of an answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from guard.records import RGB8


class Family(StrEnum):
    """Families whose members are not independent of one another; log-likelihood ratios are capped per family."""

    METADATA = "metadata"
    WATERMARK = "watermark"
    STATISTICAL = "statistical"
    LEARNED = "learned"


class Technique(StrEnum):
    """What a result rests on, in the words of the Code of Practice, measure 2.3."""

    CREDENTIALS = "content credentials"
    LEDGER = "ledger"
    METADATA = "metadata"
    WATERMARK = "watermark"
    FORENSIC = "forensic"


class Grade(StrEnum):
    """How far a finding can be relied on.

    CONCLUSIVE: signed by a trusted key, recorded in our ledger, or a mark confirmed against the registry.
    SUPPORTING: says so, but anyone could have written it (text fields, unknown signer, unconfirmed mark).
    CONFLICTING: something presented as genuine does not hold (broken signature, transplanted mark).
    NEUTRAL: looked and found nothing that bears on the question.
    """

    CONCLUSIVE = "conclusive"
    SUPPORTING = "supporting"
    CONFLICTING = "conflicting"
    NEUTRAL = "neutral"


class Direction(StrEnum):
    """Which proposition a graded finding supports."""

    AI = "ai"
    NOT_AI = "not_ai"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One thing that was seen: what, its value as text, where in the file."""

    name: str
    value: str
    where: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """Something to look at beside the words: a spectrum, a map; drawn on request, never part of a score.

    Attributes:
        evidence_id: id of the evidence that it belongs to.
        caption: what is shown, how to read it and what it cannot tell.
        pixels: (H, W, 3) uint8, at most about 600 px a side.
    """

    evidence_id: str
    caption: str
    pixels: RGB8


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """A detector's answer.

    Attributes:
        id: instance id from the policy, e.g. ``metadata.credentials``.
        version: detector version; changes whenever its answers can change.
        grade: see ``Grade``.
        direction: which proposition the grade is about.
        reason: one plain sentence that neither accuses nor says "authentic".
        raw_score: the detector's own scale, or None.
        llr_nats: calibrated ln(P(score | AI) / P(score | not AI)), or None when not calibrated.
        generator: name of the tool or model that the evidence points to, or None.
        generator_shares: (generator family, share) of pixel evidence, adding up to 1; empty when nothing is named.
        observations: what was seen, in the order in which a person would want to read it.
    """

    id: str
    version: str
    family: Family
    technique: Technique
    grade: Grade
    direction: Direction
    reason: str
    raw_score: float | None = None
    llr_nats: float | None = None
    generator: str | None = None
    generator_shares: tuple[tuple[str, float], ...] = ()
    observations: tuple[Observation, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """The detector has nothing to say about this file, and why."""

    id: str
    version: str
    family: Family
    technique: Technique
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The detector broke or ran out of time; the other evidence stands."""

    id: str
    version: str
    family: Family
    technique: Technique
    reason: str


DetectorResult: TypeAlias = Evidence | Skipped | Failed
