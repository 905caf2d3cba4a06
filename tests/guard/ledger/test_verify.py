"""Audits: an intact ledger passes; every kind of tampering with the file is found and the entry is named."""

import re
import shutil
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from guard.errors import KeyMaterialError, LedgerError
from guard.ledger.checkpoint import HeadSigner
from guard.ledger.hash_tree import EMPTY_ROOT, Frontier, leaf_hash
from guard.ledger.image_store import FileImageStore
from guard.ledger.report import LedgerReport
from guard.ledger.verify import verify_ledger
from tests.guard.ledger.samples import (
    ORIGIN,
    OTHER_SEED,
    SEED,
    append_release,
    fill,
    image_id,
    open_ledger,
    refusal,
    registration,
    release,
)

SIZE = 11
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
PUBLIC_KEY = HeadSigner(SEED, origin=ORIGIN).verifier.public_key
OTHER_PUBLIC_KEY = HeadSigner(OTHER_SEED, origin=ORIGIN).verifier.public_key


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("template") / "ledger.sqlite"
    fill(file, SIZE)
    return file


@pytest.fixture
def path(template: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(template, tmp_path))


def tamper(path: Path, *statements: str | tuple[str, tuple[bytes | int, ...]]) -> None:
    """Edit the file as its owner can: drop the triggers, edit, put the triggers back."""
    raw = sqlite3.connect(path, isolation_level=None)
    triggers = raw.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
    for name, _ in triggers:
        raw.execute(f"DROP TRIGGER {name}")
    for statement in statements:
        raw.execute(*((statement,) if isinstance(statement, str) else statement))
    for _, sql in triggers:
        raw.execute(sql)
    raw.close()


def codes(report: LedgerReport) -> set[str]:
    return {problem.code for problem in report.details}


def named(report: LedgerReport) -> set[int]:
    return {problem.entry for problem in report.details if problem.entry is not None}


def test_an_intact_ledger_passes_with_its_root(path: Path) -> None:
    report = verify_ledger(path, public_key=PUBLIC_KEY)
    assert report.ok
    assert report.details == ()
    assert (report.size, report.keys_pinned) == (SIZE, True)
    head = open_ledger(path).verifier.open_note(open_ledger(path).head())
    assert (head.size, head.root.hex()) == (report.size, report.root)


def test_an_empty_ledger_passes(tmp_path: Path) -> None:
    fill(tmp_path / "empty.sqlite", 0)
    report = verify_ledger(tmp_path / "empty.sqlite")
    assert (report.ok, report.size, report.root, report.keys_pinned) == (True, 0, EMPTY_ROOT.hex(), False)


def test_batches_join_without_a_seam(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path / "long.sqlite", 20)
    whole = verify_ledger(tmp_path / "long.sqlite")
    monkeypatch.setattr("guard.ledger.verify.BATCH", 3)
    assert verify_ledger(tmp_path / "long.sqlite") == whole
    assert whole.ok
    tamper(tmp_path / "long.sqlite", "DELETE FROM registrations WHERE idx = 7")
    assert named(verify_ledger(tmp_path / "long.sqlite")) == {7}


