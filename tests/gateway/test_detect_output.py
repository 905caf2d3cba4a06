"""Tables of verdicts: they go on where they stopped, hold one row a path, and no cell is a formula."""

import csv
import json
import os
from pathlib import Path
from typing import Any

import pytest

from gateway.cli.detect_output import COLUMNS, Conditions, ResultFile, file_state, flat
from guard.errors import RequestError
from guard.version import __version__


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
    assert flat({"path": "a", "notes": ["One.", "Two."]})["notes"] == "One. | Two."


def conditions(digest: str = "d1", families: tuple[str, ...] | None = None) -> Conditions:
    return Conditions(policy_digest=digest, families=families)


def judged_table(tmp_path: Path, made: Conditions) -> tuple[Path, Path]:
    picture, path = tmp_path / "a.png", tmp_path / "v.csv"
    picture.write_bytes(b"one")
    with ResultFile.opened(path, made) as table:
        table.add(row(str(picture), policy_digest="d1", signet_version=__version__))
        table.close()
    return picture, path


def test_a_row_holds_while_file_policy_and_families_are_the_same(tmp_path: Path) -> None:
    picture, path = judged_table(tmp_path, conditions())
    assert list(ResultFile.finished(path, conditions())) == [str(picture)]
    assert "judged" not in ResultFile.finished(path, conditions())[str(picture)]
    assert not ResultFile.finished(path, conditions("d2"))
    assert not ResultFile.finished(path, conditions(families=("metadata",)))


def test_a_file_that_changed_is_judged_again_and_its_last_row_counts(tmp_path: Path) -> None:
    picture, path = judged_table(tmp_path, conditions())
    picture.write_bytes(b"another")
    assert not ResultFile.finished(path, conditions())
    with ResultFile.opened(path, conditions()) as table:
        table.add(row(str(picture), verdict="LIKELY_AI", policy_digest="d1", signet_version=__version__))
        table.close()
    with path.open(newline="") as stream:
        assert [r["verdict"] for r in csv.DictReader(stream)] == ["LIKELY_AI"]
    assert ResultFile.finished(path, conditions())[str(picture)]["verdict"] == "LIKELY_AI"


def test_a_verdict_on_standard_input_is_never_taken_for_another(tmp_path: Path) -> None:
    path = tmp_path / "v.jsonl"
    for verdict in ("NO_EVIDENCE", "LIKELY_AI"):
        assert not ResultFile.finished(path, conditions())
        with ResultFile.opened(path, conditions()) as table:
            table.add(row("-", verdict=verdict, policy_digest="d1", signet_version=__version__))
            table.close()
    assert [json.loads(line)["verdict"] for line in path.read_text().splitlines()] == ["NO_EVIDENCE", "LIKELY_AI"]


def test_a_file_that_changes_while_it_is_judged_is_judged_again(tmp_path: Path) -> None:
    picture, path = tmp_path / "a.png", tmp_path / "v.jsonl"
    picture.write_bytes(b"one")
    before = Conditions(policy_digest="d1", families=None, states={str(picture): file_state(str(picture))})
    with ResultFile.opened(path, before) as table:
        picture.write_bytes(b"another")
        table.add(row(str(picture), policy_digest="d1", signet_version=__version__))
    assert not ResultFile.finished(path, conditions())


def test_a_file_of_the_same_size_and_time_is_judged_again(tmp_path: Path) -> None:
    picture, path = judged_table(tmp_path, conditions())
    time_ns = picture.stat().st_mtime_ns
    new = tmp_path / "new"
    new.write_bytes(b"two")
    while new.stat().st_ctime_ns == picture.stat().st_ctime_ns:  # within one tick of the file system's clock
        new.write_bytes(b"two")
    os.utime(new, ns=(time_ns, time_ns))
    new.replace(picture)
    assert picture.stat().st_mtime_ns == time_ns
    assert not ResultFile.finished(path, conditions())


def test_other_keys_make_all_rows_anew(tmp_path: Path) -> None:
    _, path = judged_table(tmp_path, conditions())
    assert not ResultFile.finished(path, Conditions(policy_digest="d1", families=None, setup="other keys"))


def test_a_verdict_without_a_detector_that_failed_is_tried_again(tmp_path: Path) -> None:
    picture, path = tmp_path / "a.png", tmp_path / "v.jsonl"
    picture.write_bytes(b"one")
    for complete in (True, False):
        with ResultFile.opened(path, conditions(str(complete))) as table:
            table.add(row(str(picture), policy_digest=str(complete), signet_version=__version__, complete=complete))
        assert len(ResultFile.finished(path, conditions(str(complete)))) == complete


def test_a_row_of_another_version_is_made_again(tmp_path: Path) -> None:
    picture, path = judged_table(tmp_path, conditions())
    with ResultFile.opened(path, conditions()) as table:
        assert table.close() == 1
    text = ResultFile.journal_of(path).read_text().replace(f'"{__version__}"', '"0.0.0"')
    ResultFile.journal_of(path).write_text(text)
    assert str(picture) not in ResultFile.finished(path, conditions())


def test_the_first_row_after_a_cut_line_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "v.jsonl"
    path.write_text('{"path": "cut')
    written(path, [row("a.png"), row("b.png")])
    assert set(ResultFile.finished(path)) == {"a.png", "b.png"}


@pytest.mark.parametrize("ending", ["jsonl", "csv"])
def test_a_file_name_that_is_not_utf8_stops_nothing(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"v.{ending}"
    name = b"bad\xff.jpg".decode(errors="surrogateescape")
    written(path, [row(name), row("after.png")])
    assert set(ResultFile.finished(path)) == {name, "after.png"}
    assert "after.png" in path.read_text(encoding="utf-8")
    assert flat(row(name))["path"] == "bad\\udcff.jpg"


@pytest.mark.parametrize("ending", ["jsonl", "csv"])
def test_a_letter_that_a_crash_cut_in_two_stops_nothing(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"v.{ending}"
    written(path, [row("a.png")])
    with ResultFile.journal_of(path).open("ab") as stream:
        stream.write('{"path": "é'.encode()[:-1])
    written(path, [row("b.png")])
    assert set(ResultFile.finished(path)) == {"a.png", "b.png"}
