"""The image store: durable, never overwritten, never silently gone."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from guard.errors import LedgerError
from guard.ledger.image_store import Deleted, FileImageStore, Stored
from guard.records import ImageID
from tests.guard.ledger.samples import image_id

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
SOON = timedelta(0)
A, B, C = (ImageID(name) for name in ("00aa00aa00aa00aa", "00aabb0000000000", "ffffffffffffffff"))


@pytest.fixture
def store(tmp_path: Path) -> FileImageStore:
    return FileImageStore(tmp_path / "images")


def later() -> datetime:
    """A time after every file of this test was written."""
    return datetime.now(UTC) + timedelta(seconds=2)


@pytest.mark.parametrize("media_type", ["image/png", "image/jpeg", "image/webp"])
def test_what_was_put_comes_back(store: FileImageStore, tmp_path: Path, media_type: str) -> None:
    data = bytes(range(256)) * 40
    assert store.get(A) is None
    assert store.state(A) is None
    store.put(A, data, media_type=media_type)
    again = FileImageStore(tmp_path / "images")
    assert again.get(A) == (data, media_type)
    assert again.state(A) == Stored(media_type=media_type, size_bytes=len(data))
    assert list(again.ids()) == [A]


def test_bytes_are_never_replaced(store: FileImageStore) -> None:
    store.put(A, b"first", media_type="image/png")
    store.put(A, b"first", media_type="image/png")
    for data, media_type in ((b"second", "image/png"), (b"first", "image/jpeg")):
        with pytest.raises(LedgerError, match="other bytes"):
            store.put(A, data, media_type=media_type)
    assert store.get(A) == (b"first", "image/png")


def test_a_race_for_one_name_has_one_winner(store: FileImageStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.put(A, b"first", media_type="image/png")
    monkeypatch.setattr(FileImageStore, "state", lambda *_: None)  # as the loser of the race saw it
    with pytest.raises(LedgerError, match="other bytes"):
        store.put(A, b"second", media_type="image/png")
    store.put(A, b"first", media_type="image/png")
    assert store.get(A) == (b"first", "image/png")


def test_a_file_system_without_hard_links_still_works(store: FileImageStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    store.put(A, b"data", media_type="image/png")
    assert store.get(A) == (b"data", "image/png")


@pytest.mark.parametrize(("data", "media_type"), [(b"", "image/png"), (b"x", "text/html"), (b"x", "image/svg+xml")])
def test_only_images_are_stored(store: FileImageStore, data: bytes, media_type: str) -> None:
    with pytest.raises(LedgerError, match="expected image/png"):
        store.put(A, data, media_type=media_type)


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "00AA00AA00AA00AA", "00aa00aa00aa00a", "00aa00aa00aa00aa\n"])
def test_only_ids_name_files(store: FileImageStore, name: str) -> None:
    for call in (store.get, store.state):
        with pytest.raises(LedgerError, match="16 lower-case hex"):
            call(ImageID(name))


def test_deleting_leaves_a_marker_and_no_bytes(store: FileImageStore, tmp_path: Path) -> None:
    store.put(A, b"secret pixels", media_type="image/png")
    store.delete(A, reason="retention", at=NOON)
    store.delete(A, reason="takedown", at=NOON + timedelta(days=1))
    assert store.get(A) is None
    assert store.state(A) == Deleted(reason="retention", deleted_at=NOON.isoformat())
    assert not any(b"secret" in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    with pytest.raises(LedgerError, match=r"was deleted \(retention\)"):
        store.put(A, b"secret pixels", media_type="image/png")


def test_what_is_not_there_cannot_be_deleted(store: FileImageStore) -> None:
    with pytest.raises(LedgerError, match="nothing is stored"):
        store.delete(A, reason="retention", at=NOON)
    store.put(A, b"x", media_type="image/png")
    for reason, at in (("a sentence about a person", NOON), ("", NOON), ("retention", NOON.replace(tzinfo=None))):
        with pytest.raises(LedgerError, match="reason"):
            store.delete(A, reason=reason, at=at)
    assert store.get(A) is not None


def test_orphans_are_found_and_removed_but_records_and_young_files_stay(store: FileImageStore) -> None:
    for name in (A, B, C):
        store.put(name, b"bytes of " + name.encode(), media_type="image/png")
    assert store.orphans({A}, now=later()) == []
    assert sorted(store.orphans({A}, now=later(), min_age=SOON)) == [B, C]
    assert store.remove_orphans({A}, now=later()) == []
    assert sorted(store.remove_orphans({A}, now=later(), min_age=SOON)) == [B, C]
    assert list(store.ids()) == [A]
    assert store.get(A) == (b"bytes of " + A.encode(), "image/png")


def test_what_a_crash_left_is_cleared(store: FileImageStore, tmp_path: Path) -> None:
    store.put(A, b"kept", media_type="image/png")
    store.put(B, b"half deleted", media_type="image/png")
    folder = tmp_path / "images" / B[:2] / B[2:4]
    (folder / ".tmp-abc123").write_bytes(b"half written")
    (folder / f"{B}.deleted.json").write_text('{"reason":"takedown","deleted_at":"2026-11-22T12:00:00+00:00"}')
    assert store.get(B) is None
    assert store.remove_orphans({A, B}, now=later(), min_age=SOON) == []
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == [f"{A}.png", f"{B}.deleted.json"]
    assert store.state(B) == Deleted(reason="takedown", deleted_at="2026-11-22T12:00:00+00:00")


def test_disk_failures_are_errors_of_ours(store: FileImageStore, tmp_path: Path) -> None:
    (tmp_path / "images" / "ff").write_text("a file where a folder should be")
    with pytest.raises(LedgerError, match="Not a directory"):
        store.put(C, b"x", media_type="image/png")
    (tmp_path / "file").write_text("x")
    with pytest.raises(LedgerError, match="could not create"):
        FileImageStore(tmp_path / "file" / "images")
    store.put(A, b"x", media_type="image/png")
    (tmp_path / "images" / A[:2] / A[2:4] / f"{A}.deleted.json").write_text("damaged")
    with pytest.raises(LedgerError, match="could not look up"):
        store.state(A)


def test_ids_spread_over_folders(store: FileImageStore, tmp_path: Path) -> None:
    for number in (1, 1 << 48, 1 << 56):
        store.put(image_id(number), b"x", media_type="image/webp")
    folders = {path.parent.relative_to(tmp_path / "images").as_posix() for path in tmp_path.rglob("*.webp")}
    assert folders == {"00/00", "00/01", "01/00"}
