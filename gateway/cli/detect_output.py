"""Tables of verdicts: JSON lines as they come, CSV and Parquet at the end from a journal that survives a stop."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from guard.errors import ConfigError, RequestError

Row = dict[str, Any]
COLUMNS = (
    "path", "verdict", "llr_nats", "generator", "headline", "reasons", "sha256", "media_type", "width", "height",
    "policy_id", "policy_digest", "signet_version", "duplicate_of", "error", "reason",
)  # fmt: skip
"""Columns of the flat tables; the JSON lines hold everything."""
_SUFFIXES = (".jsonl", ".csv", ".parquet")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""First characters that make a spreadsheet run a cell. Source: OWASP, CSV injection."""


class ResultFile:
    """Where rows go; ``None`` as path keeps nothing."""

    def __init__(self, path: Path | None, journal: TextIO | None) -> None:
        self._path = path
        self._journal = journal
        self._known = set(self.finished(path))
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
    def finished(cls, path: Path | None) -> dict[str, Row]:
        """Return the rows of an earlier run by path, without those that had an error; they are tried again."""
        if path is None or not cls.journal_of(path).exists():
            return {}
        found = {}
        for line in cls.journal_of(path).read_text(encoding="utf-8").splitlines():
            try:
                row = json.loads(line)
            except ValueError:  # the last line of a run that was killed may be cut
                continue
            if isinstance(row, dict) and "error" not in row and "path" in row:
                found[row["path"]] = row
        return found

    @classmethod
    @contextmanager
    def opened(cls, path: Path | None) -> Iterator[ResultFile]:
        """Open the table for adding.

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
                yield cls(path, journal)
        except OSError as exc:
            raise RequestError(
                f"{path} cannot be written: {exc.strerror}.", next_step="Choose another folder."
            ) from exc

    def add(self, row: Row) -> None:
        """Keep one row; a row of an earlier run is there already."""
        if self._journal is None or row["path"] in self._known:
            return
        self._journal.write(json.dumps(row, ensure_ascii=False) + "\n")
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
        with lines.open(encoding="utf-8") as stream:
            for number, line in enumerate(stream):
                found = _parsed(line)
                if found:
                    last[found["path"]] = number
        with lines.open(encoding="utf-8") as stream:
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
    found = {name: row.get(name) for name in COLUMNS}
    found["reasons"] = " | ".join(part["text"] for part in row.get("reasons", ())) or None
    found["generator"] = json.dumps(row["generator"]) if row.get("generator") else None
    return found


def _inert(value: str | float | int | None) -> str | float | int | None:
    """Return text that no spreadsheet takes for a formula: file names and metadata are untrusted."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


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
