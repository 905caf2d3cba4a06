"""The ledger store: receipts, proofs, look-ups, refusals of what does not fit, concurrency."""

import os
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import event

from guard.errors import LedgerError, LedgerProofError
from guard.ledger.checkpoint import HeadVerifier
from guard.ledger.hash_tree import Frontier, leaf_hash
from guard.ledger.proofs import EntryProof, verify_consistency_proof, verify_entry_proof
from guard.ledger.sqlite_store import SQLiteLedger
from guard.records import ImageID
from tests.fakes import FixedClock
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


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite"


@pytest.fixture
def ledger(path: Path) -> SQLiteLedger:
    return open_ledger(path)


def test_receipts_follow_one_another_and_outlive_the_process(ledger: SQLiteLedger, path: Path) -> None:
    row = registration(0)
    first = ledger.append(release(0, row), registration=row)
    ledger.close()
    reopened = open_ledger(path)
    second = reopened.append(refusal(1))
    assert (first.index, first.tree_size, second.index, second.tree_size) == (0, 1, 1, 2)
    assert first.root_hash == first.leaf_hash
    assert second.root_hash != second.leaf_hash
    assert reopened.size() == 2


def test_the_proof_of_an_image_verifies_with_the_public_key_alone(ledger: SQLiteLedger) -> None:
    for number in range(7):
        append_release(ledger, number)
    verifier = HeadVerifier(ledger.verifier.origin, ledger.verifier.public_key)
    for number in range(7):
        proof = ledger.proof(image_id(number))
        assert proof is not None
        handed_out = EntryProof.from_json(proof.to_json())
        head = verify_entry_proof(handed_out, verifier)
        assert (head.size, handed_out.index, handed_out.body["image_id"]) == (7, number, image_id(number))
    assert ledger.proof(image_id(99)) is None


@pytest.mark.parametrize("part", ["entry", "index", "path", "head", "size"])
def test_a_changed_proof_does_not_verify(ledger: SQLiteLedger, part: str) -> None:
    for number in range(5):
        append_release(ledger, number)
    proof = ledger.proof(image_id(2))
    assert proof is not None
    changed = {
        "entry": replace(proof, entry=proof.entry.replace('"width":64', '"width":65')),
        "index": replace(proof, index=3),
        "path": replace(proof, path=proof.path[::-1]),
        "head": replace(proof, head=proof.head.replace("example.org", "example.com")),
        "size": replace(proof, head=proof.head.replace("\n5\n", "\n6\n")),
    }[part]
    assert changed != proof
    with pytest.raises(LedgerProofError):
        verify_entry_proof(changed, ledger.verifier)


def test_a_proof_under_another_key_does_not_verify(ledger: SQLiteLedger, tmp_path: Path) -> None:
    append_release(ledger, 1)
    proof = ledger.proof(image_id(1))
    assert proof is not None
    with pytest.raises(LedgerProofError, match="no signature"):
        verify_entry_proof(proof, open_ledger(tmp_path / "other.sqlite", seed=OTHER_SEED).verifier)


def test_growth_is_provably_append_only(ledger: SQLiteLedger) -> None:
    for number in range(6):
        ledger.append(refusal(number))
    for old_size in range(7):
        proof = ledger.consistency(old_size)
        assert verify_consistency_proof(proof, ledger.verifier).size == 6
    assert ledger.consistency(3).new_head == ledger.head()
    with pytest.raises(LedgerError, match=r"expected 0\.\.6"):
        ledger.consistency(7)


def test_a_second_release_of_an_id_is_refused_and_leaves_nothing(ledger: SQLiteLedger) -> None:
    append_release(ledger, 1)
    row = replace(registration(2), image_id=image_id(1))
    with pytest.raises(LedgerError, match="already released"):
        ledger.append(release(2, row), registration=row)
    assert ledger.size() == 1
    append_release(ledger, 3)
    assert ledger.size() == 2


def test_a_release_comes_with_exactly_the_registration_that_it_binds(ledger: SQLiteLedger) -> None:
    row = registration(1)
    with pytest.raises(LedgerError, match="without a registration"):
        ledger.append(release(1, row))
    with pytest.raises(LedgerError, match="with a registration"):
        ledger.append(refusal(1), registration=row)
    with pytest.raises(LedgerError, match="another image"):
        ledger.append(release(1, row), registration=registration(2))
    with pytest.raises(LedgerError, match="not the digest"):
        ledger.append(release(1, row), registration=replace(row, manifest=b"exchanged"))
    assert ledger.size() == 0


