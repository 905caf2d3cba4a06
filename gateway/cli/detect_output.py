"""Tables of verdicts: JSON lines as they come, CSV and Parquet at the end from a journal that survives a stop."""

from __future__ import annotations

import csv
import json
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from gateway.cli.output import json_line
from guard.errors import ConfigError, RequestError
from guard.version import __version__

Row = dict[str, Any]
COLUMNS = (
    "path", "verdict", "llr_nats", "generator", "headline", "reasons", "sha256", "media_type", "width", "height",
    "notes", "policy_id", "policy_digest", "signet_version", "duplicate_of", "error", "reason",
)  # fmt: skip
"""Columns of the flat tables; the JSON lines hold everything."""
_SUFFIXES = (".jsonl", ".csv", ".parquet")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""First characters that make a spreadsheet run a cell. Source: OWASP, CSV injection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """What a run judges by; rows of a run under other conditions are made anew.

    Attributes:
        policy_digest: of the detection policy.
        families: chosen families, sorted, or None for all.
        setup: digest of what else verdicts rest on: keys, trust lists, versions of the detectors.
        states: ``file_state`` of the files by path, from before any was opened: one that changes while the run goes on
            is judged again by the next.
    """

    policy_digest: str
    families: tuple[str, ...] | None
    setup: str = ""
    states: Mapping[str, FileState | None] = field(default_factory=dict)

    def made(self, row: Row) -> bool:
        """Return whether a row of an earlier run is complete, made under these conditions, and of the file as it is."""
        stamp = self.stamp(row["path"])
        expected = (self.policy_digest, __version__, stamp)
        same = (row.get("policy_digest"), row.get("signet_version"), row.get("judged")) == expected
        return same and stamp is not None and row.get("complete", True) is True

    def stamp(self, path: str) -> Row | None:
        """Return what is kept beside a row to know later whether it still holds; None where there is no file."""
        state = self.states[path] if path in self.states else file_state(path)
        families = None if self.families is None else list(self.families)
        return None if state is None else {"families": families, "setup": self.setup, "file": list(state)}


FileState = tuple[int, int, int]
"""Bytes, and when the content and the entry were last changed, in ns; unpacking an archive sets the former at will."""


def file_state(path: str) -> FileState | None:
    """Return what changes when a file does; None where there is none to come back to, such as standard input."""
    try:
        found = Path(path).stat()
    except OSError:
        return None
    if path == "-" or not stat.S_ISREG(found.st_mode):
        return None
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns


