"""The registry of released images as the detectors see it: an ``OriginalLookup`` over ledger and credential reader."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from detectors.interfaces import Original
from guard.credentials import CredentialReport, CredentialState
from guard.errors import StageError
from guard.interfaces import LedgerStore, Registration
from guard.media import encode
from guard.provenance.read import StoredManifest
from guard.records import ImageFormat, ImageID


class StoredManifestReader(Protocol):
    """Describes a manifest store that stands apart from its file."""

    def read_stored_manifest(self, manifest: bytes, asset: bytes) -> StoredManifest:
        """Return what the manifest says, held against some picture."""
        ...


class RegistryLookup:
    """Implements ``OriginalLookup``; every answer carries the original's manifest, verified anew."""

    def __init__(self, ledger: LedgerStore, reader: StoredManifestReader) -> None:
        self._ledger = ledger
        self._reader = reader
        # any picture serves: the claim is verified, its data hash belongs to the original bytes that we may not have
        self._stand_in = encode(np.zeros((32, 32, 3), np.uint8), ImageFormat.PNG)

    def by_image_id(self, image_id: ImageID) -> Original | None:
        """Return the original registered under a watermark id, or None."""
        registration = self._ledger.registration(image_id)
        return None if registration is None else self._describe(registration)

    def by_sha256(self, sha256: str) -> Original | None:
        """Return the original whose released bytes have this digest, or None."""
        registration = self._ledger.find_sha256(sha256)
        return None if registration is None else self._describe(registration)

    def most_similar(self, pdq: str, *, max_distance: int) -> tuple[Original, int] | None:
        """Return the original nearest to a PDQ hash and its distance in bits of 256, or None when none is near."""
        rows = self._ledger.find_similar(pdq, max_distance=max_distance)
        return (self._describe(rows[0][0]), rows[0][1]) if rows else None

    def _describe(self, registration: Registration) -> Original:
        try:
            credential = self._reader.read_stored_manifest(registration.manifest, self._stand_in).report
        except StageError as exc:  # that the picture is ours does not depend on what its manifest says
            credential = CredentialReport(state=CredentialState.UNREADABLE, explanation=str(exc))
        return Original(
            image_id=registration.image_id,
            sha256=registration.sha256,
            manifest_label=registration.manifest_label,
            fingerprints=registration.fingerprints,
            credential=credential,
        )
