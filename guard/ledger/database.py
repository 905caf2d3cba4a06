"""Opening a ledger file: SQLite settings that survive a crash, one writer at a time, errors as LedgerError.

WAL keeps readers and the writer apart; ``synchronous=FULL`` makes a commit durable before it returns;
``BEGIN IMMEDIATE`` takes the write lock before anything is read, so two writers never compute the same next index.
A ``Database`` belongs to one process: after a fork, open the file again (sqlite.org/howtocorrupt, section 2.6).
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from sqlalchemy import Connection, create_engine, event
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import QueuePool

from guard.errors import LedgerError
from guard.ledger.tables import APPLICATION_ID, SCHEMA_VERSION, image_codes, metadata, trigger_statements

BUSY_TIMEOUT_S = 30.0
"""How long a writer waits for another process's transaction; an append holds the lock for some 4 ms (measured)."""
_PRAGMAS = (
    "PRAGMA synchronous = FULL",
    "PRAGMA fullfsync = ON",  # macOS: fsync alone does not reach the disk
    "PRAGMA foreign_keys = ON",
    "PRAGMA recursive_triggers = ON",  # so that REPLACE fires the delete triggers
    "PRAGMA trusted_schema = OFF",
    "PRAGMA secure_delete = ON",  # an erased thumbnail is overwritten, not just unlinked
)


class Database:
    """Connections to one ledger file."""

    def __init__(
        self,
        path: Path,
        *,
        prepare: Callable[[Connection], None] | None = None,
        busy_timeout_s: float = BUSY_TIMEOUT_S,
    ) -> None:
        """Open the file.

        Args:
            path: the file.
            prepare: None opens read-only. Otherwise the file is created where there is none, and this is called in
                the transaction that creates the tables (or finds them), so that there never is half a ledger.
            busy_timeout_s: how long to wait for another process's transaction.

        Raises:
            LedgerError: cannot be opened, is not a ledger, or is of a newer format.
        """
        self.path = path
        self._read_only = prepare is None
        self._process = os.getpid()
        self._busy_timeout_s = busy_timeout_s
        self._writing = threading.Lock()
        if prepare is None and not path.is_file():
            raise LedgerError(f"Ledger {path}: no such file.", next_step="Check the path of the ledger.")
        self._engine = create_engine("sqlite://", creator=self._connect, poolclass=QueuePool, pool_size=4)
        event.listen(self._engine, "begin", _begin)
        try:
            with self._wrapped("open"):
                self._open(prepare)
        except BaseException:
            self.close()
            raise

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        """Give a connection inside a read transaction: one consistent snapshot.

        Raises:
            LedgerError: SQLite failed.
        """
        with self._wrapped("read"), self._engine.connect() as connection:
            yield connection

    @contextlib.contextmanager
    def write(self) -> Iterator[Connection]:
        """Give a connection inside the only write transaction; commits at the end, rolls back on any error.

        Raises:
            LedgerError: SQLite failed, or the lock was not free in time.
        """
        with self._writing, self._wrapped("write"), self._engine.connect() as connection:
            writer = connection.execution_options(signet_write=True)
            with writer.begin():
                yield writer

    def clear_journal(self) -> None:
        """Fold the WAL back into the file and empty it.

        Raises:
            LedgerError: SQLite failed, or other processes read for too long.
        """
        with self._writing, self._wrapped("clear the journal"):
            connection = self._connect()
            try:
                if connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
                    raise LedgerError(
                        f"Ledger {self.path}: other readers kept its journal, which may hold erased thumbnails.",
                        next_step="Run the command again.",
                    )
            finally:
                connection.close()

    def close(self) -> None:
        """Close all connections; the last one folds the WAL back into the file."""
        self._engine.dispose()

    @contextlib.contextmanager
    def _wrapped(self, what: str) -> Iterator[None]:
        """Turn every SQLite and SQLAlchemy error into LedgerError."""
        if os.getpid() != self._process:
            raise LedgerError(
                f"Ledger {self.path}: it was opened by process {self._process} and is used by {os.getpid()}.",
                next_step="Open the ledger after the fork, once in each process.",
            )
        try:
            yield
        except (SQLAlchemyError, sqlite3.Error) as exc:
            cause = getattr(exc, "orig", None) or exc
            raise LedgerError(f"Ledger {self.path}: could not {what}: {cause}.") from exc

    def _connect(self) -> sqlite3.Connection:
        """Open one connection with our settings; transactions are begun by us, not by the driver."""
        mode = "ro" if self._read_only else "rwc"
        connection = sqlite3.connect(
            f"{self.path.absolute().as_uri()}?mode={mode}",
            uri=True,
            isolation_level=None,
            timeout=self._busy_timeout_s,
            check_same_thread=False,
        )
        try:
            if not self._read_only:
                self._enter_wal(connection)
            for pragma in _PRAGMAS:
                connection.execute(pragma)
        except BaseException:
            connection.close()
            raise
        return connection

    def _enter_wal(self, connection: sqlite3.Connection) -> None:
        """Switch to WAL; SQLite does not wait for the lock here when two processes create the file together."""
        deadline = time.monotonic() + self._busy_timeout_s
        while True:
            try:
                mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
            except sqlite3.OperationalError as exc:
                if exc.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
            else:
                break
        if mode != "wal":
            raise LedgerError(
                f"Ledger {self.path}: journal mode is {mode}, expected wal.",
                next_step="Put the ledger on a local file system.",
            )

    def _open(self, prepare: Callable[[Connection], None] | None) -> None:
        """Check the file, or create it, and let ``prepare`` add what every ledger has."""
        if prepare is None:
            with self._engine.connect() as connection:
                self._check_format(connection)
        else:
            with self.write() as connection:
                self._create(connection)
                prepare(connection)

    def _create(self, connection: Connection) -> None:
        """Create the tables, or check that what is there is ours."""
        version = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
        names = connection.exec_driver_sql("SELECT count(*) FROM sqlite_master").scalar_one()
        if version or names:
            self._check_format(connection)
            image_codes.create(connection, checkfirst=True)  # files made before it existed
            return
        metadata.create_all(connection, checkfirst=False)
        for statement in trigger_statements():
            connection.exec_driver_sql(statement)
        connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.exec_driver_sql(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def _check_format(self, connection: Connection) -> None:
        """Refuse other databases and other versions."""
        application = connection.exec_driver_sql("PRAGMA application_id").scalar_one()
        version = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
        if (application, version) != (APPLICATION_ID, SCHEMA_VERSION):
            raise LedgerError(
                f"Ledger {self.path}: got application id {application:#x} version {version}, "
                f"expected {APPLICATION_ID:#x} version {SCHEMA_VERSION}.",
                next_step="Point the ledger setting at a ledger file, or upgrade Signet.",
            )


def _begin(connection: Connection) -> None:
    """Begin as a writer or as a reader."""
    writes = connection.get_execution_options().get("signet_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