def test_registrations_are_found_by_id_digest_label_and_look(ledger: SQLiteLedger) -> None:
    near, far = "0" * 63 + "7", "f" * 64
    rows = [registration(1, pdq="0" * 64), registration(2, pdq=near), registration(3, pdq=far)]
    for number, row in enumerate(rows, start=1):
        ledger.append(release(number, row), registration=row)
        assert ledger.registration(row.image_id) == row
        assert ledger.find_sha256(row.sha256) == row
        assert ledger.find_label(row.manifest_label) == row
    assert ledger.find_similar("0" * 64, max_distance=31) == [(rows[0], 0), (rows[1], 3)]
    assert ledger.find_similar("0" * 64, max_distance=2) == [(rows[0], 0)]
    assert [distance for _, distance in ledger.find_similar(near, max_distance=256)] == [0, 3, 253]
    assert len(ledger.find_similar(near, max_distance=256, limit=1)) == 1
    assert ledger.registration(image_id(9)) is None
    assert ledger.find_sha256("0" * 64) is None
    assert ledger.find_label("urn:c2pa:unknown") is None


def test_similar_search_sees_what_another_instance_appended(ledger: SQLiteLedger, path: Path) -> None:
    append_release(ledger, 1)
    assert len(ledger.find_similar("0" * 64, max_distance=256)) == 1
    other = open_ledger(path)
    append_release(other, 2)
    other.close()
    assert len(ledger.find_similar("0" * 64, max_distance=256)) == 2


@pytest.mark.parametrize("pdq", ["", "0" * 63, "G" * 64, "F" * 64])
def test_a_malformed_hash_is_refused(ledger: SQLiteLedger, pdq: str) -> None:
    with pytest.raises(LedgerError, match="64 lower-case hex"):
        ledger.find_similar(pdq, max_distance=31)


def test_a_thumbnail_can_be_erased_and_nothing_else(ledger: SQLiteLedger, path: Path) -> None:
    row = registration(1, thumbnail="2x1:AAE=")
    ledger.append(release(1, row), registration=row)
    assert ledger.erase_thumbnail(image_id(1)) is True
    assert ledger.erase_thumbnail(image_id(1)) is False
    erased = ledger.registration(image_id(1))
    assert erased is not None
    assert (erased.fingerprints.thumbnail, erased.manifest) == ("", row.manifest)
    with sqlite3.connect(path) as raw, pytest.raises(sqlite3.IntegrityError, match="append-only"):
        raw.execute("UPDATE registrations SET thumbnail = 'put back'")
    raw.close()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE entries SET body = x'00' WHERE idx = 1",
        "DELETE FROM entries WHERE idx = 3",
        "REPLACE INTO entries SELECT idx, kind, image_id, x'00' FROM entries WHERE idx = 1",
        "INSERT INTO entries VALUES (9, 'refusal', NULL, x'00')",
        "UPDATE nodes SET hash = x'00'",
        "DELETE FROM nodes",
        "REPLACE INTO nodes VALUES (0, 0, x'00')",
        "UPDATE heads SET root = x'00'",
        "DELETE FROM heads WHERE size = 4",
        "DELETE FROM registrations",
        "UPDATE registrations SET tenant = 'other'",
        "UPDATE signers SET public_key = x'00'",
        "UPDATE meta SET value = 'elsewhere'",
        "DELETE FROM meta",
    ],
)
def test_rows_cannot_be_changed_or_removed(path: Path, statement: str) -> None:
    fill(path, 4)
    raw = sqlite3.connect(path)
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        raw.execute(statement)
    raw.close()


def test_the_first_and_every_later_size_has_a_signed_head(ledger: SQLiteLedger) -> None:
    assert ledger.verifier.open_note(ledger.head()).size == 0
    for number in range(3):
        ledger.append(refusal(number))
        assert ledger.verifier.open_note(ledger.head()).size == number + 1


def test_a_new_key_carries_on_and_old_heads_stay_with_the_old_key(path: Path) -> None:
    fill(path, 3)
    rotated = open_ledger(path, seed=OTHER_SEED)
    with pytest.raises(LedgerProofError, match="no signature"):
        rotated.verifier.open_note(rotated.head())
    rotated.append(refusal(9))
    assert rotated.verifier.open_note(rotated.head()).size == 4


def test_another_origin_is_refused(path: Path) -> None:
    fill(path, 1)
    with pytest.raises(LedgerError, match="its origin is"):
        open_ledger(path, origin="example.org/other")


def test_other_files_are_refused(path: Path, tmp_path: Path) -> None:
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE t (x)")
    other.close()
    with pytest.raises(LedgerError, match="application id"):
        open_ledger(path)
    (tmp_path / "text").write_text("not a database, but long enough to be taken for one" * 9)
    with pytest.raises(LedgerError, match="not a database"):
        open_ledger(tmp_path / "text")
    with pytest.raises(LedgerError, match="unable to open"):
        open_ledger(tmp_path / "no" / "folder")


