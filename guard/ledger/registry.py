"""The registry of released images: rows that trace a stripped copy to its manifest, and the ways to find one.

Look-ups by image id, SHA-256 and manifest label go through B-trees; by PDQ hash and ISCC through a ``SimilarIndex``
each, which is brought up to date before each search.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Container, Sequence
from typing import Any

from sqlalchemy import Column, ColumnElement, RowMapping, select

from guard.errors import LedgerError
from guard.interfaces import Registration
from guard.ledger.database import Database
from guard.ledger.similar_index import PDQ_BYTES, SimilarIndex
from guard.ledger.tables import entries, image_codes, registrations
from guard.records import Fingerprints, ImageID

MAX_MANIFEST_BYTES = 16 * 1024 * 1024
"""Largest manifest kept: a guard against mistakes; manifests have some 10 KB, with embedded thumbnails more."""
_IMAGE_ID = re.compile(r"[0-9a-f]{16}")
_PDQ = re.compile(r"[0-9a-f]{64}")
_FETCH = 500  # ids a query; SQLite's limit on bound values is 32766
_ROWS = select(registrations, image_codes.c.iscc).outerjoin(image_codes, image_codes.c.idx == registrations.c.idx)


class Registry:
    """Reads the registrations of one ledger."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._pdq = SimilarIndex()
        self._iscc = SimilarIndex()

    def by_image_id(self, image_id: ImageID) -> Registration | None:
        """Return the registration of an image id, or None."""
        return self._first(registrations.c.image_id == image_id)

    def by_sha256(self, sha256: str) -> Registration | None:
        """Return the first registration of these bytes, or None."""
        return self._first(registrations.c.sha256 == sha256.lower())

    def by_label(self, manifest_label: str) -> Registration | None:
        """Return the first registration of this manifest label, or None."""
        return self._first(registrations.c.manifest_label == manifest_label)

    def before(self, created_at: str, *, tenant: str | None) -> list[tuple[ImageID, str]]:
        """Return (image id, tenant) of rows older than an RFC 3339 time in UTC, oldest first."""
        query = select(registrations.c.image_id, registrations.c.tenant).where(registrations.c.created_at < created_at)
        if tenant is not None:
            query = query.where(registrations.c.tenant == tenant)
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(registrations.c.idx)).all()
        return [(ImageID(row.image_id), row.tenant) for row in rows]

    def similar(self, pdq: str, *, max_distance: int, limit: int) -> list[tuple[Registration, int]]:
        """Return up to ``limit`` registrations within ``max_distance`` bits, nearest first.

        Raises:
            LedgerError: ``pdq`` is not 64 hex digits, or the database failed.
        """
        return self._search(self._pdq, registrations.c.pdq, pdq_bytes(pdq), max_distance, limit)

    def similar_iscc(self, iscc: str, *, max_distance: int, limit: int) -> list[tuple[Registration, int]]:
        """Return up to ``limit`` registrations within ``max_distance`` bits of an ISCC Image-Code, nearest first.

        Raises:
            LedgerError: ``iscc`` is not 64 hex digits, or the database failed.
        """
        return self._search(self._iscc, image_codes.c.iscc, code_bytes(iscc), max_distance, limit)

    def _search(
        self, index: SimilarIndex, column: Column[bytes], code: bytes, max_distance: int, limit: int
    ) -> list[tuple[Registration, int]]:
        """Search one index after bringing it up to date."""
        self._update(index, column)
        hits = index.search(code, max_distance=max_distance)[:limit]
        rows = self._rows([number for number, _ in hits])
        return [(rows[number], distance) for number, distance in hits]

    def _first(self, condition: ColumnElement[bool]) -> Registration | None:
        """Return the oldest registration that meets a condition, or None."""
        query = _ROWS.where(condition).order_by(registrations.c.idx).limit(1)
        with self._database.read() as connection:
            row = connection.execute(query).mappings().one_or_none()
        return None if row is None else _registration(row)

    def _rows(self, indices: Sequence[int]) -> dict[int, Registration]:
        """Return registrations by entry index."""
        found: dict[int, Registration] = {}
        with self._database.read() as connection:
            for start in range(0, len(indices), _FETCH):
                wanted = registrations.c.idx.in_(indices[start : start + _FETCH])
                rows = connection.execute(_ROWS.where(wanted)).mappings()
                found |= {row["idx"]: _registration(row) for row in rows}
        return found

    def _update(self, index: SimilarIndex, column: Column[bytes]) -> None:
        """Read the hashes that came since the last search, from this or any other process."""
        number = column.table.c.idx
        query = (
            select(number, column.label("code"))
            .where(number > index.last_id)
            .order_by(number)
            .execution_options(yield_per=10_000)
        )
        with self._database.read() as connection:
            for part in connection.execute(query).partitions():
                index.extend((row.idx, row.code) for row in part)


