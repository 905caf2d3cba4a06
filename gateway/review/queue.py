"""The review queue: takes what the flow withheld, shows it to reviewers, keeps their decisions as a labelled set.

Content is sealed before it is stored and every opening is noted. What concerns minors is never kept: the case says
that it was refused, and nothing more.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from gateway.review.cases import Access, Case, CaseFinding, CaseStatus, Part, ReviewOutcome
from gateway.review.store import ReviewStore
from gateway.review.vault import Vault
from guard.errors import RequestError
from guard.interfaces import Clock
from guard.media import encode
from guard.policy.schema import Category, QuarantineRules
from guard.records import RGB8, AdmittedRequest, ImageFormat, Refusal

MAX_TEXT_CHARS = 2000
"""Longest appeal statement or reason: a page of text."""


class UnknownCaseError(RequestError):
    """No such case for this tenant."""

    code = "unknown_case"
    next_step = "Check the appeal id: 16 hex digits, as the refusal gave it."


class ReviewQueue:
    """Implements ``Quarantine``; safe to share between threads."""

    def __init__(self, store: ReviewStore, vault: Vault, *, rules: QuarantineRules, clock: Clock) -> None:
        """Join storage, encryption and the policy's rules on what is kept for how long."""
        self._store, self._vault, self._rules, self._clock = store, vault, rules, clock

    def close(self) -> None:
        """Close the file."""
        self._store.close()

    def hold(self, refusal: Refusal, *, admitted: AdmittedRequest, pixels: RGB8 | None) -> None:
        """Keep a refusal for review.

        Args:
            refusal: what was decided.
            admitted: the request; its texts are sealed.
            pixels: the withheld picture, (H, W, 3) uint8, or None when there is none.

        Raises:
            ReviewError: it could not be stored.
        """
        self._erase_expired()
        now = self._clock.now()
        parts = {} if _concerns_minors(refusal) else self._sealed(refusal, admitted, pixels)
        decision = refusal.decision
        case = Case(
            appeal_id=refusal.appeal_id,
            request_id=refusal.request_id,
            image_id=refusal.image_id,
            tenant=admitted.request.tenant,
            stage=refusal.stage,
            action=decision.action.value,
            category=decision.category,
            reason=decision.reason,
            rules=decision.rules,
            findings=tuple(
                CaseFinding(checker=f.checker, category=f.category, score=f.score, severity=f.severity, hard=f.hard)
                for f in decision.findings
            ),
            policy_id=admitted.policy_id,
            policy_digest=admitted.policy_digest,
            withheld_at=now,
            expires_at=now + timedelta(days=self._rules.retention_days),
            status=CaseStatus.OPEN,
            parts=frozenset(parts),
        )
        self._store.add(case, parts)

    def cases(
        self, *, tenant: str, status: CaseStatus | None = None, limit: int = 50, before: datetime | None = None
    ) -> list[Case]:
        """Return a tenant's cases, newest first; ``before`` gives the next page. Raises ReviewError."""
        self._erase_expired()
        return self._store.find(tenant=tenant, status=status, limit=limit, before=before)

    def case(self, appeal_id: str, *, tenant: str) -> Case:
        """Return one case.

        Raises:
            UnknownCaseError: none of this tenant has that id.
        """
        self._erase_expired()
        found = self._store.get(appeal_id)
        if found is None or found.tenant != tenant:
            raise UnknownCaseError(f"No case has the appeal id {appeal_id!r}.")
        return found

    def open_part(self, appeal_id: str, part: Part, *, tenant: str, who: str) -> bytes | None:
        """Return sealed content in clear and note who opened it; None when it was never kept or has expired.

        Texts are a JSON object of field name -> text, pictures are PNG, statements UTF-8 text.

        Raises:
            UnknownCaseError: none of this tenant has that id.
            VerificationError: the content does not decrypt under the configured key.
        """
        self.case(appeal_id, tenant=tenant)
        content = self._store.part(appeal_id, part)
        if content is None:
            return None
        self._store.note_access(appeal_id, who=who, what=part.value, at=self._clock.now())
        return self._vault.open(content, context=f"{appeal_id}/{part.value}")

    def accesses(self, appeal_id: str, *, tenant: str) -> list[Access]:
        """Return who opened or decided what of a case, oldest first. Raises UnknownCaseError."""
        self.case(appeal_id, tenant=tenant)
        return self._store.accesses(appeal_id)

    def appeal(self, appeal_id: str, *, tenant: str, statement: str) -> Case:
        """Note that the refused person disagrees, and return the case.

        Raises:
            UnknownCaseError: none of this tenant has that id.
            RequestError: the statement is empty or too long, or there is an appeal already.
        """
        self.case(appeal_id, tenant=tenant)
        sealed = self._vault.seal(_checked(statement, "statement").encode(), context=f"{appeal_id}/{Part.STATEMENT}")
        if not self._store.appeal(appeal_id, statement=sealed, at=self._clock.now()):
            raise RequestError("This refusal has been appealed already.", next_step="Wait for the decision.")
        return self.case(appeal_id, tenant=tenant)

    def decide(self, appeal_id: str, *, tenant: str, outcome: ReviewOutcome, reviewer: str, reason: str) -> Case:
        """Append a reviewer's decision; the last one counts.

        Raises:
            UnknownCaseError: none of this tenant has that id.
            RequestError: the reason is empty or too long.
        """
        self.case(appeal_id, tenant=tenant)
        now = self._clock.now()
        said = _checked(reason, "reason")
        self._store.decide(appeal_id, outcome=outcome, reviewer=reviewer, reason=said, at=now)
        return self.case(appeal_id, tenant=tenant)

    def labelled(self, *, tenant: str) -> Iterator[dict[str, Any]]:
        """Yield decided cases as rows of a labelled set: findings, what the policy did, what the reviewer said.

        ``label`` is ``violating`` where the refusal was upheld and ``benign`` where it was overturned.
        """
        for case in self._store.find(tenant=tenant, limit=2**31):
            if case.status in (CaseStatus.UPHELD, CaseStatus.OVERTURNED):
                yield labelled_row(case)

    def _erase_expired(self) -> None:
        erase_expired(self._store, rules=self._rules, now=self._clock.now())

    def _sealed(self, refusal: Refusal, admitted: AdmittedRequest, pixels: RGB8 | None) -> dict[Part, bytes]:
        clear: dict[Part, bytes] = {}
        if self._rules.keep_prompts:
            clear[Part.TEXTS] = json.dumps(dict(admitted.request.texts()), ensure_ascii=False).encode()
        if self._rules.keep_pictures and pixels is not None:
            clear[Part.PICTURE] = encode(pixels, ImageFormat.PNG)
        return {
            part: self._vault.seal(content, context=f"{refusal.appeal_id}/{part.value}")
            for part, content in clear.items()
        }