@pytest.mark.parametrize(
    ("statement", "code", "entry"),
    [
        (
            "UPDATE entries SET body = CAST(replace(body, 'default', 'another') AS BLOB) WHERE idx = 4",
            "leaf_mismatch",
            4,
        ),
        ("UPDATE entries SET body = x'7b7d' WHERE idx = 4", "entry_malformed", 4),
        (
            "UPDATE entries SET body = CAST(replace(body, '\"v\":1', '\"v\": 1') AS BLOB) WHERE idx = 4",
            "entry_malformed",
            4,
        ),
        ("UPDATE entries SET body = x'ff' WHERE idx = 4", "entry_malformed", 4),
        ("UPDATE entries SET kind = 'failure' WHERE idx = 2", "entry_columns", 2),
        ("UPDATE entries SET image_id = NULL WHERE idx = 3", "entry_columns", 3),
        ("DELETE FROM entries WHERE idx = 5", "entry_missing", 6),
        ("UPDATE nodes SET hash = zeroblob(32) WHERE level = 0 AND idx = 4", "leaf_mismatch", 4),
        ("UPDATE nodes SET hash = zeroblob(32) WHERE level = 2 AND idx = 1", "node_mismatch", None),
        ("DELETE FROM nodes WHERE level = 1 AND idx = 0", "node_mismatch", None),
        ("INSERT INTO nodes VALUES (40, 0, zeroblob(32))", "row_count", None),
        ("UPDATE heads SET root = zeroblob(32) WHERE size = 5", "head_signature", 4),
        ("UPDATE heads SET signature = zeroblob(64) WHERE size = 5", "head_signature", 4),
        ("DELETE FROM heads WHERE size = 5", "head_missing", 4),
        ("DELETE FROM heads WHERE size = 0", "head_missing", None),
        ("UPDATE heads SET key_id = '00000000' WHERE size = 5", "head_key", 4),
        ("UPDATE registrations SET sha256 = 'ab' WHERE idx = 4", "registration_mismatch", 4),
        ("UPDATE registrations SET manifest = x'00' WHERE idx = 4", "registration_mismatch", 4),
        ("UPDATE registrations SET tenant = 'other' WHERE idx = 4", "registration_mismatch", 4),
        ("UPDATE registrations SET pdq = zeroblob(32) WHERE idx = 4", "registration_mismatch", 4),
        ("UPDATE registrations SET thumbnail = 'swapped' WHERE idx = 4", "registration_mismatch", 4),
        ("DELETE FROM registrations WHERE idx = 4", "registration_missing", 4),
        ("DELETE FROM meta", "origin", None),
    ],
)
def test_tampering_is_found_and_the_entry_named(path: Path, statement: str, code: str, entry: int | None) -> None:
    tamper(path, statement)
    report = verify_ledger(path, public_key=PUBLIC_KEY)
    assert not report.ok
    assert code in codes(report)
    if entry is not None:
        assert entry in {problem.entry for problem in report.details if problem.code == code}


def test_a_registration_beside_a_refusal_is_found(path: Path) -> None:
    tamper(path, "UPDATE registrations SET idx = 2 WHERE idx = 4")
    assert {"registration_extra", "registration_missing"} <= codes(verify_ledger(path))


def rebuild_hashes(path: Path, index: int) -> None:
    """A thorough forger: change an entry and recompute every hash and root above it; only signatures are beyond him."""
    raw = sqlite3.connect(path)
    bodies = [row[0] for row in raw.execute("SELECT body FROM entries ORDER BY idx")]
    raw.close()
    bodies[index] = bodies[index].replace(b'"default"', b'"another"')
    frontier = Frontier()
    statements: list[tuple[str, tuple[bytes | int, ...]]] = [
        ("UPDATE entries SET body = ? WHERE idx = ?", (bodies[index], index))
    ]
    for body in bodies:
        for level, idx, digest in frontier.add(leaf_hash(body)):
            statements.append(("UPDATE nodes SET hash = ? WHERE level = ? AND idx = ?", (digest, level, idx)))
        statements.append(("UPDATE heads SET root = ? WHERE size = ?", (frontier.root(), frontier.size)))
    tamper(path, *statements)


@pytest.mark.parametrize("index", [0, 5, SIZE - 1])
def test_a_forger_without_the_key_is_found_at_the_first_changed_entry(path: Path, index: int) -> None:
    rebuild_hashes(path, index)
    report = verify_ledger(path)
    assert codes(report) == {"head_signature"}
    assert min(named(report)) == index


def cut(path: Path, size: int) -> None:
    """Take the newest entries away and everything that belongs to them."""
    tamper(
        path,
        ("DELETE FROM registrations WHERE idx >= ?", (size,)),
        ("DELETE FROM entries WHERE idx >= ?", (size,)),
        ("DELETE FROM nodes WHERE idx >= ? >> level", (size,)),
        ("DELETE FROM heads WHERE size > ?", (size,)),
    )


def test_a_cut_ledger_agrees_with_itself_but_not_with_a_published_head(path: Path) -> None:
    published = open_ledger(path).head()
    cut(path, 7)
    assert verify_ledger(path).ok
    report = verify_ledger(path, published_heads=[published])
    assert codes(report) == {"history_cut"}


def test_a_history_written_anew_with_the_key_is_found_by_a_published_head(path: Path, tmp_path: Path) -> None:
    published = open_ledger(path).head()
    other = open_ledger(tmp_path / "anew.sqlite")
    for number in range(SIZE + 2):
        other.append(refusal(number))
    assert verify_ledger(tmp_path / "anew.sqlite").ok
    assert codes(verify_ledger(tmp_path / "anew.sqlite", published_heads=[published])) == {"history_rewritten"}
    assert codes(verify_ledger(path, published_heads=["nonsense"])) == {"published_head"}
    append_release(open_ledger(path), 50)
    assert verify_ledger(path, published_heads=[published]).ok


