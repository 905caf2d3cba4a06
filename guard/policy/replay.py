"""Replay recorded findings under a policy: "what would this threshold have done last month".

Rows are those of the review queue's labelled set (``signet review export``): ``stage``, ``label`` ("violating" where a
reviewer upheld the refusal, "benign" where it was overturned), ``action`` (what was done then) and ``findings``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from guard.errors import RequestError
from guard.policy.decide import Policy
from guard.policy.schema import Stage
from guard.records import Action, Finding

_WITHHOLD = frozenset({Action.REVIEW, Action.BLOCK})


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """What a policy makes of a labelled set.

    Attributes:
        rows: rows replayed.
        changed: (action then, action now) -> rows, where they differ.
        violating_withheld, violating: of the upheld refusals, how many are withheld now, and how many there are.
        benign_withheld, benign: the same for refusals that reviewers overturned.
    """

    rows: int
    changed: dict[tuple[str, str], int]
    violating_withheld: int
    violating: int
    benign_withheld: int
    benign: int


def replay(rows: Iterable[Mapping[str, Any]], policy: Policy) -> Replay:
    """Decide every row again.

    Raises:
        RequestError: a row is not one of a labelled set.
    """
    changed: Counter[tuple[str, str]] = Counter()
    seen: Counter[tuple[str, bool]] = Counter()
    for number, row in enumerate(rows, start=1):
        stage, label, then = str(row.get("stage")), str(row.get("label")), str(row.get("action"))
        _check(number, "label", label, ("violating", "benign"))
        _check(number, "stage", stage, tuple(Stage))
        _check(number, "action", then, tuple(Action))
        recorded = row.get("findings")
        if not isinstance(recorded, list):
            raise RequestError(f"Row {number} has no list of findings.")
        now = policy.decide([_finding(raw, number) for raw in recorded], stage=stage).action
        seen[label, now in _WITHHOLD] += 1
        if now.value != then:
            changed[then, now.value] += 1
    return Replay(
        rows=sum(seen.values()),
        changed=dict(changed),
        violating_withheld=seen["violating", True],
        violating=seen["violating", True] + seen["violating", False],
        benign_withheld=seen["benign", True],
        benign=seen["benign", True] + seen["benign", False],
    )


def _check(number: int, name: str, value: str, allowed: Sequence[str]) -> None:
    """Refuse a row with another value: counted, it would make the figures wrong."""
    if value not in allowed:
        wanted = ", ".join(repr(str(one)) for one in allowed)
        raise RequestError(f"Row {number} has the {name} {value!r}; expected one of {wanted}.")


def _finding(raw: Any, number: int) -> Finding:
    """Return a recorded finding; places in the text are not needed to decide."""
    try:
        return Finding(
            checker=str(raw["checker"]),
            category=str(raw["category"]),
            score=float(raw["score"]),
            severity=int(raw["severity"]),
            reason=str(raw.get("reason", "")),
            hard=raw.get("hard") is True,
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as exc:
        raise RequestError(f"Row {number} holds a finding without checker, category, score or severity.") from exc
