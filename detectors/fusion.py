"""From single answers to one verdict: pure, order-free, conclusive evidence first.

    (1) conclusive evidence of AI                         -> PROVEN_AI
    (2) supporting evidence or a large calibrated sum     -> LIKELY_AI, but UNDETERMINED against a trusted statement
    (3) something that does not hold, or a middling sum,
        or nothing found while a detector failed,
        or nothing that could be examined at all          -> UNDETERMINED
    (4) otherwise                                         -> NO_EVIDENCE

Log-likelihood ratios are summed within a family and capped there, because members of a family are not independent.
"""

from __future__ import annotations

from collections.abc import Sequence

from detectors.evidence import DetectorResult, Direction, Evidence, Failed, Family, Grade, Skipped
from detectors.policy import FusionPolicy
from detectors.verdict import HEADLINES, Reason, Verdict, VerdictLevel

_WEIGHT = {Grade.CONCLUSIVE: 0, Grade.CONFLICTING: 1, Grade.SUPPORTING: 2, Grade.NEUTRAL: 3}


def capped_sum(evidence: Sequence[Evidence], policy: FusionPolicy) -> float | None:
    """Return the sum of the calibrated log-likelihood ratios in nats, each family capped; None without any."""
    sums: dict[Family, float] = {}
    for item in evidence:
        if item.llr_nats is not None:
            sums[item.family] = sums.get(item.family, 0.0) + item.llr_nats
    if not sums:
        return None
    caps = policy.family_caps_nats
    return sum(max(-caps[family], min(caps[family], value)) for family, value in sorted(sums.items()))


def fuse(results: Sequence[DetectorResult], policy: FusionPolicy) -> Verdict:
    """Join every detector's answer into one verdict.

    Args:
        results: answers in the policy's order; their order does not change the level.
        policy: thresholds and caps.

    Returns:
        The verdict; ``reasons`` holds the deciding evidence first and neutral evidence last.
    """
    evidence = [result for result in results if isinstance(result, Evidence)]
    failed = [result for result in results if isinstance(result, Failed)]
    llr_nats = capped_sum(evidence, policy)
    level = _level([item for item in evidence if _weighs(item)], llr_nats, policy, something_failed=bool(failed))
    ordered = sorted(evidence, key=lambda item: (_WEIGHT[item.grade], -abs(item.llr_nats or 0.0), item.id))
    reasons = [Reason(evidence_id=item.id, text=item.reason) for item in ordered]
    reasons += [Reason(evidence_id=item.id, text=f"Could not be examined: {item.reason}") for item in failed]
    if not evidence:
        skipped = [result for result in results if isinstance(result, Skipped)]
        reasons += [Reason(evidence_id=item.id, text=f"Not examined: {item.reason}") for item in skipped]
    return Verdict(
        level=level,
        headline=HEADLINES[level],
        reasons=tuple(reasons),
        llr_nats=llr_nats,
        generator=_generator(ordered) if level in (VerdictLevel.PROVEN_AI, VerdictLevel.LIKELY_AI) else None,
        results=tuple(results),
    )


def _weighs(item: Evidence) -> bool:
    """Return whether an answer says anything: a score that nobody calibrated does not, not even "nothing found"."""
    return item.raw_score is None or item.llr_nats is not None or item.grade is not Grade.NEUTRAL


def _level(
    evidence: Sequence[Evidence], llr_nats: float | None, policy: FusionPolicy, *, something_failed: bool
) -> VerdictLevel:
    graded = {(item.grade, item.direction) for item in evidence}
    if (Grade.CONCLUSIVE, Direction.AI) in graded:
        return VerdictLevel.PROVEN_AI
    strong_sum = llr_nats is not None and llr_nats >= policy.likely_llr_nats
    if (Grade.SUPPORTING, Direction.AI) in graded or strong_sum:
        contradicted = (Grade.CONCLUSIVE, Direction.NOT_AI) in graded
        return VerdictLevel.UNDETERMINED if contradicted else VerdictLevel.LIKELY_AI
    middling = llr_nats is not None and llr_nats >= policy.undetermined_llr_nats
    if not evidence or middling or something_failed or any(grade is Grade.CONFLICTING for grade, _ in graded):
        return VerdictLevel.UNDETERMINED
    return VerdictLevel.NO_EVIDENCE


def _generator(ordered: Sequence[Evidence]) -> dict[str, float] | None:
    """Name the generator that the strongest AI evidence names, else the families that pixel evidence resembles."""
    for item in ordered:
        if item.generator and item.direction is Direction.AI and item.grade in (Grade.CONCLUSIVE, Grade.SUPPORTING):
            return {item.generator: 1.0}
    shares = [dict(item.generator_shares) for item in ordered if item.generator_shares]
    return shares[0] if shares else None
