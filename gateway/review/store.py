"""The review file: SQLite through SQLAlchemy, one transaction for each act, errors as ReviewError."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, create_engine, delete, event, func, insert, select, update
from sqlalchemy.exc import SQLAlchemyError

from gateway.review.cases import Access, Case, CaseFinding, CaseStatus, Part, ReviewOutcome
from gateway.review.tables import SCHEMA_VERSION, accesses, cases, decisions, metadata, sealed
from guard.errors import StageError

BUSY_TIMEOUT_S = 30.0
"""How long a writer waits for another process's transaction."""

_PLAIN = (
    "appeal_id",
    "request_id",
    "image_id",
    "tenant",
    "stage",
    "action",
    "category",
    "reason",
    "policy_id",
    "policy_digest",
)
"""Fields that are stored as they are."""


class ReviewError(StageError):
    """The review file cannot be read or written."""

    code = "review_failed"
    next_step = "Check the free space and the permissions of the review file, then retry."


class ReviewStore:
    """Cases with their sealed parts, decisions and accesses; knows nothing about keys or policies."""

    def __init__(self, path: Path) -> None:
        """Open the file, or create it (readable by its owner only).

        Raises:
            ReviewError: it cannot be opened, or is of another version.
        """
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": BUSY_TIMEOUT_S})
        event.listen(self._engine, "connect", _configure)
        with self._transaction("open") as connection:
            version = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
            if version not in (0, SCHEMA_VERSION):
                raise ReviewError(f"{path} has version {version}, expected {SCHEMA_VERSION}.")
            metadata.create_all(connection)
            connection.exec_driver_sql(f"PRAGMA user_version = {SCHEMA_VERSION}")
        path.chmod(0o600)

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def add(self, case: Case, parts: Mapping[Part, bytes]) -> None:
        """Store a new case with its sealed parts, both or neither. Raises ReviewError."""
        row = {name: getattr(case, name) for name in _PLAIN}
        row |= {"withheld_at": _text(case.withheld_at), "expires_at": _text(case.expires_at)}
        row |= {"rules": json.dumps(case.rules), "findings": json.dumps([asdict(f) for f in case.findings])}
        with self._transaction("write") as connection:
            connection.execute(insert(cases).values(row))
            for part, content in parts.items():
                connection.execute(insert(sealed).values(appeal_id=case.appeal_id, part=part.value, content=content))

    def get(self, appeal_id: str) -> Case | None:
        """Return a case, or None. Raises ReviewError."""
        with self._transaction("read") as connection:
            row = connection.execute(select(cases).where(cases.c.appeal_id == appeal_id)).one_or_none()
            return None if row is None else _case(row, connection)

    def find(
        self, *, tenant: str, status: CaseStatus | None = None, limit: int, before: datetime | None = None
    ) -> list[Case]:
        """Return a tenant's cases, newest first.

        Args:
            tenant: whose.
            status: only these.
            limit: at most so many.
            before: only cases withheld before this time (for the next page).

        Raises:
            ReviewError: the file cannot be read.
        """
        query = select(cases).where(cases.c.tenant == tenant)
        if before is not None:
            query = query.where(cases.c.withheld_at < _text(before))
        found: list[Case] = []
        with self._transaction("read") as connection:
            for row in connection.execute(query.order_by(cases.c.withheld_at.desc(), cases.c.appeal_id)):
                case = _case(row, connection)
                if status is None or case.status is status:
                    found.append(case)
                if len(found) == limit:
                    break
        return found

    def part(self, appeal_id: str, part: Part) -> bytes | None:
        """Return a sealed part, or None when it was never kept or has been erased. Raises ReviewError."""
        query = select(sealed.c.content).where(sealed.c.appeal_id == appeal_id, sealed.c.part == part.value)
        with self._transaction("read") as connection:
            return connection.execute(query).scalar_one_or_none()

    def appeal(self, appeal_id: str, *, statement: bytes, at: datetime) -> bool:
        """Note an appeal with its sealed statement; False when there was one already. Raises ReviewError."""
        with self._transaction("write") as connection:
            noted = connection.execute(
                update(cases)
                .where(cases.c.appeal_id == appeal_id, cases.c.appealed_at.is_(None))
                .values(appealed_at=_text(at))
            )
            if noted.rowcount == 0:
                return False
            row = {"appeal_id": appeal_id, "part": Part.STATEMENT.value, "content": statement}
            connection.execute(insert(sealed).values(row))
            return True

    def decide(self, appeal_id: str, *, outcome: ReviewOutcome, reviewer: str, reason: str, at: datetime) -> None:
        """Append a decision. Raises ReviewError."""
        row = {"appeal_id": appeal_id, "outcome": outcome.value, "reviewer": reviewer, "reason": reason}
        with self._transaction("write") as connection:
            connection.execute(insert(decisions).values(**row, at=_text(at)))

    def note_access(self, appeal_id: str, *, who: str, what: str, at: datetime) -> None:
        """Append an access. Raises ReviewError."""
        with self._transaction("write") as connection:
            connection.execute(insert(accesses).values(appeal_id=appeal_id, who=who, what=what, at=_text(at)))

    def accesses(self, appeal_id: str) -> list[Access]:
        """Return all accesses to a case, oldest first. Raises ReviewError."""
        query = select(accesses).where(accesses.c.appeal_id == appeal_id).order_by(accesses.c.number)
        with self._transaction("read") as connection:
            return [Access(who=r.who, what=r.what, at=_time(r.at)) for r in connection.execute(query)]

    def erase_expired(self, *, now: datetime) -> int:
        """Erase the sealed parts of expired cases and return how many parts went. Raises ReviewError."""
        expired = select(cases.c.appeal_id).where(cases.c.expires_at <= _text(now))
        with self._transaction("write") as connection:
            return connection.execute(delete(sealed).where(sealed.c.appeal_id.in_(expired))).rowcount

    @contextlib.contextmanager
    def _transaction(self, what: str) -> Iterator[Connection]:
        try:
            with self._engine.begin() as connection:
                yield connection
        except (SQLAlchemyError, sqlite3.Error) as exc:
            cause = getattr(exc, "orig", None) or exc
            raise ReviewError(f"Review file {self._path}: could not {what}: {cause}.") from exc


