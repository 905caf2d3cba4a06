import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.policy.decide import Policy
from guard.policy.load import load_named
from guard.policy.schema import TUNABLE, Category, PolicyDocument
from guard.records import Action, Finding

POLICIES = Path(__file__).resolve().parents[3] / "policies"
DEFAULT = load_named(POLICIES, "default")
STRICT = load_named(POLICIES, "strict")
RANK = {action: rank for rank, action in enumerate(Action)}


def finding(category: str = "sexual", score: float = 0.99, severity: int = 5, hard: bool = False) -> Finding:
    return Finding(
        checker="test", category=category, score=score, severity=severity, reason=f"About {category}.", hard=hard
    )


def any_finding() -> st.SearchStrategy[Finding]:
    return st.builds(
        finding,
        category=st.sampled_from([category.value for category in Category]),
        score=st.floats(0, 1),
        severity=st.integers(0, 7),
        hard=st.booleans(),
    )


@pytest.fixture
def default() -> Policy:
    return DEFAULT


def test_no_finding_is_allowed(default: Policy) -> None:
    decision = default.decide([], stage="prompt")
    assert decision.action is Action.ALLOW
    assert decision.category is None
    assert decision.rules == ()


def test_the_ladder_is_followed(default: Policy) -> None:
    actions = [default.decide([finding(score=s, severity=4)], stage="prompt").action for s in (0.1, 0.55, 0.75, 0.9)]
    assert actions == [Action.ALLOW, Action.FLAG, Action.REVIEW, Action.BLOCK]


def test_severity_counts_too(default: Policy) -> None:
    assert default.decide([finding(score=0.90, severity=2)], stage="prompt").action is Action.FLAG


def test_the_strongest_finding_decides_and_gives_the_reason(default: Policy) -> None:
    decision = default.decide([finding("violence_gore", 0.55, 3), finding("hate", 0.99, 6)], stage="prompt")
    assert (decision.action, decision.category) == (Action.BLOCK, "hate")
    assert decision.reason == "About hate. Show what people do, not what they are."
    assert decision.rules == ("generation.default.hate.block",)
    assert len(decision.findings) == 2


def test_a_suggestion_stands_after_the_reason_of_a_withheld_prompt_and_nowhere_else(default: Policy) -> None:
    suggestions = {Category.HATE: "Show what people do, not what they are."}
    document = default.document.model_copy(update={"suggestions": suggestions})
    policy = Policy(document=document, digest="0" * 64)
    assert policy.decide([finding("hate")], stage="prompt").reason.endswith("not what they are.")
    flagged = policy.decide([finding("hate", 0.55)], stage="prompt")
    image = policy.decide([finding("hate")], stage="image")
    hard = policy.decide([finding("hate", hard=True)], stage="prompt")
    other = policy.decide([finding("violence_gore")], stage="prompt")
    assert not any("what they are" in decision.reason for decision in (flagged, image, hard, other))


def test_a_category_that_is_switched_off_is_allowed(default: Policy) -> None:
    assert default.decide([finding("trademark_style", 1.0, 7)], stage="prompt").action is Action.ALLOW


@pytest.mark.parametrize("category", list(TUNABLE))
def test_a_hard_finding_blocks_in_every_category_even_at_score_zero(default: Policy, category: Category) -> None:
    decision = default.decide([finding(category.value, 0.0, 0, hard=True)], stage="image")
    assert decision.action is Action.BLOCK
    assert decision.rules == (f"hard.{category.value}",)


def test_no_policy_can_allow_anything_about_minors(default: Policy) -> None:
    open_document = default.document.model_copy(update={"categories": dict.fromkeys(TUNABLE, ())})
    lenient = Policy(document=PolicyDocument.model_validate(open_document), digest="0" * 64)
    assert lenient.decide([finding("sexual", 1.0, 7)], stage="prompt").action is Action.ALLOW
    assert lenient.decide([finding("sexual_minors", 0.01, 0)], stage="prompt").action is Action.BLOCK
    pair = [finding("likeness", 0.6, 0), finding("sexual", 0.6, 0)]
    assert lenient.decide(pair, stage="prompt").rules == ("hard.likeness_with_sexual",)
    assert lenient.decide(pair[:1], stage="prompt").action is Action.ALLOW


@pytest.mark.parametrize(
    ("broken", "rule"),
    [
        (finding(score=math.nan), "fail_closed.score_out_of_range"),
        (finding(score=math.inf), "fail_closed.score_out_of_range"),
        (finding(score=-0.1), "fail_closed.score_out_of_range"),
        (finding(severity=8), "fail_closed.severity_out_of_range"),
        (finding(severity=-1), "fail_closed.severity_out_of_range"),
        (finding(category="no such category"), "fail_closed.unknown_category"),
    ],
)
def test_what_cannot_be_judged_is_blocked(default: Policy, broken: Finding, rule: str) -> None:
    decision = default.decide([broken], stage="prompt")
    assert decision.action is Action.BLOCK
    assert decision.rules == (rule,)


def test_an_unknown_stage_is_blocked(default: Policy) -> None:
    assert default.decide([], stage="somewhere").action is Action.BLOCK


def test_a_policy_without_image_checker_flags_every_picture(default: Policy) -> None:
    raw = default.document.model_dump(mode="json")
    raw["checkers"]["image"] = [{"id": "image.unsafe_unchecked", "because": "prompts are fixed by us"}]
    import json

    policy = Policy(document=PolicyDocument.model_validate_json(json.dumps(raw)), digest="0" * 64)
    assert policy.decide([], stage="image").action is Action.FLAG
    assert policy.decide([], stage="prompt").action is Action.ALLOW
    assert policy.decide([finding()], stage="image").action is Action.BLOCK


@settings(deadline=None)
@given(findings=st.lists(any_finding(), max_size=4), stage=st.sampled_from(["prompt", "image"]))
def test_strict_never_allows_more_than_default(findings: list[Finding], stage: str) -> None:
    assert RANK[STRICT.decide(findings, stage=stage).action] >= RANK[DEFAULT.decide(findings, stage=stage).action]


@settings(deadline=None)
@given(findings=st.lists(any_finding(), max_size=3), extra=any_finding())
def test_one_more_finding_never_weakens(findings: list[Finding], extra: Finding) -> None:
    before, after = DEFAULT.decide(findings, stage="prompt"), DEFAULT.decide([*findings, extra], stage="prompt")
    assert RANK[after.action] >= RANK[before.action]


@settings(deadline=None)
@given(one=any_finding(), score=st.floats(0, 1), severity=st.integers(0, 7))
def test_a_worse_finding_never_weakens(one: Finding, score: float, severity: int) -> None:
    worse = finding(one.category, max(one.score, score), max(one.severity, severity), one.hard)
    before, after = STRICT.decide([one], stage="image"), STRICT.decide([worse], stage="image")
    assert RANK[after.action] >= RANK[before.action]


@settings(deadline=None)
@given(findings=st.lists(any_finding(), max_size=4), seed=st.randoms())
def test_the_order_of_findings_does_not_matter(findings: list[Finding], seed: object) -> None:
    shuffled = list(findings)
    seed.shuffle(shuffled)  # type: ignore[attr-defined]
    one, other = DEFAULT.decide(findings, stage="prompt"), DEFAULT.decide(shuffled, stage="prompt")
    assert (one.action, one.rules) == (other.action, other.rules)
