"""Our own ledger as evidence: the very bytes that were released, or a picture that looks the same."""

from __future__ import annotations

from detectors.evidence import Direction, Evidence, Family, Grade, Observation, Skipped, Technique
from detectors.interfaces import OriginalLookup
from detectors.recognition import graded, original_generator, original_observations
from detectors.upload import Upload
from guard.fingerprint import fingerprints


class LedgerMatchDetector:
    """Looks an upload up by SHA-256 (conclusive) and by perceptual hash (supporting)."""

    id = "metadata.ledger_match"
    version = "1"
    family = Family.METADATA
    technique = Technique.LEDGER
    time_budget_s = 5.0

    def __init__(self, originals: OriginalLookup, *, max_distance: int, min_quality: int) -> None:
        """Keep the registry and the policy's limits (bits of 256; PDQ quality 0..100)."""
        self._originals = originals
        self._max_distance = max_distance
        self._min_quality = min_quality

    def examine(self, upload: Upload) -> Evidence | Skipped:
        """Return a match, or neutral evidence when nothing matches."""
        exact = self._originals.by_sha256(upload.sha256)
        if exact is not None:
            return graded(
                self,
                Grade.CONCLUSIVE,
                Direction.AI,
                "These are the very bytes of an AI-generated image that this service released and recorded.",
                generator=original_generator(exact),
                observations=original_observations(exact, where="ledger, by SHA-256"),
            )
        seen = fingerprints(upload.pixels)
        if seen.pdq_quality < self._min_quality:
            return Skipped(
                id=self.id,
                version=self.version,
                family=self.family,
                technique=self.technique,
                reason="Not a recorded file, and too plain a picture to search by look "
                f"(perceptual hash quality {seen.pdq_quality} of 100, {self._min_quality} needed).",
            )
        for original, distance in self._originals.similar(seen.pdq, max_distance=self._max_distance):
            return graded(
                self,
                Grade.SUPPORTING,
                Direction.AI,
                f"The picture looks the same as an AI-generated image that this service released "
                f"({distance} of 256 hash bits differ; up to {self._max_distance} count as the same).",
                generator=original_generator(original),
                observations=(
                    Observation(name="hash distance", value=f"{distance} of 256 bits", where="ledger, by PDQ"),
                    *original_observations(original, where="ledger, by PDQ"),
                ),
            )
        return graded(self, Grade.NEUTRAL, Direction.NONE, "This service has not released this picture.")
