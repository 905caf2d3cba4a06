"""How two policies differ: exactly, because a policy is a finite ladder of thresholds.

The action for one finding depends on its score and severity only through comparisons with the numbers in the two files,
so trying every threshold, and a point below it, covers all findings there can be.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from guard.policy.decide import Policy
from guard.policy.schema import MAX_SEVERITY, TUNABLE, Category, Stage, TermsEntry
from guard.records import Action, Finding

_STRENGTH = {action: rank for rank, action in enumerate(Action)}


class Relation(StrEnum):
    """What the second policy is, seen from the first."""

    SAME = "same"
    STRICTER = "stricter"
    LOOSER = "looser"
    MIXED = "mixed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """The relation of two policies in one category at one stage.

    Attributes:
        category, stage: where.
        relation: what the second policy is, seen from the first.
        example: (score, severity, first's action, second's action) of the largest difference, None when there is none.
    """

    category: Category
    stage: Stage
    relation: Relation
    example: tuple[float, int, Action, Action] | None


def compare(first: Policy, second: Policy) -> tuple[Difference, ...]:
    """Return the relation in every category and stage, over all scores and severities."""
    return tuple(_compare_one(first, second, category, stage) for category in TUNABLE for stage in Stage)


def relation(first: Policy, second: Policy) -> Relation:
    """Return what the second policy is on the whole: stricter means nowhere looser and somewhere stricter."""
    return _joined({difference.relation for difference in compare(first, second)})


def term_lists(policy: Policy) -> frozenset[str]:
    """Return the names of the term lists that a policy reads; a stricter policy reads at least those of a looser."""
    return frozenset(
        name for entry in policy.document.checkers.prompt if isinstance(entry, TermsEntry) for name in entry.lists
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionChange:
    """One option of a checker that is set differently.

    Attributes:
        checker: its id, ``preview``, or ``override_N``.
        option: dotted path inside its entry, empty for a checker that only one policy lists.
        before, after: the values; None where the first or the second policy does not have it.
    """

    checker: str
    option: str
    before: object
    after: object


def checker_options(first: Policy, second: Policy) -> tuple[OptionChange, ...]:
    """Return every option in which the checkers of two policies differ: what is looked for, and from which score on.

    Findings that a checker does not report cannot be decided about, so equal ladders are not equal policies.
    """
    before, after = _options(first), _options(second)
    return tuple(
        OptionChange(checker=key[0], option=key[1], before=before.get(key), after=after.get(key))
        for key in sorted(before.keys() | after.keys())
        if before.get(key) != after.get(key)
    )


def _options(policy: Policy) -> dict[tuple[str, str], object]:
    """Return (checker, dotted option) -> value of all checkers; term lists are compared by ``term_lists``."""
    checkers = policy.document.checkers
    found: dict[tuple[str, str], object] = {}
    for entry in (*checkers.prompt, *checkers.image):
        found[entry.id, ""] = "listed"
        _flatten(found, entry.id, "", entry.model_dump(mode="json", exclude={"id", "lists"}))
    if checkers.preview is not None:
        _flatten(found, "preview", "", checkers.preview.model_dump(mode="json"))
    for number, override in enumerate(policy.document.overrides, start=1):
        _flatten(found, f"override_{number}", "", override.model_dump(mode="json"))
    return found


def _flatten(found: dict[tuple[str, str], object], checker: str, path: str, value: object) -> None:
    """Put the leaves of nested mappings into ``found``; a list is one value."""
    if isinstance(value, dict):
        for name, inner in value.items():
            _flatten(found, checker, f"{path}.{name}" if path else str(name), inner)
    elif value is not None:
        found[checker, path] = value


def action_for(policy: Policy, *, category: Category, stage: Stage, score: float, severity: int) -> Action:
    """Return what a policy does about one finding."""
    finding = Finding(checker="compare", category=category.value, score=score, severity=severity, reason="compared")
    return policy.decide([finding], stage=stage.value).action


def _compare_one(first: Policy, second: Policy, category: Category, stage: Stage) -> Difference:
    """Try every threshold of both policies, and a point just below each."""
    rules = [rule for policy in (first, second) for rule in policy.document.categories[category]]
    scores = {0.0, 1.0} | {rule.min_score for rule in rules}
    scores |= {math.nextafter(score, 0.0) for score in scores if score > 0.0}
    relations: set[Relation] = set()
    example: tuple[float, int, Action, Action] | None = None
    gap = 0
    for score in sorted(scores):
        for severity in range(MAX_SEVERITY + 1):
            here = [
                action_for(policy, category=category, stage=stage, score=score, severity=severity)
                for policy in (first, second)
            ]
            change = _STRENGTH[here[1]] - _STRENGTH[here[0]]
            relations.add(Relation.SAME if not change else Relation.STRICTER if change > 0 else Relation.LOOSER)
            if abs(change) > gap:
                gap, example = abs(change), (score, severity, here[0], here[1])
    return Difference(category=category, stage=stage, relation=_joined(relations), example=example)


def _joined(relations: set[Relation]) -> Relation:
    """Return the relation of a whole from those of its parts."""
    found = relations - {Relation.SAME}
    if not found:
        return Relation.SAME
    return Relation.MIXED if len(found) > 1 or Relation.MIXED in found else found.pop()
