"""Our own ledger as evidence: the very bytes that were released, or a picture that looks the same."""

from __future__ import annotations

from detectors.evidence import Direction, Evidence, Family, Grade, Observation, Skipped, Technique
from detectors.interfaces import Original, OriginalLookup
from detectors.recognition import graded, original_generator, original_observations
from detectors.upload import Upload
from guard.fingerprint import pdq_search


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
            return self._recorded(exact)
        if upload.image.decoded is None:
            return self._not_searched(f"its look cannot be searched for: {upload.image.without_pixels}")
        hashes, quality = pdq_search(upload.pixels)
        if quality < self._min_quality:
            return self._not_searched(
                "too plain a picture to search by look "
                f"(perceptual hash quality {quality} of 100, {self._min_quality} needed)."
            )
        nearest = self._originals.most_similar(hashes[0], max_distance=self._max_distance)
        if nearest is None:
            return graded(self, Grade.NEUTRAL, Direction.NONE, "This service has not released this picture.")
        return self._look_alike(*nearest)

    def _not_searched(self, why: str) -> Skipped:
        return Skipped(
            id=self.id,
            version=self.version,
            family=self.family,
            technique=self.technique,
            reason=f"Not a recorded file, and {why}",
        )

    def _recorded(self, original: Original) -> Evidence:
        """Judge the very bytes of a recorded file."""
        observations = original_observations(original, where="ledger, by SHA-256")
        if not original.says_ai():
            return graded(
                self,
                Grade.NEUTRAL,
                Direction.NONE,
                "These are the very bytes of a file that this service signed; its record does not say that AI made it.",
                observations=observations,
            )
        return graded(
            self,
            Grade.CONCLUSIVE,
            Direction.AI,
            "These are the very bytes of an AI-generated image that this service released and recorded.",
            generator=original_generator(original),
            observations=observations,
        )

    def _look_alike(self, original: Original, distance: int) -> Evidence:
        """Judge a picture that looks like a release; a release made from an earlier picture looks like that one too."""
        observations = (
            Observation(name="hash distance", value=f"{distance} of 256 bits", where="ledger, by PDQ"),
            *original_observations(original, where="ledger, by PDQ"),
        )
        if not original.says_ai():
            return graded(
                self,
                Grade.NEUTRAL,
                Direction.NONE,
                "The picture looks like one that this service signed; its record does not say that AI made it "
                f"({distance} of 256 hash bits differ).",
                observations=observations,
            )
        if original.has_parent:
            return graded(
                self,
                Grade.NEUTRAL,
                Direction.NONE,
                "The picture looks like one that this service released after changing an earlier picture; it may as "
                f"well be that earlier picture ({distance} of 256 hash bits differ).",
                observations=observations,
            )
        return graded(
            self,
            Grade.SUPPORTING,
            Direction.AI,
            f"The picture looks the same as an AI-generated image that this service released "
            f"({distance} of 256 hash bits differ; up to {self._max_distance} count as the same).",
            generator=original_generator(original),
            observations=observations,
        )
