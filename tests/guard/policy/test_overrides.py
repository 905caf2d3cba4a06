"""Rules for some tenants and languages: they replace those of their categories, for these callers, and nothing hard."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from guard.policy.compare import OptionChange, checker_options
from guard.policy.decide import Policy
from guard.policy.load import load_named
from guard.policy.schema import PolicyDocument
from guard.records import Action, Finding

BASE = load_named(Path(__file__).resolve().parents[3] / "policies", "default")
BLOCK_ALL = [{"action": "block", "min_score": 0.0}]
CASE = Finding(checker="test", category="hate", score=0.3, severity=2, reason="About hate.")


def policy(*overrides: dict[str, Any]) -> Policy:
    document = BASE.document.model_dump(mode="json", exclude_unset=True) | {"overrides": list(overrides)}
    return Policy(document=PolicyDocument.model_validate_json(json.dumps(document)), digest="0" * 64)


def action(made: Policy, *, tenant: str = "local", locale: str = "", case: Finding = CASE) -> Action:
    return made.for_caller(tenant=tenant, locale=locale).decide([case], stage="prompt").action


def test_a_tenant_has_rules_of_its_own() -> None:
    made = policy({"tenants": ["school"], "categories": {"hate": BLOCK_ALL}})
    assert (action(made, tenant="school"), action(made)) == (Action.BLOCK, Action.ALLOW)
    decision = made.for_caller(tenant="school", locale="").decide([CASE], stage="prompt")
    assert decision.rules == ("generation.default.override_1.hate.block",)


@pytest.mark.parametrize(
    ("locale", "meant"),
    [("de", True), ("de-AT", True), ("DE-at", True), ("den", False), ("", False), ("en-DE", False)],
)
def test_a_language_stands_for_its_regions(locale: str, meant: bool) -> None:
    made = policy({"locales": ["de"], "categories": {"hate": BLOCK_ALL}})
    assert (action(made, locale=locale) is Action.BLOCK) is meant


def test_tenant_and_language_must_both_hold_and_the_first_override_counts() -> None:
    made = policy(
        {"tenants": ["school"], "locales": ["de"], "categories": {"hate": []}},
        {"tenants": ["school"], "categories": {"hate": BLOCK_ALL}},
    )
    assert action(made, tenant="school", locale="de") is Action.ALLOW
    assert action(made, tenant="school", locale="fr") is Action.BLOCK
    assert action(made, tenant="other", locale="de") is Action.ALLOW


@given(
    category=st.sampled_from(["sexual_minors", "sexual", "hate"]),
    score=st.floats(0, 1),
    severity=st.integers(0, 7),
    hard=st.booleans(),
)
def test_no_override_reaches_hard_rules(category: str, score: float, severity: int, hard: bool) -> None:
    nothing = {name.value: [] for name in BASE.document.categories}
    made = policy({"tenants": ["adult"], "categories": nothing}).for_caller(tenant="adult", locale="")
    case = Finding(checker="t", category=category, score=score, severity=severity, reason="r", hard=hard)
    blocked = hard or category == "sexual_minors"
    assert made.decide([case], stage="image").action is (Action.BLOCK if blocked else Action.ALLOW)
    pair = [case, Finding(checker="t", category="likeness", score=1.0, severity=1, reason="r")]
    if category == "sexual" and score >= 0.5:
        assert made.decide(pair, stage="image").action is Action.BLOCK


@pytest.mark.parametrize(
    "broken",
    [
        {"categories": {"hate": []}},
        {"tenants": ["school"], "categories": {}},
        {"tenants": ["school"], "categories": {"sexual_minors": []}},
        {"locales": ["not a tag"], "categories": {"hate": []}},
        {"tenants": ["school"], "categories": {"hate": []}, "until": "tomorrow"},
    ],
)
def test_an_override_for_nobody_or_nothing_is_refused(broken: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        policy(broken)


def test_overrides_are_among_the_differences_of_two_policies() -> None:
    made = policy({"locales": ["de"], "categories": {"hate": []}})
    assert OptionChange(checker="override_1", option="locales", before=None, after=["de"]) in checker_options(
        BASE, made
    )
