import json
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml

from guard.errors import CheckError
from guard.policy.decide import Policy
from guard.policy.load import load_named
from guard.policy.schema import TermsEntry
from guard.prompt_check.interfaces import TextChecker, TextFindings
from guard.prompt_check.report import examine_text
from guard.prompt_check.term_rules import TermChecker
from guard.prompt_check.text_classifier import TextClassifier

HERE = Path(__file__).parent
POLICIES = Path(__file__).resolve().parents[3] / "policies"
MOST_WITHHELD = 0.10
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


def test_the_score_is_the_worst_of_the_checkers(policy: Policy, checkers: Sequence[TextChecker]) -> None:
    text = "a crowd being shot, severed heads, gore"
    scores = [checker.examine([("prompt", text)]).probability for checker in checkers]
    assert examine_text(text, checkers=checkers, policy=policy).score == max(scores)


def test_few_everyday_prompts_are_withheld(policy: Policy, checkers: Sequence[TextChecker]) -> None:
    """The rules withhold none of them (test_term_rules.py); the learned model over-refuses: a bound, not a wish."""
    withheld = [text for text in EVERYDAY if not examine_text(text, checkers=checkers, policy=policy).decision.releases]
    assert len(withheld) <= MOST_WITHHELD * len(EVERYDAY), withheld