class ResultFile:
    """Where rows go; ``None`` as path keeps nothing."""

    def __init__(self, path: Path | None, journal: TextIO | None, conditions: Conditions | None = None) -> None:
        self._path = path
        self._journal = journal
        self._conditions = conditions
        self._known = set(self.finished(path, conditions))
        self._rows = len(self._known)

    @staticmethod
    def journal_of(path: Path) -> Path:
        """Return the JSON lines behind a table; the table itself when it is JSON lines.

        Raises:
            RequestError: an ending that is not known.
        """
        if path.suffix not in _SUFFIXES:
            raise RequestError(
                f"{path.name}: tables end in {', '.join(_SUFFIXES)}.", next_step="Choose one of these endings."
            )
        return path if path.suffix == ".jsonl" else path.with_name(path.name + ".journal.jsonl")

    @classmethod
    def finished(cls, path: Path | None, conditions: Conditions | None = None) -> dict[str, Row]:
        """Return the rows of earlier runs by path that need not be made again.

        Files that had an error are tried again. With ``conditions``, so are files of which a detector failed and files
        that changed since, and all files when the policy, the families, the setup or the version of this program did.
        """
        if path is None or not cls.journal_of(path).exists():
            return {}
        found: dict[str, Row] = {}
        with _reading(cls.journal_of(path)) as stream:
            for row in filter(None, map(_parsed, stream)):  # the last line of a run that was killed may be cut
                if "error" not in row and (conditions is None or conditions.made(row)):
                    found[row["path"]] = {key: value for key, value in row.items() if key != "judged"}
                else:
                    found.pop(row["path"], None)
        return found

    @classmethod
    @contextmanager
    def opened(cls, path: Path | None, conditions: Conditions | None = None) -> Iterator[ResultFile]:
        """Open the table for adding; a cut last line of a run that was killed is closed first.

        Raises:
            ConfigError: Parquet without pyarrow.
            RequestError: a bad ending, or the folder cannot be written.
        """
        if path is None:
            yield cls(None, None)
            return
        if path.suffix == ".parquet":
            _parquet()
        try:
            with cls.journal_of(path).open("a", encoding="utf-8") as journal:
                if _cut(cls.journal_of(path)):
                    journal.write("\n")
                yield cls(path, journal, conditions)
        except OSError as exc:
            raise RequestError(
                f"{path} cannot be written: {exc.strerror}.", next_step="Choose another folder."
            ) from exc

    def add(self, row: Row) -> None:
        """Keep one row; a row of an earlier run is there already."""
        if self._journal is None or row["path"] in self._known:
            return
        if self._conditions is not None and "error" not in row:
            row = {**row, "judged": self._conditions.stamp(row["path"])}
        self._journal.write(json_line(row))
        self._journal.flush()
        self._rows += 1

    def close(self) -> int:
        """Write the table from its journal, one row a path, and return the number of rows added in all runs."""
        if self._path is None or self._journal is None:
            return 0
        self._journal.flush()
        if self._path.suffix == ".csv":
            self._write_csv(self._path)
        elif self._path.suffix == ".parquet":
            self._write_parquet(self._path)
        return self._rows

    def _flat_rows(self, path: Path) -> Iterator[dict[str, str | float | int | None]]:
        """Yield the last row of every path, flat, reading the journal twice instead of holding it."""
        lines = self.journal_of(path)
        last: dict[str, int] = {}
        with _reading(lines) as stream:
            for number, line in enumerate(stream):
                found = _parsed(line)
                if found:
                    last[found["path"]] = number
        with _reading(lines) as stream:
            for number, line in enumerate(stream):
                found = _parsed(line)
                if found and last[found["path"]] == number:
                    yield flat(found)

    def _write_csv(self, path: Path) -> None:
        with path.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, COLUMNS)
            writer.writeheader()
            for row in self._flat_rows(path):
                writer.writerow({key: _inert(value) for key, value in row.items()})

    def _write_parquet(self, path: Path) -> None:
        pyarrow, parquet = _parquet()
        numbers = {"llr_nats": pyarrow.float64(), "width": pyarrow.int32(), "height": pyarrow.int32()}
        schema = pyarrow.schema([(name, numbers.get(name, pyarrow.string())) for name in COLUMNS])
        with parquet.ParquetWriter(path, schema) as writer:
            block: list[dict[str, Any]] = []
            for row in self._flat_rows(path):
                block.append(row)
                if len(block) == 1000:
                    writer.write_table(pyarrow.Table.from_pylist(block, schema=schema))
                    block = []
            if block:
                writer.write_table(pyarrow.Table.from_pylist(block, schema=schema))


def flat(row: Row) -> dict[str, str | float | int | None]:
    """Return a row with one value a column: reasons joined, generator as JSON."""
    found = {name: _encodable(row.get(name)) for name in COLUMNS}
    found["reasons"] = " | ".join(part["text"] for part in row.get("reasons", ())) or None
    found["notes"] = " | ".join(row.get("notes", ())) or None
    found["generator"] = json.dumps(row["generator"]) if row.get("generator") else None
    return found


def _encodable(value: Any) -> Any:
    """Return text with the undecodable bytes of a file name as escapes; tables hold UTF-8 only."""
    return value.encode(errors="backslashreplace").decode() if isinstance(value, str) else value


def _inert(value: str | float | int | None) -> str | float | int | None:
    """Return text that no spreadsheet takes for a formula: file names and metadata are untrusted."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _reading(journal: Path) -> TextIO:
    """Open a journal; a letter that a crash cut in two spoils its own line only, which is no JSON anyway."""
    return journal.open(encoding="utf-8", errors="replace", newline="\n")


def _cut(journal: Path) -> bool:
    """Return whether the last line of a journal has no end."""
    with journal.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(size - 1, 0))
        return stream.read(1) not in (b"", b"\n")


def _parsed(line: str) -> Row | None:
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) and "path" in row else None


def _parquet() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet as parquet
    except ImportError as exc:
        raise ConfigError("Parquet tables need pyarrow.", next_step='pip install "signet-gateway[tables]"') from exc
    return pyarrow, parquet
