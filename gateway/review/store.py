"""The review file: SQLite through SQLAlchemy, one transaction for each act, errors as ReviewError."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Connection,
    Row,
    Select,
    case,
    create_engine,
    delete,
    event,
    func,
    insert,
    literal,
    select,
    update,
)
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
        self._journal_holds_erased = True  # a process before this one may have ended between erasing and clearing it
        try:
            _make_private(path)
        except OSError as exc:
            raise ReviewError(f"Review file {path}: could not open: {exc.strerror}.") from exc
        self._engine = create_engine(
            f"sqlite:///{path}", connect_args={"timeout": BUSY_TIMEOUT_S}, hide_parameters=True
        )
        event.listen(self._engine, "connect", _configure)
        with self._transaction("open") as connection:
            version = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
            if version not in (0, SCHEMA_VERSION):
                raise ReviewError(f"{path} has version {version}, expected {SCHEMA_VERSION}.")
            metadata.create_all(connection)
            connection.exec_driver_sql(f"PRAGMA user_version = {SCHEMA_VERSION}")

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
            row = connection.execute(_decided_cases().where(cases.c.appeal_id == appeal_id)).one_or_none()
            return None if row is None else _case(row, connection)

    def find(
        self, *, tenant: str, status: CaseStatus | None = None, limit: int, before: datetime | None = None
    ) -> list[Case]:
        """Return a tenant's cases, newest first.

        Args:
            tenant: whose.
            status: only these.
            limit: so many, and those withheld at the very moment of the last one, so that no page loses a case.
            before: only cases withheld before this time (for the next page).

        Raises:
            ReviewError: the file cannot be read.
        """
        query = _decided_cases().where(cases.c.tenant == tenant)
        if status is not None:
            query = query.where(_STATUS.in_([status.value]))
        if before is not None:
            query = query.where(cases.c.withheld_at < _text(before))
        found: list[Case] = []
        with self._transaction("read") as connection:
            for row in connection.execute(query.order_by(cases.c.withheld_at.desc(), cases.c.appeal_id)):
                if len(found) >= limit and row.withheld_at != _text(found[-1].withheld_at):
                    break
                found.append(_case(row, connection))
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
        """Append a decision and note it among the accesses, both or neither. Raises ReviewError."""
        row = {"appeal_id": appeal_id, "outcome": outcome.value, "reviewer": reviewer, "reason": reason}
        with self._transaction("write") as connection:
            connection.execute(insert(decisions).values(**row, at=_text(at)))
            noted = {"appeal_id": appeal_id, "who": reviewer, "what": f"decided {outcome.value}"}
            connection.execute(insert(accesses).values(**noted, at=_text(at)))

    def note_access(self, appeal_id: str, *, who: str, what: str, at: datetime) -> None:
        """Append an access. Raises ReviewError."""
        with self._transaction("write") as connection:
            connection.execute(insert(accesses).values(appeal_id=appeal_id, who=who, what=what, at=_text(at)))

    def accesses(self, appeal_id: str) -> list[Access]:
        """Return all accesses to a case, oldest first. Raises ReviewError."""
        query = select(accesses).where(accesses.c.appeal_id == appeal_id).order_by(accesses.c.number)
        with self._transaction("read") as connection:
            return [Access(who=r.who, what=r.what, at=_time(r.at)) for r in connection.execute(query)]

    def has_sealed(self) -> bool:
        """Return whether any sealed content is held. Raises ReviewError."""
        with self._transaction("read") as connection:
            return connection.execute(select(sealed.c.appeal_id).limit(1)).first() is not None

    def erase_expired(self, *, now: datetime, appealed_before: datetime) -> int:
        """Erase sealed parts for good, in the journal too, and return how many went.

        Args:
            now: cases that expire at this time or before lose their texts and pictures.
            appealed_before: statements of appeals made at this time or before go, where their case has expired.

        Raises:
            ReviewError: the file cannot be written.
        """
        expired = select(cases.c.appeal_id).where(cases.c.expires_at <= _text(now))
        heard = expired.where(cases.c.appealed_at <= _text(appealed_before))
        statement = sealed.c.part == Part.STATEMENT.value
        old = (~statement & sealed.c.appeal_id.in_(expired)) | (statement & sealed.c.appeal_id.in_(heard))
        with self._transaction("write") as connection:
            erased = connection.execute(delete(sealed).where(old)).rowcount
        if erased or self._journal_holds_erased:
            self._journal_holds_erased = True
            with self._transaction("clear the journal") as connection:
                busy = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()[0]
            self._journal_holds_erased = bool(busy)  # somebody reads: the next call tries again
        return erased

    @contextlib.contextmanager
    def _transaction(self, what: str) -> Iterator[Connection]:
        try:
            with self._engine.begin() as connection:
                yield connection
        except (SQLAlchemyError, sqlite3.Error) as exc:
            cause = getattr(exc, "orig", None) or exc
            raise ReviewError(f"Review file {self._path}: could not {what}: {cause}.") from exc


def _make_private(path: Path) -> None:
    """Create the file readable by its owner only before SQLite does: the journals get its permissions."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):  # closing a file that is there would end SQLite's locks on it
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
        with contextlib.suppress(FileNotFoundError):
            path.with_name(name).chmod(0o600)


_newer = decisions.alias()
_STATUS = case(
    (cases.c.appealed_at > decisions.c.at, literal(CaseStatus.APPEALED.value)),
    (decisions.c.outcome.is_not(None), decisions.c.outcome),
    (cases.c.appealed_at.is_not(None), literal(CaseStatus.APPEALED.value)),
    else_=literal(CaseStatus.OPEN.value),
)
"""Where a case stands: an appeal counts until a decision follows it."""


def _decided_cases() -> Select[Any]:
    """Return the query for cases, each with its last decision."""
    newest = select(func.max(_newer.c.number)).where(_newer.c.appeal_id == cases.c.appeal_id)
    last = newest.correlate(cases).scalar_subquery()
    decision = (decisions.c.outcome, decisions.c.reviewer, decisions.c.reason.label("said"), decisions.c.at)
    joined = cases.outerjoin(decisions, decisions.c.number == last)
    return select(cases, *decision, _STATUS.label("status")).select_from(joined)


def _configure(connection: sqlite3.Connection, _: object) -> None:
    """Make commits durable and erased content overwritten."""
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "secure_delete = ON"):
        connection.execute(f"PRAGMA {pragma}")


def _case(row: Row[Any], connection: Connection) -> Case:
    """Build a case from its row and the names of its parts."""
    held = connection.execute(select(sealed.c.part).where(sealed.c.appeal_id == row.appeal_id)).scalars()
    values = {name: getattr(row, name) for name in _PLAIN}
    return Case(
        **values,
        rules=tuple(json.loads(row.rules)),
        findings=_findings(json.loads(row.findings)),
        withheld_at=_time(row.withheld_at),
        expires_at=_time(row.expires_at),
        status=CaseStatus(row.status),
        parts=frozenset(Part(name) for name in held),
        reviewer=row.reviewer,
        decided_at=_time(row.at) if row.at else None,
        decision_reason=row.said,
    )


def _findings(rows: Sequence[Mapping[str, Any]]) -> tuple[CaseFinding, ...]:
    return tuple(CaseFinding(**row) for row in rows)


def _text(moment: datetime) -> str:
    """Return a time as fixed-width UTC text, so that text order is time order."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
