"""Fakes of the detection Protocols."""

from dataclasses import dataclass, field

from detectors.interfaces import Original
from guard.credentials import CredentialReport
from guard.fingerprint import pdq_distance
from guard.records import RGB8, ImageID, MarkReading


@dataclass
class FixedReader:
    """Answers every file with one report."""

    report: CredentialReport

    def read(self, data: bytes) -> CredentialReport:
        return self.report


@dataclass
class FixedMarker:
    """Finds one reading in every picture."""

    reading: MarkReading
    algorithm: str = "org.example.fixed.1"

    def embed(self, pixels: RGB8, image_id: ImageID) -> RGB8:
        return pixels

    def detect(self, pixels: RGB8) -> MarkReading:
        return self.reading


@dataclass
class MemoryOriginals:
    """A registry in a list."""

    known: list[Original] = field(default_factory=list)

    def by_image_id(self, image_id: ImageID) -> Original | None:
        return next((o for o in self.known if o.image_id == image_id), None)

    def by_sha256(self, sha256: str) -> Original | None:
        return next((o for o in self.known if o.sha256 == sha256), None)

    def most_similar(self, pdq: str, *, max_distance: int) -> tuple[Original, int] | None:
        rows = [(o, pdq_distance(o.fingerprints.pdq, pdq)) for o in self.known]
        return min((row for row in rows if row[1] <= max_distance), key=lambda row: row[1], default=None)
