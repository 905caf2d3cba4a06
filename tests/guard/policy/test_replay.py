from pathlib import Path
from typing import Any

import pytest

from guard.errors import RequestError
from guard.policy.load import load_named
from guard.policy.replay import replay

POLICIES = Path(__file__).resolve().parents[3] / "policies"


def row(label: str, action: str, score: float, **changes: Any) -> dict[str, Any]:
    finding = {
        "checker": "prompt.terms",
        "category": "hate",
        "score": score,
        "severity": 4,
        "reason": "r",
        "hard": False,
    }
    return {"stage": "prompt", "label": label, "action": action, "findings": [{**finding, **changes}]}


def test_it_says_what_would_have_been_done() -> None:
    rows = [row("violating", "block", 0.99), row("benign", "review", 0.01), row("benign", "block", 0.99)]
    found = replay(rows, load_named(POLICIES, "default"))
    assert found.rows == 3
    assert found.changed == {("review", "allow"): 1}
    assert (found.violating_withheld, found.violating) == (1, 1)
    assert (found.benign_withheld, found.benign) == (1, 2)


def test_a_stricter_policy_withholds_at_least_as_much() -> None:
    rows = [row("benign", "allow", score / 20) for score in range(21)]
    counts = [
        replay(rows, load_named(POLICIES, name)).benign_withheld
        for name in ("permissive-adult", "default", "strict", "children")
    ]
    assert counts == sorted(counts)
    assert counts[0] < counts[-1]


def test_hard_findings_stay_hard() -> None:
    found = replay([row("benign", "block", 0.0, hard=True)], load_named(POLICIES, "permissive-adult"))
    assert found.benign_withheld == 1


@pytest.mark.parametrize(
    "broken",
    [
        {"stage": "prompt", "label": "maybe", "action": "block", "findings": []},
        row("benign", "block", 0.5) | {"findings": [{"category": "hate"}]},
        row("benign", "block", 0.5) | {"findings": ["hate"]},
        row("benign", "block", 0.5) | {"findings": 5},
        row("benign", "block", 0.5) | {"findings": None},
        row("benign", "block", 0.5) | {"stage": "images"},
        row("benign", "blocked", 0.5),
        row("benign", "block", 0.5, severity=float("inf")),
        row("benign", "block", 10**400),
    ],
)
def test_rows_of_another_kind_are_refused(broken: dict[str, Any]) -> None:
    with pytest.raises(RequestError, match="Row 1"):
        replay([broken], load_named(POLICIES, "default"))
