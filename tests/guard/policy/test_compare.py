"""Policies compared exactly, and the order of the bundled ones."""

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.policy.compare import OptionChange, Relation, action_for, checker_options, compare, relation, term_lists
from guard.policy.decide import Policy
from guard.policy.load import load_named
from guard.policy.schema import TUNABLE, Category, ClassifierEntry, NudityEntry, PolicyDocument, Rule, Stage
from guard.records import Action, Finding

POLICIES = Path(__file__).resolve().parents[3] / "policies"
ORDERED = tuple(load_named(POLICIES, name) for name in ("permissive-adult", "default", "strict", "children"))
"""From the loosest to the strictest; ``newsroom`` stands beside, not between."""
RANK = {action: rank for rank, action in enumerate(Action)}


def changed(policy: Policy, category: Category, rules: tuple[Rule, ...]) -> Policy:
    categories = {**policy.document.categories, category: rules}
    document = policy.document.model_copy(update={"categories": categories})
    return Policy(document=PolicyDocument.model_validate(document), digest="0" * 64)


@pytest.mark.parametrize(("looser", "stricter"), list(pairwise(ORDERED)), ids=lambda policy: policy.id)
def test_the_bundled_policies_are_ordered(looser: Policy, stricter: Policy) -> None:
    assert relation(looser, stricter) is Relation.STRICTER
    assert relation(stricter, looser) is Relation.LOOSER
    assert term_lists(looser) <= term_lists(stricter)


@pytest.mark.parametrize(("looser", "stricter"), list(pairwise(ORDERED)), ids=lambda policy: policy.id)
def test_a_stricter_policy_hears_of_everything_a_looser_one_hears_of(looser: Policy, stricter: Policy) -> None:
    """Thresholds inside checkers decide before the policy does, so they must be ordered too."""
    limits = [
        next(e.report_above for e in policy.document.checkers.prompt if isinstance(e, ClassifierEntry))
        for policy in (looser, stricter)
    ]
    assert limits[0] >= limits[1]
    before, after = (
        next(e.classes for e in policy.document.checkers.image if isinstance(e, NudityEntry))
        for policy in (looser, stricter)
    )
    for name, entry in before.items():
        assert after[name].min_score <= entry.min_score
        assert after[name].severity >= entry.severity


@settings(deadline=None, max_examples=150)
@given(
    findings=st.lists(
        st.builds(
            Finding,
            checker=st.just("test"),
            category=st.sampled_from([category.value for category in Category]),
            score=st.floats(0, 1),
            severity=st.integers(0, 7),
            reason=st.just("A reason."),
            hard=st.booleans(),
        ),
        max_size=4,
    ),
    stage=st.sampled_from(["prompt", "image"]),
)
def test_a_stricter_policy_never_allows_what_a_looser_one_withholds(findings: list[Finding], stage: str) -> None:
    ranks = [RANK[policy.decide(findings, stage=stage).action] for policy in ORDERED]
    assert ranks == sorted(ranks)


def test_a_policy_is_the_same_as_itself() -> None:
    assert relation(ORDERED[1], ORDERED[1]) is Relation.SAME
    assert all(difference.example is None for difference in compare(ORDERED[1], ORDERED[1]))


def test_one_threshold_is_found_with_an_example_that_is_true() -> None:
    default = ORDERED[1]
    rules = tuple(
        rule.model_copy(update={"min_score": 0.9}) if rule.action is Action.BLOCK and rule.min_score < 0.9 else rule
        for rule in default.document.categories[Category.HATE]
    )
    other = changed(default, Category.HATE, rules)
    found = [one for one in compare(default, other) if one.relation is not Relation.SAME]
    assert {(one.category, one.relation) for one in found} == {(Category.HATE, Relation.LOOSER)}
    for one in found:
        assert one.example is not None
        score, severity, before, after = one.example
        at = {"category": Category.HATE, "stage": one.stage, "score": score, "severity": severity}
        assert (action_for(default, **at), action_for(other, **at)) == (before, after)  # type: ignore[arg-type]
        assert RANK[after] < RANK[before]


def test_stricter_here_and_looser_there_is_mixed() -> None:
    default = ORDERED[1]
    open_hate = changed(default, Category.HATE, ())
    closed = changed(open_hate, Category.SHOCKING, (Rule(action=Action.BLOCK, min_score=0.0),))
    assert relation(default, closed) is Relation.MIXED
    assert relation(default, load_named(POLICIES, "newsroom")) is Relation.MIXED


@settings(deadline=None, max_examples=60)
@given(
    score=st.floats(0, 1),
    severity=st.integers(0, 7),
    category=st.sampled_from(TUNABLE),
    stage=st.sampled_from(list(Stage)),
)
def test_no_finding_contradicts_the_comparison(score: float, severity: int, category: Category, stage: Stage) -> None:
    """The comparison tries thresholds only; any finding in between must agree with it."""
    for looser, stricter in pairwise(ORDERED):
        at = {"category": category, "stage": stage, "score": score, "severity": severity}
        assert RANK[action_for(stricter, **at)] >= RANK[action_for(looser, **at)]  # type: ignore[arg-type]


def with_checkers(policy: Policy, *, image: tuple[object, ...]) -> Policy:
    checkers = policy.document.checkers.model_copy(update={"image": image})
    return Policy(document=policy.document.model_copy(update={"checkers": checkers}), digest="0" * 64)


def test_options_of_checkers_are_compared_one_by_one() -> None:
    default = ORDERED[1]
    assert checker_options(default, default) == ()
    nudity, protected = default.document.checkers.image
    assert isinstance(nudity, NudityEntry)
    limit = nudity.classes["BUTTOCKS_EXPOSED"].model_copy(update={"min_score": 0.9})
    classes = {name: limit if name == "BUTTOCKS_EXPOSED" else old for name, old in nudity.classes.items()}
    looser = with_checkers(default, image=(nudity.model_copy(update={"classes": classes}), protected))
    assert relation(default, looser) is Relation.SAME  # the ladders are equal, and still one hears less
    assert checker_options(default, looser) == (
        OptionChange(checker="image.nudity", option="classes.BUTTOCKS_EXPOSED.min_score", before=0.45, after=0.9),
    )
    without = checker_options(default, with_checkers(default, image=(nudity,)))
    assert OptionChange(checker="image.protected", option="", before="listed", after=None) in without


def test_a_stricter_policy_does_not_make_light_of_lone_detections_that_a_looser_one_counts() -> None:
    for looser, stricter in pairwise(ORDERED):
        before, after = (
            next(e.alone_min_score or 0.0 for e in policy.document.checkers.image if isinstance(e, NudityEntry))
            for policy in (looser, stricter)
        )
        assert after <= before
