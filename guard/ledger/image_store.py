"""Durable files for the bytes of released images, one file an image, sharded by image id.

::

    <root>/3f/a1/3fa1...c2.png            stored
    <root>/3f/a1/3fa1...c2.deleted.json   deleted: {"reason": ..., "deleted_at": ...}; the bytes are gone

``put`` writes a temporary file, fsyncs it, links it under its final name and fsyncs the folder, and comes before the
ledger entry: whatever crashes in between leaves an *orphan*, bytes that no entry knows. Orphans were never released;
``remove_orphans`` clears them at start. ``delete`` writes its marker before it unlinks, so that every recorded image
is at any instant either stored or deleted for a stated reason.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import tempfile
from collections.abc import Container, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from guard.errors import LedgerError
from guard.records import ImageFormat, ImageID

ORPHAN_AGE = timedelta(hours=1)
"""Bytes younger than this may belong to an append under way in another process: far above any request deadline."""
_IMAGE_ID = re.compile(r"[0-9a-f]{16}")
_REASON = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}")
_SUFFIXES = {image_format.media_type: image_format.suffix for image_format in ImageFormat}
_MEDIA_TYPES = {suffix: media_type for media_type, suffix in _SUFFIXES.items()}
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)
_TEMPORARY = ".tmp-"
_MARKER = ".deleted.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """The bytes are there."""

    media_type: str
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Deleted:
    """The bytes were deleted on purpose.

    Attributes:
        reason: identifier such as ``retention`` or ``takedown``.
        deleted_at: RFC 3339 time.
    """

    reason: str
    deleted_at: str


class FileImageStore:
    """An ``ImageStore`` in a folder; any number of processes may use the folder."""

    def __init__(self, root: Path | str) -> None:
        """Use ``root``, creating it where it is missing.

        Raises:
            LedgerError: it cannot be created.
        """
        self._root = Path(root)
        with _wrapped(f"create {self._root}"):
            self._root.mkdir(parents=True, exist_ok=True)

    def put(self, image_id: ImageID, data: bytes, *, media_type: str) -> None:
        """Store bytes durably; storing the same bytes twice is harmless.

        Args:
            image_id: 16 hex digits.
            data: at least one byte.
            media_type: image/png, image/jpeg or image/webp.

        Raises:
            LedgerError: other bytes are stored under the id, the id was deleted, or the disk failed.
        """
        if media_type not in _SUFFIXES or not data:
            raise LedgerError(f"Image store: got {len(data)} bytes of {media_type}, expected {', '.join(_SUFFIXES)}.")
        state = self.state(image_id)
        if isinstance(state, Deleted):
            raise LedgerError(f"Image store: {image_id} was deleted ({state.reason}) and stays so.")
        if state is not None:
            if self.get(image_id) == (data, media_type):
                return
            raise LedgerError(f"Image store: other bytes are already stored under {image_id}.")
        path = self._base(image_id).with_suffix(_SUFFIXES[media_type])
        with _wrapped(f"store {image_id}"):
            self._make_folder(path.parent)
            _write_durably(path, data)

    def get(self, image_id: ImageID) -> tuple[bytes, str] | None:
        """Return (bytes, media type), or None when nothing is stored or it was deleted."""
        base = self._base(image_id)
        if base.with_suffix(_MARKER).exists():
            return None
        with _wrapped(f"read {image_id}"):
            for suffix, media_type in _MEDIA_TYPES.items():
                with contextlib.suppress(FileNotFoundError):
                    return base.with_suffix(suffix).read_bytes(), media_type
        return None

    def state(self, image_id: ImageID) -> Stored | Deleted | None:
        """Return whether the bytes are stored or deleted; None when the store never had them (or lost them)."""
        base = self._base(image_id)
        with _wrapped(f"look up {image_id}"):
            with contextlib.suppress(FileNotFoundError):
                marker = json.loads(base.with_suffix(_MARKER).read_text(encoding="utf-8"))
                return Deleted(reason=marker["reason"], deleted_at=marker["deleted_at"])
            for suffix, media_type in _MEDIA_TYPES.items():
                with contextlib.suppress(FileNotFoundError):
                    return Stored(media_type=media_type, size_bytes=base.with_suffix(suffix).stat().st_size)
        return None

    def delete(self, image_id: ImageID, *, reason: str, at: datetime) -> None:
        """Delete the bytes for good and leave a marker that says so; deleting twice keeps the first marker.

        Args:
            image_id: 16 hex digits.
            reason: identifier such as ``retention`` or ``takedown``; no free text.
            at: time, timezone-aware.

        Raises:
            LedgerError: nothing is stored under the id, a malformed reason, or the disk failed.
        """
        if not _REASON.fullmatch(reason) or at.tzinfo is None:
            raise LedgerError("Image store: a reason must be an identifier, and the time must have a zone.")
        state = self.state(image_id)
        if state is None:
            raise LedgerError(f"Image store: nothing is stored under {image_id}.")
        base = self._base(image_id)
        with _wrapped(f"delete {image_id}"):
            if isinstance(state, Stored):
                marker = {"reason": reason, "deleted_at": at.isoformat()}
                _write_durably(base.with_suffix(_MARKER), json.dumps(marker).encode())
            self._unlink_bytes(base)

    def orphans(self, known_ids: Container[str], *, now: datetime, min_age: timedelta = ORPHAN_AGE) -> list[ImageID]:
        """Return ids whose bytes are stored but whose entry never came, oldest rule first: only older than ``min_age``.

        Args:
            known_ids: ids that the ledger has a release of (``SQLiteLedger.recorded_ids()``).
            now: current time.
            min_age: younger bytes may belong to an append under way; timedelta(0) when nothing else runs.
        """
        with _wrapped("list the store"):
            return [
                ImageID(path.stem)
                for path in self._files()
                if path.suffix in _MEDIA_TYPES and _older(path, now, min_age) and path.stem not in known_ids
            ]

    def remove_orphans(
        self, known_ids: Container[str], *, now: datetime, min_age: timedelta = ORPHAN_AGE
    ) -> list[ImageID]:
        """Remove what a crash left: orphans, temporary files, and bytes whose deletion was cut short.

        Returns:
            The ids of the removed orphans, for the log.
        """
        removed = self.orphans(known_ids, now=now, min_age=min_age)
        with _wrapped("clear the store"):
            for path in list(self._files()):
                if path.name.startswith(_TEMPORARY) and _older(path, now, min_age):
                    path.unlink(missing_ok=True)
                elif path.name.endswith(_MARKER):
                    self._unlink_bytes(path.with_name(path.name.removesuffix(_MARKER)))
            for image_id in removed:
                self._unlink_bytes(self._base(image_id))
        return removed

    def ids(self) -> Iterator[ImageID]:
        """Yield the ids whose bytes are stored, in no particular order."""
        with _wrapped("list the store"):
            for path in self._files():
                if path.suffix in _MEDIA_TYPES:
                    yield ImageID(path.stem)

    def _base(self, image_id: str) -> Path:
        """Return the path of an id without suffix; refuses anything that is not an id, so no path can be smuggled."""
        if not _IMAGE_ID.fullmatch(image_id):
            raise LedgerError("Image store: an image id is 16 lower-case hex digits.")
        return self._root / image_id[:2] / image_id[2:4] / image_id

    def _make_folder(self, folder: Path) -> None:
        """Create the two shard levels durably."""
        if folder.is_dir():
            return
        folder.mkdir(parents=True, exist_ok=True)
        _sync_folder(folder.parent)
        _sync_folder(self._root)

    def _files(self) -> Iterator[Path]:
        """Yield every file of the store, streaming."""
        for first in os.scandir(self._root):
            if first.is_dir():
                for second in os.scandir(first.path):
                    if second.is_dir():
                        yield from (Path(item.path) for item in os.scandir(second.path))

    def _unlink_bytes(self, base: Path) -> None:
        """Unlink whatever bytes are stored at a base path, durably."""
        for suffix in _MEDIA_TYPES:
            with contextlib.suppress(FileNotFoundError):
                base.with_suffix(suffix).unlink()
                _sync_folder(base.parent)


@contextlib.contextmanager
def _wrapped(what: str) -> Iterator[None]:
    """Turn file-system errors and damaged markers into LedgerError."""
    try:
        yield
    except (OSError, ValueError, KeyError) as exc:
        raise LedgerError(f"Image store: could not {what}: {exc}.", next_step="Check the disk and its rights.") from exc


def _write_durably(path: Path, data: bytes) -> None:
    """Write, fsync, publish atomically without replacing, fsync the folder.

    A hard link fails when the name exists, where a rename would silently replace another process's file.
    """
    descriptor, name = tempfile.mkstemp(prefix=_TEMPORARY, dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        _publish(temporary, path, data)
    finally:
        temporary.unlink(missing_ok=True)
    _sync_folder(path.parent)


def _publish(temporary: Path, path: Path, data: bytes) -> None:
    """Give a complete file its final name; the same bytes under that name are fine, others are refused."""
    try:
        os.link(temporary, path)
    except FileExistsError as exc:
        if path.read_bytes() != data:
            raise LedgerError(f"Image store: other bytes are already stored as {path.name}.") from exc
    except OSError as exc:
        if exc.errno not in _NO_LINKS:
            raise
        os.replace(temporary, path)  # exFAT and some network mounts have no hard links; ids are unique all the same


def _sync_folder(folder: Path) -> None:
    """Make a folder's names durable; only POSIX can (Windows journals them)."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _older(path: Path, now: datetime, min_age: timedelta) -> bool:
    """Return whether a file was written at least ``min_age`` ago; a file that just vanished is not."""
    try:
        return now.timestamp() - path.stat().st_mtime >= min_age.total_seconds()
    except FileNotFoundError:
        return False
