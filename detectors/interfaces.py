"""Protocols of the detection flow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from detectors.evidence import Evidence, Family, Picture, Skipped, Technique
from detectors.upload import Upload
from guard.credentials import CredentialReport, CredentialState
from guard.errors import DetectorError
from guard.records import Fingerprints, ImageID


class Detector(Protocol):
    """Looks at one upload for one kind of evidence.

    Plain class attributes serve for all of the data members.
    """

    @property
    def id(self) -> str:
        """Instance id, as policies list it."""
        ...

    @property
    def version(self) -> str:
        """Changes whenever the detector's answers can change."""
        ...

    @property
    def family(self) -> Family:
        """Family whose log-likelihood ratios are capped together."""
        ...

    @property
    def technique(self) -> Technique:
        """What its answers rest on."""
        ...

    @property
    def time_budget_s(self) -> float:
        """Seconds that the engine grants for one upload."""
        ...

    def examine(self, upload: Upload) -> Evidence | Skipped:
        """Return what was found. Raises DetectorError (or any StageError) when it cannot run."""
        ...


@runtime_checkable
class Illustrator(Protocol):
    """A detector that can also show what it looked at."""

    def illustrate(self, upload: Upload) -> tuple[Picture, ...]:
        """Return pictures for a person; empty when the upload is outside the detector's domain."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Original:
    """A released image as the registry knows it: what a stripped copy is traced back to.

    Attributes:
        credential: what its stored manifest says, verified without the picture; ``UNREADABLE`` when it could not be
            read just now.
    """

    image_id: ImageID
    sha256: str
    manifest_label: str
    fingerprints: Fingerprints
    credential: CredentialReport

    def says_ai(self) -> bool:
        """Return whether its record says that AI made or changed it; files can also be signed as merely imported.

        Raises:
            DetectorError: its manifest could not be read just now, so nobody knows.
        """
        if self.credential.state is CredentialState.UNREADABLE:
            raise DetectorError("the picture is registered here, but its manifest could not be read just now")
        return self.credential.ai_origin is True

    @property
    def has_parent(self) -> bool:
        """Return whether it was made by changing an earlier picture, which then looks much the same."""
        return any(part.relationship == "parentOf" for part in self.credential.ingredients)


class OriginalLookup(Protocol):
    """Finds released images by id, by exact bytes and by look."""

    def by_image_id(self, image_id: ImageID) -> Original | None:
        """Return the original registered under a watermark id, or None."""
        ...

    def by_sha256(self, sha256: str) -> Original | None:
        """Return the original whose released bytes have this digest, or None."""
        ...

    def most_similar(self, pdq: str, *, max_distance: int) -> tuple[Original, int] | None:
        """Return the original nearest to a PDQ hash and its distance in bits of 256, or None when none is near."""
        ...
