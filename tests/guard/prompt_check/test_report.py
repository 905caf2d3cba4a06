import json
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from guard.errors import CheckError
from guard.policy.decide import Policy
from guard.policy.load import load_named
from guard.policy.schema import TermsEntry
from guard.prompt_check.interfaces import TextChecker, TextFindings
from guard.prompt_check.report import examine_text, joined_probability
from guard.prompt_check.term_rules import TermChecker
from guard.prompt_check.text_classifier import TextClassifier

HERE = Path(__file__).parent
POLICIES = Path(__file__).resolve().parents[3] / "policies"
MOST_WITHHELD = 0.03
EVERYDAY = yaml.safe_load((HERE / "data" / "everyday.yaml").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def policy() -> Policy:
    return load_named(POLICIES, "default")


@pytest.fixture(scope="session")
def checkers(policy: Policy) -> list[TextChecker]:
    (entry,) = [e for e in policy.document.checkers.prompt if isinstance(e, TermsEntry)]
    return [TermChecker(folder=POLICIES / "terms", lists=entry.lists), TextClassifier(report_above=0.2)]


def test_the_report_has_the_keys_of_the_command_contract(policy: Policy, checkers: Sequence[TextChecker]) -> None:
    found = examine_text("a calm n.u.d.e woman", checkers=checkers, policy=policy).as_json()
    assert json.loads(json.dumps(found)) == found
    assert found["decision"] == "block"
    assert 0.85 <= found["score"] <= 1
    assert found["categories"]["sexual"] >= 0.85
    assert [7, 14, "sexual.nudity"] in found["spans"]


def test_a_harmless_text_has_a_score_and_nothing_else(policy: Policy, checkers: Sequence[TextChecker]) -> None:
    found = examine_text("a lighthouse at dawn", checkers=checkers, policy=policy).as_json()
    assert (found["decision"], found["categories"], found["spans"], found["category"]) == ("allow", {}, [], None)
    assert 0 < found["score"] < 0.2


def test_an_empty_text_is_allowed(policy: Policy, checkers: Sequence[TextChecker]) -> None:
    assert examine_text("  ", checkers=checkers, policy=policy).as_json()["decision"] == "allow"


def test_without_a_checker_nothing_is_cleared(policy: Policy) -> None:
    with pytest.raises(CheckError):
        examine_text("a lighthouse", checkers=[], policy=policy)


def test_a_checker_that_cannot_decide_is_not_ignored(policy: Policy, checkers: Sequence[TextChecker]) -> None:
    class Broken:
        id = "prompt.broken"

        def examine(self, texts: Sequence[tuple[str, str]], *, negative_counts: bool = False) -> TextFindings:
            raise CheckError("cannot decide")

    with pytest.raises(CheckError):
        examine_text("a lighthouse", checkers=[*checkers, Broken()], policy=policy)


def test_the_score_joins_the_answers_of_the_checkers(policy: Policy, checkers: Sequence[TextChecker]) -> None:
    text = "a crowd being shot, severed heads, gore"
    rules, model = (checker.examine([("prompt", text)]).probability for checker in checkers)
    joined = examine_text(text, checkers=checkers, policy=policy).score
    assert joined == pytest.approx(rules + model - rules * model)
    assert joined > max(rules, model) > 0


@given(st.lists(st.floats(0, 1), max_size=5), st.floats(0, 1))
def test_one_more_answer_never_lowers_the_score(answers: list[float], more: float) -> None:
    joined = joined_probability(answers)
    assert max(answers, default=0.0) - 1e-9 <= joined <= 1.0
    assert joined_probability([*answers, more]) >= joined - 1e-9
    assert joined_probability(answers[::-1]) == pytest.approx(joined)


def test_an_answer_that_is_no_number_counts_as_certain() -> None:
    assert joined_probability([0.1, float("nan")]) == 1.0
    assert joined_probability([]) == 0.0


def test_few_everyday_prompts_are_withheld(policy: Policy, checkers: Sequence[TextChecker]) -> None:
    """The rules withhold none of them (test_term_rules.py); the learned model over-refuses: a bound, not a wish."""
    withheld = [text for text in EVERYDAY if not examine_text(text, checkers=checkers, policy=policy).decision.releases]
    assert len(withheld) <= MOST_WITHHELD * len(EVERYDAY), withheld
