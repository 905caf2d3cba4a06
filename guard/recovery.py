"""From a copy without credentials back to the manifest it was released with.

::

    (1) watermark     the id in the pixels names one registered picture
    (2) confirm       the copy must look like that picture: a mark can be lifted from one picture and laid over another
    (3) fingerprint   without a usable mark: registered pictures that look the same, also mirrored or turned;
                      with another's mark: only pictures that were registered as carrying it
    (4) verify        the stored manifest is validated anew, with our own trust list
    -> Recovery

A mark alone never recovers anything: what is not confirmed is reported as a mismatch, or as undecidable.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from guard.credentials import CredentialReport, CredentialState
from guard.fingerprint import (
    SEARCH_PDQ,
    SEARCH_QUALITY,
    VARIANTS,
    Comparison,
    Match,
    compare,
    pdq_search,
)
from guard.interfaces import LedgerStore, Registration, Watermarker
from guard.media import encode
from guard.provenance.read import StoredManifestReader
from guard.records import RGB8, Geometry, ImageFormat, ImageID

MAX_CANDIDATES = 8
"""Most registered pictures that are compared with one copy: each costs up to 40 ms (measured, docs/ledger.md)."""
_HOLDS = (CredentialState.TRUSTED, CredentialState.VALID_UNTRUSTED)


class Route(StrEnum):
    """What led to the registered picture."""

    WATERMARK = "watermark"
    FINGERPRINT = "fingerprint"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """Outcome of a search.

    Attributes:
        recovered: the copy's manifest was found, the pictures match, and the manifest holds.
        route: how a registered picture was found; None when none was.
        match: whether the copy shows that picture; None when none was found.
        image_id: its id, or the id in a mark that this registry does not know.
        registration: the registry row; None unless recovered.
        credential: what the stored manifest says, validated anew; None unless recovered.
        reason: one sentence for people.
    """

    recovered: bool
    route: Route | None
    match: Match | None
    image_id: ImageID | None
    registration: Registration | None
    credential: CredentialReport | None
    reason: str


class ManifestRecovery:
    """Finds the manifest of a stripped copy; safe to share between threads as far as its parts are."""

    def __init__(
        self,
        *,
        watermarker: Watermarker,
        ledger: LedgerStore,
        reader: StoredManifestReader,
        max_distance: int = SEARCH_PDQ,
        min_quality: int = SEARCH_QUALITY,
    ) -> None:
        """Keep the parts and the limits of the search by look (bits of 256; PDQ quality 0..100)."""
        self._watermarker = watermarker
        self._ledger = ledger
        self._reader = reader
        self._max_distance = max_distance
        self._min_quality = min_quality
        # any picture serves: the claim is validated, its data hash belongs to the released bytes
        self._stand_in = encode(np.zeros((32, 32, 3), np.uint8), ImageFormat.PNG)

    def recover(self, pixels: RGB8) -> Recovery:
        """Return the manifest of the registered picture that a copy shows.

        Args:
            pixels: (H, W, 3) uint8 sRGB, the copy.

        Raises:
            LedgerError: the registry cannot be read.
        """
        reading = self._watermarker.detect(pixels)
        registered = None if reading.image_id is None else self._ledger.registration(reading.image_id)
        if registered is not None:
            comparison = compare(registered.fingerprints, pixels, reading.geometry)  # (2)
            heir = None if comparison.match is Match.CONFIRMED else self._heir(pixels, registered.image_id)
            return heir or self._conclude(registered, Route.WATERMARK, comparison)
        found = next(self._lookalikes(pixels), None)  # (3)
        if found is not None:
            return self._conclude(found[0], Route.FINGERPRINT, found[1])
        return Recovery(
            recovered=False,
            route=None,
            match=None,
            image_id=reading.image_id,
            registration=None,
            credential=None,
            reason="No registered picture was found for this copy."
            if reading.image_id is None
            else "The copy carries our watermark, but its id is not in this registry.",
        )

    def _heir(self, pixels: RGB8, carried: ImageID) -> Recovery | None:
        """Return the manifest of a picture that was made from a marked one and kept its mark, if the copy shows that.

        Its manifest says that it carries the mark, which tells it from a picture that a mark was copied onto.
        """
        for registration, comparison in self._lookalikes(pixels):
            found = self._conclude(registration, Route.FINGERPRINT, comparison)
            bindings = () if found.credential is None else found.credential.soft_bindings
            if any(binding.value == carried for binding in bindings):
                return found
        return None

    def _lookalikes(self, pixels: RGB8) -> Iterator[tuple[Registration, Comparison]]:
        """Yield registered pictures that the copy is confirmed to show, nearest first."""
        variants, quality = pdq_search(pixels)
        if quality < self._min_quality:
            return  # too plain a picture: its hash would meet many others
        seen: dict[str, tuple[int, Registration, Geometry]] = {}
        for geometry, pdq in zip(VARIANTS, variants, strict=True):
            for registration, distance in self._ledger.find_similar(pdq, max_distance=self._max_distance):
                known = seen.get(registration.image_id)
                if known is None or distance < known[0]:
                    seen[registration.image_id] = (distance, registration, geometry)
        nearest = sorted(seen.values(), key=lambda item: item[0])[:MAX_CANDIDATES]
        for _, registration, geometry in nearest:
            comparison = compare(registration.fingerprints, pixels, geometry)
            if comparison.match is Match.CONFIRMED:
                yield registration, comparison

    def _conclude(self, registration: Registration, route: Route, comparison: Comparison) -> Recovery:
        """(4) Validate the stored manifest of a confirmed picture; say why in every other case."""
        credential = None
        reason = comparison.reason
        if comparison.match is Match.CONFIRMED:
            credential = self._reader.read_stored_manifest(registration.manifest, self._stand_in).report
            if credential.state not in _HOLDS:
                reason = f"{reason} But its stored manifest does not validate: {credential.explanation}"
                credential = None
        elif comparison.match is Match.MISMATCH:
            reason = f"The copy carries the mark of another picture, which may have been copied onto it. {reason}"
        return Recovery(
            recovered=credential is not None,
            route=route,
            match=comparison.match,
            image_id=registration.image_id,
            registration=None if credential is None else registration,
            credential=credential,
            reason=reason,
        )
