"""The protected set's file: SQLite through SQLAlchemy; commands write it, running services see the change."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Integer,
    LargeBinary,
    MetaData,
    Row,
    Table,
    Text,
    UniqueConstraint,
    create_engine,
    delete,
    event,
    func,
    select,
)
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.exc import SQLAlchemyError

from guard.errors import ConfigError
from guard.protected_set.entry import ProtectedEntry

BUSY_TIMEOUT_S = 30.0
"""How long a writer waits for another process's transaction."""
_metadata = MetaData()
_entries = Table(
    "entries",
    _metadata,
    Column("number", Integer, primary_key=True),
    Column("list_name", Text, nullable=False),
    Column("label", Text, nullable=False),
    Column("category", Text, nullable=False),
    Column("severity", Integer, nullable=False),
    Column("hard", Boolean, nullable=False),
    Column("pdq", LargeBinary(32), nullable=False),
    Column("quality", Integer, nullable=False),
    UniqueConstraint("list_name", "pdq"),
    sqlite_autoincrement=True,  # numbers are never used twice, so that a cached index notices every change
)
_vectors = Table(
    "vectors",
    _metadata,
    Column("number", Integer, primary_key=True),
    Column("model", Text, nullable=False),
    Column("vector", LargeBinary, nullable=False),
)


class ProtectedStore:
    """Entries by list; safe to share between threads."""

    def __init__(self, path: Path) -> None:
        """Open the file, or create it.

        Raises:
            ConfigError: it cannot be opened or is not such a file.
        """
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": BUSY_TIMEOUT_S})
        event.listen(self._engine, "connect", _configure)
        with self._transaction() as connection:
            _metadata.create_all(connection)

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def add(self, entries: Iterable[ProtectedEntry]) -> int:
        """Add entries, all or none; a hash that its list holds already gets the new meaning.

        Returns:
            How many different ones there were.
        """
        given = list(entries)
        rows = [
            {
                "list_name": entry.list_name,
                "label": entry.label,
                "category": entry.category,
                "severity": entry.severity,
                "hard": entry.hard,
                "pdq": bytes.fromhex(entry.pdq),
                "quality": entry.quality,
            }
            for entry in given
        ]
        if rows:
            with self._transaction() as connection:
                connection.execute(insert(_entries).prefix_with("OR REPLACE"), rows)
                _remove_orphans(connection)
                for entry in given:
                    _add_vector(connection, entry)
        return len({(entry.list_name, entry.pdq) for entry in given})

    def remove(self, *, list_name: str, label: str | None = None) -> int:
        """Remove a list, or the entries of a list with one label; return how many."""
        statement = delete(_entries).where(_entries.c.list_name == list_name)
        if label is not None:
            statement = statement.where(_entries.c.label == label)
        with self._transaction() as connection:
            removed = connection.execute(statement).rowcount
            _remove_orphans(connection)
            return removed

    def state(self) -> tuple[int, int]:
        """Return (number of entries, largest number ever given to one that is left): changes with every change."""
        with self._transaction() as connection:
            count, last = connection.execute(select(func.count(), func.max(_entries.c.number))).one()
            return int(count), int(last or 0)

    def hashes(self) -> list[tuple[int, bytes]]:
        """Return (number, 32-byte hash) of all entries, numbers ascending."""
        query = select(_entries.c.number, _entries.c.pdq).order_by(_entries.c.number)
        with self._transaction() as connection:
            return [(int(number), bytes(pdq)) for number, pdq in connection.execute(query)]

    def vectors(self, *, model: str) -> list[tuple[int, bytes]]:
        """Return (number, vector) of all entries that have one of this model, numbers ascending."""
        query = select(_vectors.c.number, _vectors.c.vector).where(_vectors.c.model == model).order_by("number")
        with self._transaction() as connection:
            return [(int(number), bytes(vector)) for number, vector in connection.execute(query)]

    def entry(self, number: int) -> ProtectedEntry | None:
        """Return an entry by its number, or None when it has been removed."""
        with self._transaction() as connection:
            row = connection.execute(select(_entries).where(_entries.c.number == number)).one_or_none()
            return None if row is None else _entry(row)

    def numbered(self, numbers: Iterable[int]) -> dict[int, ProtectedEntry]:
        """Return number -> entry in one query, without those that have been removed."""
        given = func.json_each(json.dumps(list(numbers))).table_valued("value")
        query = select(_entries).where(_entries.c.number.in_(select(given.c.value))).order_by(_entries.c.number)
        with self._transaction() as connection:
            return {int(row.number): _entry(row) for row in connection.execute(query)}

    def entries(self, *, list_name: str | None = None) -> list[ProtectedEntry]:
        """Return the entries of one list, or all, in the order in which they came."""
        query = select(_entries).order_by(_entries.c.number)
        if list_name is not None:
            query = query.where(_entries.c.list_name == list_name)
        with self._transaction() as connection:
            return [_entry(row) for row in connection.execute(query)]

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[Connection]:
        try:
            with self._engine.begin() as connection:
                yield connection
        except (SQLAlchemyError, sqlite3.Error) as exc:
            cause = getattr(exc, "orig", None) or exc
            raise ConfigError(
                f"The protected set {self._path} cannot be used: {cause}.",
                next_step="Check the file's permissions, or restore it from a backup.",
            ) from exc


def _configure(connection: sqlite3.Connection, _: object) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")


def _add_vector(connection: Connection, entry: ProtectedEntry) -> None:
    """Store the vector of an entry that is in the table."""
    if entry.vector is None:
        return
    mine = (_entries.c.list_name == entry.list_name) & (_entries.c.pdq == bytes.fromhex(entry.pdq))
    number = connection.execute(select(_entries.c.number).where(mine)).scalar_one()
    row = {"number": number, "model": entry.vector.model, "vector": entry.vector.values}
    connection.execute(insert(_vectors).prefix_with("OR REPLACE"), row)


def _remove_orphans(connection: Connection) -> None:
    """Remove the vectors of entries that are gone or were replaced."""
    connection.execute(delete(_vectors).where(_vectors.c.number.not_in(select(_entries.c.number))))


def _entry(row: Row[Any]) -> ProtectedEntry:
    return ProtectedEntry(
        list_name=row.list_name,
        label=row.label,
        category=row.category,
        severity=row.severity,
        hard=row.hard,
        pdq=bytes(row.pdq).hex(),
        quality=row.quality,
    )
