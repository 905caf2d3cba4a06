"""A stand-in for a detector that this installation cannot run: it says so in every report instead of being silent."""

from __future__ import annotations

from dataclasses import dataclass

from detectors.evidence import Family, Skipped, Technique
from detectors.upload import Upload


@dataclass(frozen=True, slots=True, kw_only=True)
class UnavailableDetector:
    """Answers Skipped with a fixed reason; implements ``Detector``."""

    id: str
    version: str
    family: Family
    technique: Technique
    reason: str
    time_budget_s: float = 1.0

    def examine(self, upload: Upload) -> Skipped:
        """Return why nothing can be said about any upload."""
        return Skipped(
            id=self.id, version=self.version, family=self.family, technique=self.technique, reason=self.reason
        )
