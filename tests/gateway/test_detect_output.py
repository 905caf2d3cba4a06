"""Tables of verdicts: they go on where they stopped, hold one row a path, and no cell is a formula."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from gateway.cli.detect_output import COLUMNS, ResultFile, flat
from guard.errors import RequestError


def row(path: str, **more: Any) -> dict[str, Any]:
    return {
        "path": path,
        "verdict": "NO_EVIDENCE",
        "llr_nats": -0.5,
        "generator": None,
        "headline": "No evidence",
        "reasons": [{"evidence_id": "a", "text": "first"}, {"evidence_id": "b", "text": "second"}],
        "sha256": "ab" * 32,
        "media_type": "image/png",
        "width": 10,
        "height": 20,
        **more,
    }


def written(path: Path, rows: list[dict[str, Any]]) -> int:
    with ResultFile.opened(path) as table:
        for item in rows:
            table.add(item)
        return table.close()


def test_rows_survive_a_stop_and_are_not_repeated(tmp_path: Path) -> None:
    path = tmp_path / "v.jsonl"
    assert written(path, [row("a.png"), row("b.png")]) == 2
    with path.open("a") as stream:
        stream.write('{"path": "cut')
    assert set(ResultFile.finished(path)) == {"a.png", "b.png"}


def test_files_with_an_error_are_tried_again_and_then_counted_once(tmp_path: Path) -> None:
    path = tmp_path / "v.csv"
    written(
        path, [{"path": "a.png", "error": "media_undecodable", "reason": "damaged", "next_step": "x"}, row("b.png")]
    )
    assert set(ResultFile.finished(path)) == {"b.png"}
    written(path, [row("a.png"), row("b.png")])
    with path.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert sorted(r["path"] for r in rows) == ["a.png", "b.png"]
    assert {r["error"] for r in rows} == {""}
    assert rows[0]["reasons"] == "first | second"


@pytest.mark.parametrize("name", ["=cmd|' /C calc'!A0.png", "+1.png", "-1.png", "@SUM(A1).png"])
def test_no_cell_of_a_csv_is_a_formula(tmp_path: Path, name: str) -> None:
    written(tmp_path / "v.csv", [row(name)])
    with (tmp_path / "v.csv").open(newline="") as stream:
        cell = next(csv.DictReader(stream))["path"]
    assert cell == f"'{name}"


def test_parquet_keeps_numbers_as_numbers(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "v.parquet"
    written(path, [row(f"{i}.png", generator={"sdxl": 0.7, "unknown": 0.3}) for i in range(1500)])
    table = parquet.read_table(path)
    assert table.column_names == list(COLUMNS)
    assert table.num_rows == 1500
    first = table.slice(0, 1).to_pylist()[0]
    assert (first["llr_nats"], first["width"]) == (-0.5, 10)
    assert json.loads(first["generator"]) == {"sdxl": 0.7, "unknown": 0.3}


def test_an_unknown_ending_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="tables end in"), ResultFile.opened(tmp_path / "v.xlsx"):
        pass


def test_a_flat_row_has_every_column() -> None:
    assert set(flat({"path": "a", "error": "x", "reason": "y"})) == set(COLUMNS)
