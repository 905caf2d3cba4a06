"""The report: one pydantic model, version 1, from which JSON, text and HTML are rendered."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from detectors.evidence import DetectorResult, Direction, Evidence, Failed, Family, Grade, Technique
from detectors.verdict import ELSEWHERE, UNDECIDED, Verdict, VerdictLevel
from guard.version import __version__

Status = Literal["found", "nothing_found", "conflict", "skipped", "failed"]
_STATUS: dict[Grade, Status] = {
    Grade.CONCLUSIVE: "found",
    Grade.SUPPORTING: "found",
    Grade.CONFLICTING: "conflict",
    Grade.NEUTRAL: "nothing_found",
}


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ObservationRow(_Frozen):
    """One thing that was seen; ``value`` is untrusted text."""

    name: str
    value: str
    where: str


class EvidenceRow(_Frozen):
    """One detector's answer (command contract: id, family, technique, status, llr_nats, reason)."""

    id: str
    family: Family
    technique: Technique
    status: Status
    grade: Grade | None
    direction: Direction | None
    llr_nats: float | None
    reason: str
    generator: str | None
    observations: tuple[ObservationRow, ...]
    version: str


class ReasonRow(_Frozen):
    """One step of the explanation."""

    evidence_id: str
    text: str


class Report(_Frozen):
    """Everything that was found out about one file.

    ``complete`` is False when a detector could not run this time; ``elsewhere`` names checks that only others can make,
    where nothing decided; ``notes`` say how the pixels were obtained where the file does not hold them as examined.
    """

    report_version: Literal[1] = 1
    signet_version: str = __version__
    path: str | None
    sha256: str
    media_type: str
    width: int
    height: int
    verdict: VerdictLevel
    complete: bool
    headline: str
    reasons: tuple[ReasonRow, ...]
    llr_nats: float | None
    generator: dict[str, float] | None
    evidence: tuple[EvidenceRow, ...]
    elsewhere: tuple[str, ...]
    notes: tuple[str, ...] = ()
    policy_id: str
    policy_digest: str


def evidence_row(result: DetectorResult) -> EvidenceRow:
    """Return the row of one detector's answer."""
    if isinstance(result, Evidence):
        return EvidenceRow(
            id=result.id,
            family=result.family,
            technique=result.technique,
            status=_STATUS[result.grade],
            grade=result.grade,
            direction=result.direction,
            llr_nats=result.llr_nats,
            reason=result.reason,
            generator=result.generator,
            observations=tuple(ObservationRow(name=o.name, value=o.value, where=o.where) for o in result.observations),
            version=result.version,
        )
    return EvidenceRow(
        id=result.id,
        family=result.family,
        technique=result.technique,
        status="failed" if isinstance(result, Failed) else "skipped",
        grade=None,
        direction=None,
        llr_nats=None,
        reason=result.reason,
        generator=None,
        observations=(),
        version=result.version,
    )


def build_report(
    verdict: Verdict,
    *,
    path: str | None,
    sha256: str,
    media_type: str,
    size: tuple[int, int],
    policy_id: str,
    policy_digest: str,
    notes: tuple[str, ...] = (),
) -> Report:
    """Return the report of one examination.

    Args:
        verdict: the joined answer.
        path: file name to show, untrusted.
        sha256: 64 hex digits of the examined bytes.
        media_type: by content.
        size: (width, height) in pixels.
        policy_id: id of the policy that joined the evidence.
        policy_digest: SHA-256 of that policy's file.
        notes: how the pixels were obtained, one sentence each; empty for a plain still file.
    """
    return Report(
        path=path,
        sha256=sha256,
        media_type=media_type,
        width=size[0],
        height=size[1],
        verdict=verdict.level,
        complete=not any(isinstance(result, Failed) for result in verdict.results),
        headline=verdict.headline,
        reasons=tuple(ReasonRow(evidence_id=r.evidence_id, text=r.text) for r in verdict.reasons),
        llr_nats=verdict.llr_nats,
        generator=verdict.generator,
        evidence=tuple(evidence_row(result) for result in verdict.results),
        elsewhere=ELSEWHERE if verdict.level in UNDECIDED else (),
        policy_id=policy_id,
        policy_digest=policy_digest,
        notes=notes,
    )
