"""Joining evidence: conclusive first, families capped, order irrelevant, never a claim of authenticity."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.evidence import Direction, Evidence, Family, Grade
from detectors.fusion import capped_sum, fuse
from detectors.verdict import HEADLINES, VerdictLevel
from tests.detectors.builders import POLICY, evidence, failed, skipped

PROOF = evidence(Grade.CONCLUSIVE, Direction.AI, id="metadata.credentials", generator="model A")
CAMERA = evidence(Grade.CONCLUSIVE, Direction.NOT_AI, id="metadata.credentials")
SIGN = evidence(Grade.SUPPORTING, Direction.AI, id="metadata.generator_traces", generator="model B")
BROKEN = evidence(Grade.CONFLICTING, id="metadata.credentials")
NOTHING = evidence(id="metadata.embedded_fields")

CASES = [
    ([], VerdictLevel.UNDETERMINED),
    ([skipped()], VerdictLevel.UNDETERMINED),
    ([skipped(), failed()], VerdictLevel.UNDETERMINED),
    ([skipped(), NOTHING], VerdictLevel.NO_EVIDENCE),
    ([NOTHING], VerdictLevel.NO_EVIDENCE),
    ([PROOF], VerdictLevel.PROVEN_AI),
    ([PROOF, NOTHING, failed()], VerdictLevel.PROVEN_AI),
    ([SIGN], VerdictLevel.LIKELY_AI),
    ([SIGN, NOTHING], VerdictLevel.LIKELY_AI),
    ([SIGN, CAMERA], VerdictLevel.UNDETERMINED),
    ([SIGN, BROKEN], VerdictLevel.LIKELY_AI),
    ([BROKEN], VerdictLevel.UNDETERMINED),
    ([CAMERA], VerdictLevel.NO_EVIDENCE),
    ([NOTHING, failed()], VerdictLevel.UNDETERMINED),
    ([evidence(llr=2.4)], VerdictLevel.LIKELY_AI),
    ([evidence(llr=2.2)], VerdictLevel.UNDETERMINED),
    ([evidence(llr=0.9)], VerdictLevel.NO_EVIDENCE),
    ([evidence(llr=-3.0)], VerdictLevel.NO_EVIDENCE),
    ([evidence(llr=9.0), CAMERA], VerdictLevel.UNDETERMINED),
]


@pytest.mark.parametrize(("results", "level"), CASES)
def test_level(results: list, level: VerdictLevel) -> None:
    for order in itertools.permutations(results):
        assert fuse(order, POLICY).level is level


def test_reasons_start_with_what_decided() -> None:
    verdict = fuse([NOTHING, SIGN, PROOF], POLICY)
    assert [reason.evidence_id for reason in verdict.reasons] == [PROOF.id, SIGN.id, NOTHING.id]
    assert verdict.generator == {"model A": 1.0}
    assert verdict.headline == HEADLINES[VerdictLevel.PROVEN_AI]


def test_a_failed_detector_is_named() -> None:
    assert "Could not be examined" in fuse([NOTHING, failed()], POLICY).reasons[-1].text


def test_where_nothing_could_be_examined_the_reasons_say_why() -> None:
    assert [reason.text for reason in fuse([skipped()], POLICY).reasons] == ["Not examined: too small"]
    assert all("too small" not in reason.text for reason in fuse([skipped(), NOTHING], POLICY).reasons)


def test_sums_are_capped_per_family_not_overall() -> None:
    learned = [evidence(llr=4.0, family=Family.LEARNED, id=f"learned.{i}") for i in range(3)]
    statistical = evidence(llr=3.0, family=Family.STATISTICAL, id="statistical.a")
    assert capped_sum(learned, POLICY) == pytest.approx(4.605)
    assert capped_sum([*learned, statistical], POLICY) == pytest.approx(7.605)
    assert capped_sum([evidence(llr=-50.0)], POLICY) == pytest.approx(-4.605)
    assert capped_sum([NOTHING], POLICY) is None


_EVIDENCE = st.builds(
    lambda grade, direction, family, llr, n: evidence(grade, direction, family=family, llr=llr, id=f"any.{n}"),
    st.sampled_from(Grade),
    st.sampled_from(Direction),
    st.sampled_from(Family),
    st.none() | st.floats(-20, 20),
    st.integers(0, 9),
)
_RANK = {
    VerdictLevel.NO_EVIDENCE: 0,
    VerdictLevel.UNDETERMINED: 1,
    VerdictLevel.LIKELY_AI: 2,
    VerdictLevel.PROVEN_AI: 3,
}


@given(st.lists(_EVIDENCE, max_size=6), st.randoms(use_true_random=False))
def test_order_never_matters(results: list[Evidence], random) -> None:
    shuffled = list(results)
    random.shuffle(shuffled)
    assert fuse(results, POLICY).level is fuse(shuffled, POLICY).level


@given(st.lists(_EVIDENCE, max_size=6))
def test_more_evidence_of_ai_never_lowers_the_level(results: list[Evidence]) -> None:
    before = fuse(results, POLICY).level
    assert _RANK[fuse([*results, PROOF], POLICY).level] >= _RANK[before]
    if not any(r.grade is Grade.CONCLUSIVE and r.direction is Direction.NOT_AI for r in results):
        assert _RANK[fuse([*results, SIGN], POLICY).level] >= _RANK[before]


@given(st.lists(_EVIDENCE, max_size=6))
def test_statistics_alone_never_prove(results: list[Evidence]) -> None:
    weak = [r for r in results if r.grade is not Grade.CONCLUSIVE]
    verdict = fuse(weak, POLICY)
    assert verdict.level is not VerdictLevel.PROVEN_AI
    assert verdict.llr_nats is None or math.isfinite(verdict.llr_nats)


def test_no_headline_says_authentic_or_real() -> None:
    for text in HEADLINES.values():
        assert not {"authentic", "real", "genuine", "fake"} & set(text.lower().replace(".", "").split())