def _configure(connection: sqlite3.Connection, _: object) -> None:
    """Make commits durable and erased content overwritten."""
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "secure_delete = ON"):
        connection.execute(f"PRAGMA {pragma}")


def _case(row: Row[Any], connection: Connection) -> Case:
    """Build a case from its row, its last decision and the names of its parts."""
    held = connection.execute(select(sealed.c.part).where(sealed.c.appeal_id == row.appeal_id)).scalars()
    newest = select(func.max(decisions.c.number)).where(decisions.c.appeal_id == row.appeal_id).scalar_subquery()
    last = connection.execute(select(decisions).where(decisions.c.number == newest)).one_or_none()
    status = CaseStatus.APPEALED if row.appealed_at else CaseStatus.OPEN
    values = {name: getattr(row, name) for name in _PLAIN}
    return Case(
        **values,
        rules=tuple(json.loads(row.rules)),
        findings=_findings(json.loads(row.findings)),
        withheld_at=_time(row.withheld_at),
        expires_at=_time(row.expires_at),
        status=status if last is None else CaseStatus(last.outcome),
        parts=frozenset(Part(name) for name in held),
        reviewer=last.reviewer if last else None,
        decided_at=_time(last.at) if last else None,
        decision_reason=last.reason if last else None,
    )


def _findings(rows: Sequence[Mapping[str, Any]]) -> tuple[CaseFinding, ...]:
    return tuple(CaseFinding(**row) for row in rows)


def _text(moment: datetime) -> str:
    """Return a time as fixed-width UTC text, so that text order is time order."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