def test_a_locked_ledger_is_an_error_of_ours(path: Path) -> None:
    impatient = SQLiteLedger(path, signing_key=SEED, origin=ORIGIN, clock=FixedClock(), busy_timeout_s=0.05)
    blocker = sqlite3.connect(path, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    with pytest.raises(LedgerError, match="locked"):
        impatient.append(refusal(1))
    blocker.close()
    assert impatient.append(refusal(1)).index == 0


def test_a_forked_process_has_to_open_the_ledger_itself(ledger: SQLiteLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    process = os.getpid()
    monkeypatch.setattr("guard.ledger.database.os.getpid", lambda: process + 1)
    with pytest.raises(LedgerError, match="was opened by process"):
        ledger.append(refusal(1))
    with pytest.raises(LedgerError, match="was opened by process"):
        ledger.size()


def test_an_erased_thumbnail_is_gone_from_the_file(path: Path) -> None:
    secret = "64x64:" + "SECRETPIXELS" * 400
    row = registration(1, thumbnail=secret)
    ledger = open_ledger(path)
    ledger.append(release(1, row), registration=row)
    ledger.close()
    assert b"SECRETPIXELS" in path.read_bytes()
    ledger = open_ledger(path)
    assert ledger.erase_thumbnail(image_id(1))
    ledger.close()
    assert b"SECRETPIXELS" not in path.read_bytes()
    assert sorted(file.name for file in path.parent.iterdir()) == [path.name]


def test_a_head_that_does_not_verify_on_reading_back_rolls_everything_back(ledger: SQLiteLedger) -> None:
    ledger.append(refusal(0))

    def garble(connection, cursor, statement, parameters, context, executemany):  # type: ignore[no-untyped-def]
        if statement.startswith("INSERT INTO heads"):
            parameters = tuple(bytes(32) if isinstance(p, memoryview) and len(p) == 32 else p for p in parameters)
        return statement, parameters

    engine = ledger._database._engine
    event.listen(engine, "before_cursor_execute", garble, retval=True)
    with pytest.raises(LedgerError, match="rolled back"):
        ledger.append(refusal(1))
    event.remove(engine, "before_cursor_execute", garble)
    assert ledger.size() == 1
    assert ledger.append(refusal(1)).index == 1


def test_threads_share_an_instance(ledger: SQLiteLedger) -> None:
    errors: list[Exception] = []

    def work(worker: int) -> None:
        try:
            for number in range(10):
                append_release(ledger, 100 * worker + number)
                assert ledger.registration(image_id(100 * worker + number)) is not None
        except Exception as exc:
            errors.append(exc)

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert ledger.size() == 40
    assert len(ledger.find_similar("0" * 64, max_distance=256)) == 40


def test_the_entry_by_index_is_the_leaf(ledger: SQLiteLedger) -> None:
    receipt = ledger.append(refusal(5))
    proof = ledger.entry(0)
    assert proof is not None
    assert leaf_hash(proof.entry.encode()).hex() == receipt.leaf_hash
    assert ledger.entry(1) is None


def test_recorded_ids_answers_from_the_ledger(ledger: SQLiteLedger) -> None:
    known = ledger.recorded_ids()
    assert image_id(1) not in known
    append_release(ledger, 1)
    assert image_id(1) in known
    assert ImageID("nonsense") not in known


def steps_of(ledger: SQLiteLedger, action: Callable[[], object]) -> int:
    """Return how many instructions SQLite's machine ran, in units of ten."""
    count = 0

    def tick() -> int:
        nonlocal count
        count += 1
        return 0

    pooled = ledger._database._engine.raw_connection()
    pooled.driver_connection.set_progress_handler(tick, 10)  # type: ignore[union-attr]
    pooled.close()  # back into the pool, which hands out this one connection again
    action()
    return count


@pytest.mark.parametrize("size", [512, 4096])
def test_work_does_not_grow_with_the_ledger(tmp_path: Path, size: int) -> None:
    """Powers of two have one peak each, so only a scan of a table could make the larger ledger cost more."""
    costs = []
    for entries_before in (16, size):
        path = tmp_path / f"{entries_before}.sqlite"
        open_ledger(path).close()
        raw, frontier = sqlite3.connect(path), Frontier()
        for number in range(entries_before):
            body = b"%d" % number
            raw.execute("INSERT INTO entries VALUES (?, 'failure', NULL, ?)", (number, body))
            raw.executemany("INSERT INTO nodes VALUES (?, ?, ?)", frontier.add(leaf_hash(body)))
        raw.execute("INSERT INTO heads SELECT ?, root, key_id, signature FROM heads", (entries_before,))
        raw.commit()
        raw.close()
        ledger = open_ledger(path)
        append_release(ledger, 1)
        costs.append(
            (
                steps_of(ledger, lambda ledger=ledger: append_release(ledger, 2)),  # type: ignore[misc]
                steps_of(ledger, lambda ledger=ledger: ledger.proof(image_id(1))),  # type: ignore[misc]
                steps_of(ledger, lambda ledger=ledger: ledger.registration(image_id(1))),  # type: ignore[misc]
            )
        )
        ledger.close()
    small, large = costs
    assert all(cost > 0 for cost in small)
    for before, after in zip(small, large, strict=True):
        assert after <= 2 * before + 10
