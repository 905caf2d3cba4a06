"""Findings in, decision out: pure, monotone, fail closed.

The strongest action of any rule wins, so one more finding, a higher score or a higher severity never weakens a
decision (property tests). What cannot be judged - NaN, an unknown category, an unknown stage - is blocked. Hard rules
stand before every policy: a hard finding, anything about minors, and sexual content about an identifiable person.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from guard.policy.schema import MAX_SEVERITY, UNCHECKED, Category, PolicyDocument, Rule, Stage
from guard.records import Action, Decision, Finding

HARD_PAIR_SCORE = 0.5
"""Likeness and sexual findings at or above this score make the hard pair: more likely than not, for both.

Source: the duty not to make intimate imagery of identifiable people (EU AI Act Art. 5, US TAKE IT DOWN Act).
"""
_STRENGTH = {action: rank for rank, action in enumerate(Action)}
_CATEGORIES = frozenset(category.value for category in Category)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Verdict:
    """What one rule makes of one finding."""

    action: Action
    rule: str
    category: str | None
    reason: str
    severity: int
    score: float

    @property
    def rank(self) -> tuple[int, int, float]:
        """Order by action, then severity, then score."""
        return (_STRENGTH[self.action], self.severity, self.score)


@dataclass(frozen=True, slots=True)
class _Ladder:
    """The rules of a category and the name under which records cite them."""

    name: str
    rules: tuple[Rule, ...]


class Policy:
    """A loaded policy; implements ``DecisionMaker``.

    Attributes:
        id: the policy's name.
        digest: SHA-256 (hex) of the exact bytes of its file.
        document: the validated content.
    """

    __slots__ = ("_ladders", "digest", "document", "id")

    def __init__(self, *, document: PolicyDocument, digest: str) -> None:
        """Keep a validated document and the digest of the bytes it came from."""
        self.id: str = document.id
        self.digest: str = digest
        self.document = document
        self._ladders = {category: _Ladder(document.id, rules) for category, rules in document.categories.items()}

    def for_caller(self, *, tenant: str, locale: str) -> Policy:
        """Return the policy as it holds for a tenant and a language tag, with its overrides for them; same digest."""
        found = Policy(document=self.document, digest=self.digest)
        for number, override in reversed(list(enumerate(self.document.overrides, start=1))):  # the first one counts
            if override.holds_for(tenant=tenant, locale=locale):
                name = f"{self.id}.override_{number}"
                found._ladders |= {category: _Ladder(name, rules) for category, rules in override.categories.items()}
        return found

    def decide(self, findings: Sequence[Finding], *, stage: str) -> Decision:
        """Return the strongest action that any rule asks for.

        Args:
            findings: from all checkers of this stage, in any order.
            stage: "prompt" or "image"; anything else is blocked.
        """
        try:
            at = Stage(stage)
        except ValueError:
            return Decision(
                action=Action.BLOCK,
                category=None,
                reason="The decision was asked for at a stage that this policy does not know.",
                rules=("fail_closed.unknown_stage",),
                findings=tuple(findings),
            )
        verdicts = [verdict for finding in findings for verdict in self._judge(finding, at)]
        verdicts += _hard_pairs(findings)
        if at is Stage.IMAGE and any(entry.id == UNCHECKED for entry in self.document.checkers.image):
            verdicts.append(_unchecked())
        if not verdicts:
            return Decision(
                action=Action.ALLOW,
                category=None,
                reason="Nothing was found that the policy acts on.",
                findings=tuple(findings),
            )
        leader = max(verdicts, key=lambda verdict: verdict.rank)
        rules = sorted({verdict.rule for verdict in verdicts if verdict.action is leader.action})
        return Decision(
            action=leader.action,
            category=leader.category,
            reason=self._with_suggestion(leader, at),
            rules=tuple(rules),
            findings=tuple(findings),
        )

    def _with_suggestion(self, verdict: _Verdict, stage: Stage) -> str:
        """Return the reason, and for a prompt that a rule of the policy withholds, what to try instead."""
        tunable = verdict.rule.startswith(f"{self.id}.")
        if stage is not Stage.PROMPT or not tunable or verdict.action not in (Action.REVIEW, Action.BLOCK):
            return verdict.reason
        suggestion = self.document.suggestions.get(Category(verdict.category)) if verdict.category else None
        return f"{verdict.reason} {suggestion}" if suggestion else verdict.reason

    def _judge(self, finding: Finding, stage: Stage) -> list[_Verdict]:
        """Return what every applicable rule makes of one finding."""
        broken = _unjudgeable(finding)
        if broken is not None:
            return [_block(finding, f"fail_closed.{broken}", "A safety check gave an answer that cannot be judged.")]
        category = Category(finding.category)
        if finding.hard or category is Category.SEXUAL_MINORS:
            return [_block(finding, f"hard.{category.value}", finding.reason)]
        ladder = self._ladders[category]
        return [
            _Verdict(
                action=rule.action,
                rule=f"{ladder.name}.{category.value}.{rule.action.value}",
                category=category.value,
                reason=finding.reason,
                severity=finding.severity,
                score=finding.score,
            )
            for rule in ladder.rules
            if stage in rule.stages and finding.score >= rule.min_score and finding.severity >= rule.min_severity
        ]


def _unjudgeable(finding: Finding) -> str | None:
    """Return why a finding cannot be judged, or None."""
    if finding.category not in _CATEGORIES:
        return "unknown_category"
    if not math.isfinite(finding.score) or not 0.0 <= finding.score <= 1.0:
        return "score_out_of_range"
    if not 0 <= finding.severity <= MAX_SEVERITY:
        return "severity_out_of_range"
    return None


def _block(finding: Finding, rule: str, reason: str) -> _Verdict:
    """Return a block at the top of the order; used for hard and fail-closed rules."""
    return _Verdict(
        action=Action.BLOCK,
        rule=rule,
        category=finding.category if finding.category in _CATEGORIES else None,
        reason=reason,
        severity=MAX_SEVERITY + 1,
        score=1.0,
    )


def _hard_pairs(findings: Sequence[Finding]) -> list[_Verdict]:
    """Return the block for sexual content together with an identifiable person, if both were found."""
    found = {finding.category for finding in findings if finding.score >= HARD_PAIR_SCORE}
    if not {Category.LIKENESS, Category.SEXUAL} <= found:
        return []
    return [
        _Verdict(
            action=Action.BLOCK,
            rule="hard.likeness_with_sexual",
            category=Category.LIKENESS.value,
            reason="Sexual content about an identifiable person is never made.",
            severity=MAX_SEVERITY,
            score=1.0,
        )
    ]


def _unchecked() -> _Verdict:
    """Return the flag that every picture gets under a policy that looks at none."""
    return _Verdict(
        action=Action.FLAG,
        rule=UNCHECKED,
        category=None,
        reason="The picture was not examined: this policy runs no image checker.",
        severity=0,
        score=0.0,
    )
