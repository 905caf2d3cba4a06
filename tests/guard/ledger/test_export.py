"""Exports: complete, verifiable with a key alone, and every changed line is named."""

import json
import shutil
from pathlib import Path

import pytest

from guard.errors import LedgerError
from guard.ledger.checkpoint import HeadSigner
from guard.ledger.export import export_ledger, verify_export
from guard.ledger.report import LedgerReport
from guard.ledger.verify import verify_ledger
from tests.guard.ledger.samples import ORIGIN, OTHER_SEED, SEED, append_release, fill, open_ledger, refusal

SIZE = 9
PUBLIC_KEY = HeadSigner(SEED, origin=ORIGIN).verifier.public_key
OTHER_PUBLIC_KEY = HeadSigner(OTHER_SEED, origin=ORIGIN).verifier.public_key


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("template") / "ledger.sqlite"
    fill(file, SIZE)
    return file


@pytest.fixture
def ledger(template: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(template, tmp_path))


@pytest.fixture
def export(ledger: Path, tmp_path: Path) -> Path:
    assert export_ledger(ledger, tmp_path / "ledger.jsonl") == SIZE
    return tmp_path / "ledger.jsonl"


def found(report: LedgerReport) -> list[tuple[str, int | None]]:
    return [(problem.code, problem.entry) for problem in report.details]


def test_an_export_verifies_alone_and_has_the_ledgers_root(ledger: Path, export: Path) -> None:
    report = verify_export(export, public_key=PUBLIC_KEY)
    assert (report.ok, report.size, report.keys_pinned) == (True, SIZE, True)
    assert report.root == verify_ledger(ledger).root
    assert verify_export(export).keys_pinned is False
    assert len(export.read_text().splitlines()) == SIZE + 1
    assert list(export.parent.glob(".tmp-*")) == []


def test_the_export_holds_every_entry_as_json(export: Path) -> None:
    lines = [json.loads(line) for line in export.read_text().splitlines()]
    assert lines[0]["size"] == SIZE
    assert [line["entry"]["kind"] for line in lines[1:4]] == ["release", "release", "refusal"]


@pytest.mark.parametrize("index", [0, 3, SIZE - 1])
def test_a_changed_entry_is_named(export: Path, index: int) -> None:
    lines = export.read_bytes().splitlines()
    lines[index + 1] = lines[index + 1].replace(b'"default"', b'"another"')
    export.write_bytes(b"\n".join(lines) + b"\n")
    assert found(verify_export(export)) == [("head_signature", index), ("root_mismatch", None)]


def test_dropped_added_moved_and_broken_lines_are_named(export: Path) -> None:
    lines = export.read_bytes().splitlines()
    size, root = ("size_mismatch", None), ("root_mismatch", None)
    spaced = lines[3].replace(b":", b": ", 1)
    cases = {
        "dropped": ([*lines[:4], *lines[5:]], [("head_signature", 3), size, root]),
        "cut": (lines[:-1], [size, root]),
        "doubled": ([*lines[:4], lines[3], *lines[4:]], [("head_signature", 3), size, root]),
        "swapped": ([*lines[:3], lines[4], lines[3], *lines[5:]], [("head_signature", 2), root]),
        "broken": ([*lines[:3], b"{", *lines[4:]], [("entry_malformed", 2), ("head_signature", 2), root]),
        "spaced": ([*lines[:3], spaced, *lines[4:]], [("entry_malformed", 2), ("head_signature", 2), root]),
    }
    for name, (changed, expected) in cases.items():
        export.write_bytes(b"\n".join(changed) + b"\n")
        assert found(verify_export(export)) == expected, name


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"[]",
        b"{}",
        b"nonsense",
        b'{"format":"other","v":1}',
        b'{"format":"signet-ledger-export","head":"","keys":[],"origin":"a","size":0,"v":1}',
    ],
)
def test_a_file_that_is_no_export(tmp_path: Path, header: bytes) -> None:
    (tmp_path / "file").write_bytes(header + b"\n")
    report = verify_export(tmp_path / "file")
    assert [problem.code for problem in report.details] == ["header"]


def test_an_unreadable_path_is_an_error(tmp_path: Path, ledger: Path) -> None:
    with pytest.raises(LedgerError, match="cannot be read"):
        verify_export(tmp_path / "nowhere")
    with pytest.raises(LedgerError, match="could not write"):
        export_ledger(ledger, tmp_path / "no" / "folder" / "export")


def test_a_foreign_key_is_found(export: Path) -> None:
    assert found(verify_export(export, public_key=OTHER_PUBLIC_KEY)) == [("unknown_key", None)]


def test_rotated_keys_sign_their_own_stretch(ledger: Path, tmp_path: Path) -> None:
    rotated = open_ledger(ledger, seed=OTHER_SEED)
    rotated.append(refusal(100))
    rotated.close()
    export_ledger(ledger, tmp_path / "rotated.jsonl")
    assert verify_export(tmp_path / "rotated.jsonl", public_key=[PUBLIC_KEY, OTHER_PUBLIC_KEY]).ok
    assert found(verify_export(tmp_path / "rotated.jsonl", public_key=PUBLIC_KEY)) == [("unknown_key", None)]


def test_an_old_export_verifies_but_does_not_meet_a_newer_head(ledger: Path, export: Path) -> None:
    newer = open_ledger(ledger)
    append_release(newer, 200)
    head = newer.head()
    newer.close()
    assert found(verify_export(export, published_heads=[head])) == [("history_cut", None)]


def test_an_empty_ledger_exports(tmp_path: Path) -> None:
    fill(tmp_path / "empty.sqlite", 0)
    assert export_ledger(tmp_path / "empty.sqlite", tmp_path / "empty.jsonl") == 0
    assert verify_export(tmp_path / "empty.jsonl", public_key=PUBLIC_KEY).ok