def erase_expired(store: ReviewStore, *, rules: QuarantineRules, now: datetime) -> int:
    """Erase content whose time is over and return how many parts went; needs no key.

    An appeal's statement is kept for as long from the appeal on, so that a late appeal is read, too.

    Raises:
        ReviewError: the file cannot be written.
    """
    return store.erase_expired(now=now, appealed_before=now - timedelta(days=rules.retention_days))


def labelled_row(case: Case) -> dict[str, Any]:
    """Return a decided case as a row that ``signet policy test`` replays."""
    return {
        "appeal_id": case.appeal_id,
        "stage": "prompt" if case.stage == "prompt" else "image",
        "label": "violating" if case.status is CaseStatus.UPHELD else "benign",
        "action": case.action,
        "policy_id": case.policy_id,
        "policy_digest": case.policy_digest,
        "findings": [asdict(finding) for finding in case.findings],
    }


def _concerns_minors(refusal: Refusal) -> bool:
    """Return whether any finding is about minors: such content is not kept, not even encrypted."""
    named = {refusal.decision.category, *(finding.category for finding in refusal.decision.findings)}
    return Category.SEXUAL_MINORS.value in named


def _checked(text: str, what: str) -> str:
    text = text.strip()
    if not 0 < len(text) <= MAX_TEXT_CHARS:
        raise RequestError(
            f"The {what} has {len(text)} characters, expected 1 to {MAX_TEXT_CHARS}.",
            next_step=f"Give the {what} in a few sentences.",
        )
    if any("\ud800" <= char <= "\udfff" for char in text):
        raise RequestError(f"The {what} holds characters that are no text.", next_step="Send it as UTF-8.")
    return text