def test_keys_that_were_not_given_are_found(path: Path) -> None:
    report = verify_ledger(path, public_key=OTHER_PUBLIC_KEY)
    assert {"unknown_key", "head_key"} <= codes(report)
    rotated = open_ledger(path, seed=OTHER_SEED)
    rotated.append(refusal(77))
    assert codes(verify_ledger(path, public_key=PUBLIC_KEY)) == {"unknown_key", "head_key"}
    assert verify_ledger(path, public_key=[PUBLIC_KEY, OTHER_PUBLIC_KEY]).ok
    with pytest.raises(KeyMaterialError):
        verify_ledger(path, public_key=b"short")


def test_dropped_triggers_are_found(path: Path) -> None:
    raw = sqlite3.connect(path)
    raw.execute("DROP TRIGGER entries_no_update")
    raw.close()
    report = verify_ledger(path)
    assert codes(report) == {"triggers_missing"}
    assert "entries_no_update" in report.problems[0]


def test_damaged_pages_are_found(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[4096 * 3 : -4096] = bytes(len(data) - 4096 * 4)
    path.write_bytes(bytes(data))
    report = verify_ledger(path)
    assert not report.ok
    assert codes(report) & {"database_damaged", "unreadable"}


def test_a_file_that_is_no_ledger(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("plain text " * 50)
    assert codes(verify_ledger(tmp_path / "text")) == {"unreadable"}
    with pytest.raises(LedgerError, match="no such file"):
        verify_ledger(tmp_path / "nowhere")


def test_many_problems_are_counted_but_not_all_listed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("guard.ledger.report.MAX_PROBLEMS", 4)
    tamper(path, "UPDATE heads SET signature = zeroblob(64)")
    report = verify_ledger(path)
    assert len(report.problems) == 5
    assert report.problems[-1] == f"{SIZE + 1 - 4} more problems are not listed [more]"


def store_and_record(tmp_path: Path, count: int) -> FileImageStore:
    images, ledger = FileImageStore(tmp_path / "images"), open_ledger(tmp_path / "with-images.sqlite")
    for number in range(count):
        data = b"pixels %d" % number
        row = registration(number, data=data)
        images.put(row.image_id, data, media_type=row.media_type)
        ledger.append(release(number, row), registration=row)
    ledger.close()
    return images


def test_every_release_needs_its_bytes_or_a_deletion(tmp_path: Path) -> None:
    images = store_and_record(tmp_path, 4)
    audit: Callable[[], LedgerReport] = lambda: verify_ledger(  # noqa: E731
        tmp_path / "with-images.sqlite", images=images, hash_images=True
    )
    assert audit().ok
    images.delete(image_id(1), reason="retention", at=NOON)
    assert audit().ok
    files = {path.stem: path for path in (tmp_path / "images").rglob("*.png")}
    files[image_id(2)].unlink()
    files[image_id(3)].write_bytes(b"other")
    report = audit()
    assert [(problem.code, problem.entry) for problem in report.details] == [
        ("image_missing", 2),
        ("image_changed", 3),
    ]
    without_reading = verify_ledger(tmp_path / "with-images.sqlite", images=images)
    assert codes(without_reading) == {"image_missing"}


def test_an_audit_beside_a_writer_sees_one_snapshot(path: Path) -> None:
    writer = open_ledger(path)
    writer.append(refusal(500))
    report = verify_ledger(path)  # the WAL is not folded in: the writer is still open
    assert (report.ok, report.size) == (True, SIZE + 1)
    writer.close()


def test_every_problem_code_is_documented() -> None:
    root = Path(__file__).resolve().parents[3]
    sources = [(root / "guard" / "ledger" / name).read_text() for name in ("verify.py", "export.py", "report.py")]
    used = set(re.findall(r'\.add\(\s*"([a-z_]+)"', "\n".join(sources))) | {"more", "leaf_mismatch", "node_mismatch"}
    used |= {"registration_missing", "registration_extra"}
    section = (root / "docs" / "ledger.md").read_text().split("## Audit problems")[1].split("\n## ")[0]
    documented = set(re.findall(r"`([a-z_]+)`", section))
    assert used == documented
