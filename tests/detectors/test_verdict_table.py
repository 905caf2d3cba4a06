"""Sixty-four composed cases: credential x mark or metadata x pixels -> level, reasons in order, careful words."""

import itertools

import pytest

from detectors.evidence import Direction, Evidence, Family, Grade
from detectors.fusion import fuse
from detectors.verdict import HEADLINES, VerdictLevel
from tests.detectors.builders import POLICY, evidence

LEVELS = {
    "P": VerdictLevel.PROVEN_AI,
    "L": VerdictLevel.LIKELY_AI,
    "U": VerdictLevel.UNDETERMINED,
    "N": VerdictLevel.NO_EVIDENCE,
}
CREDENTIALS = {
    "none": (Grade.NEUTRAL, Direction.NONE),
    "trusted, says AI": (Grade.CONCLUSIVE, Direction.AI),
    "trusted, says camera": (Grade.CONCLUSIVE, Direction.NOT_AI),
    "broken": (Grade.CONFLICTING, Direction.NONE),
}
TRACES = {
    "stripped": (Grade.NEUTRAL, Direction.NONE),
    "prompt in the metadata": (Grade.SUPPORTING, Direction.AI),
    "our mark, confirmed": (Grade.CONCLUSIVE, Direction.AI),
    "foreign mark": (Grade.SUPPORTING, Direction.AI),
}
PIXELS = (-2.0, 0.0, 1.5, 3.0)
"""Summed ratios in nats: against, nothing, between the policy's thresholds, above both."""
EXPECTED = {
    "none": ("NNUL", "LLLL", "PPPP", "LLLL"),
    "trusted, says AI": ("PPPP", "PPPP", "PPPP", "PPPP"),
    "trusted, says camera": ("NNUU", "UUUU", "PPPP", "UUUU"),
    "broken": ("UUUL", "LLLL", "PPPP", "LLLL"),
}
CASES = [
    (credential, trace, llr, LEVELS[EXPECTED[credential][row][column]])
    for credential in CREDENTIALS
    for row, trace in enumerate(TRACES)
    for column, llr in enumerate(PIXELS)
]
FORBIDDEN = ("authentic", "genuine", "fake", "real ", "liar", "fraud", "forged")


def composed(credential: str, trace: str, llr: float) -> list[Evidence]:
    family = Family.WATERMARK if "mark" in trace else Family.METADATA
    return [
        evidence(*CREDENTIALS[credential], id="metadata.credentials"),
        evidence(*TRACES[trace], id="trace", family=family),
        evidence(id="statistical.pixels", family=Family.STATISTICAL, llr=llr / 2),
        evidence(id="learned.artefacts", family=Family.LEARNED, llr=llr / 2),
    ]


def test_there_are_enough_cases() -> None:
    assert len(CASES) == 64


@pytest.mark.parametrize(("credential", "trace", "llr", "level"), CASES)
def test_composed_evidence_gives_its_level(credential: str, trace: str, llr: float, level: VerdictLevel) -> None:
    results = composed(credential, trace, llr)
    verdict = fuse(results, POLICY)
    assert verdict.level is level
    assert verdict.headline == HEADLINES[level]
    by_id = {item.id: item for item in results}
    order = [Grade.CONCLUSIVE, Grade.CONFLICTING, Grade.SUPPORTING, Grade.NEUTRAL]
    ranks = [order.index(by_id[reason.evidence_id].grade) for reason in verdict.reasons]
    assert ranks == sorted(ranks)
    assert {fuse(list(turn), POLICY).level for turn in itertools.permutations(results)} == {level}


def test_pixels_alone_never_prove_anything() -> None:
    for llr in (5.0, 50.0, 5000.0):
        assert fuse(composed("none", "stripped", llr), POLICY).level is VerdictLevel.LIKELY_AI


@pytest.mark.parametrize("level", VerdictLevel)
def test_headlines_accuse_nobody_and_promise_nothing(level: VerdictLevel) -> None:
    assert not any(word in HEADLINES[level].lower() for word in FORBIDDEN)