class RecordedIDs(Container[str]):
    """``image_id in recorded_ids``: whether the ledger has a release entry of it; asks the database each time."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def __contains__(self, image_id: object) -> bool:
        query = select(entries.c.idx).where(entries.c.image_id == image_id, entries.c.kind == "release")
        with self._database.read() as connection:
            return connection.execute(query).scalar_one_or_none() is not None


def registration_row(registration: Registration) -> dict[str, Any]:
    """Return the columns of a registration, except ``idx`` and ``created_at``.

    Raises:
        LedgerError: an id or hash is malformed, or the manifest is empty or too large.
    """
    if not _IMAGE_ID.fullmatch(registration.image_id):
        raise LedgerError("Registration: image_id is not 16 lower-case hex digits.")
    if not 0 < len(registration.manifest) <= MAX_MANIFEST_BYTES:
        raise LedgerError(
            f"Registration: the manifest has {len(registration.manifest)} bytes, expected 1..{MAX_MANIFEST_BYTES}."
        )
    thumbnail = registration.fingerprints.thumbnail
    return {
        "image_id": registration.image_id,
        "sha256": registration.sha256,
        "media_type": registration.media_type,
        "manifest": registration.manifest,
        "manifest_label": registration.manifest_label,
        "pdq": pdq_bytes(registration.fingerprints.pdq),
        "pdq_quality": registration.fingerprints.pdq_quality,
        "thumbnail": thumbnail or None,
        "thumbnail_sha256": hashlib.sha256(thumbnail.encode()).hexdigest(),
        "tenant": registration.tenant,
    }


def pdq_bytes(pdq: str) -> bytes:
    """Return the 32 bytes of a PDQ hash.

    Raises:
        LedgerError: not 64 lower-case hex digits.
    """
    if not _PDQ.fullmatch(pdq):
        raise LedgerError(f"PDQ hash: got {len(pdq)} characters, expected {2 * PDQ_BYTES} lower-case hex digits.")
    return bytes.fromhex(pdq)


def code_bytes(iscc: str) -> bytes:
    """Return the 32 bytes of an ISCC Image-Code's body.

    Raises:
        LedgerError: not 64 lower-case hex digits.
    """
    if not _PDQ.fullmatch(iscc):
        raise LedgerError(f"Image-Code: got {len(iscc)} characters, expected 64 lower-case hex digits.")
    return bytes.fromhex(iscc)


def _registration(row: RowMapping) -> Registration:
    """Return the record of a row."""
    return Registration(
        image_id=ImageID(row["image_id"]),
        sha256=row["sha256"],
        media_type=row["media_type"],
        manifest=row["manifest"],
        manifest_label=row["manifest_label"],
        fingerprints=Fingerprints(
            pdq=row["pdq"].hex(),
            pdq_quality=row["pdq_quality"],
            thumbnail=row["thumbnail"] or "",
            iscc=row["iscc"].hex() if row["iscc"] else "",
        ),
        tenant=row["tenant"],
    )
