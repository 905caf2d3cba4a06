"""What a review case is: plain values, no storage."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any


class CaseStatus(StrEnum):
    """Where a case stands."""

    OPEN = "open"
    APPEALED = "appealed"
    UPHELD = "upheld"
    OVERTURNED = "overturned"


class ReviewOutcome(StrEnum):
    """What a reviewer says of a refusal: it was right, or it was wrong."""

    UPHELD = "upheld"
    OVERTURNED = "overturned"


class Part(StrEnum):
    """A sealed part of a case."""

    TEXTS = "texts"
    PICTURE = "picture"
    STATEMENT = "statement"


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseFinding:
    """What a checker saw, without its sentences."""

    checker: str
    category: str
    score: float
    severity: int
    hard: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One refusal, as reviewers see it.

    Attributes:
        appeal_id: 16 hex digits, given to the person who was refused.
        stage: ``prompt``, ``source_image`` or ``image``.
        action: what the policy decided, ``review`` or ``block``.
        expires_at: when its texts and picture are erased; the case itself stays.
        status: an appeal counts until a decision follows it.
        parts: what is kept sealed, and still there.
        reviewer, decided_at, decision_reason: of the last decision, if any.
    """

    appeal_id: str
    request_id: str
    image_id: str | None
    tenant: str
    stage: str
    action: str
    category: str | None
    reason: str
    rules: tuple[str, ...]
    findings: tuple[CaseFinding, ...]
    policy_id: str
    policy_digest: str
    withheld_at: datetime
    expires_at: datetime
    status: CaseStatus
    parts: frozenset[Part]
    reviewer: str | None = None
    decided_at: datetime | None = None
    decision_reason: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the case without sealed content, as routes and commands show it."""
        return {
            "appeal_id": self.appeal_id,
            "status": self.status.value,
            "stage": self.stage,
            "action": self.action,
            "category": self.category,
            "reason": self.reason,
            "rules": list(self.rules),
            "findings": [asdict(finding) for finding in self.findings],
            "policy": {"id": self.policy_id, "digest": self.policy_digest},
            "request_id": self.request_id,
            "image_id": self.image_id,
            "withheld_at": self.withheld_at.isoformat(),
            "expires_at": self.expires_at.isoformat(),
            "kept": sorted(part.value for part in self.parts),
            "reviewer": self.reviewer,
            "decided_at": self.decided_at.isoformat() if self.decided_at else None,
            "decision_reason": self.decision_reason,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Who opened what of a case, and when."""

    who: str
    what: str
    at: datetime
