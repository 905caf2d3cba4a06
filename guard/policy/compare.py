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
