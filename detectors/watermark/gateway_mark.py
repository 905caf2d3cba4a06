"""Our own watermark as evidence, confirmed against the registered picture.

A mark is an index, not proof: whoever averages enough marked pictures can copy it onto another one. So a hit counts as
conclusive only when the upload also looks like the picture that was registered under that id.
"""

from __future__ import annotations

from detectors.evidence import Direction, Evidence, Family, Grade, Observation, Skipped, Technique
from detectors.interfaces import Original, OriginalLookup
from detectors.recognition import graded, original_generator, original_observations
from detectors.upload import Upload
from guard.fingerprint import Comparison, Match, compare
from guard.interfaces import Watermarker
from guard.records import MarkReading

WHERE = "pixels"


class GatewayMarkDetector:
    """Reads the embedded default mark with our keys and looks its id up in the registry."""

    id = "watermark.gateway_mark"
    version = "1"
    family = Family.WATERMARK
    technique = Technique.WATERMARK
    time_budget_s = 10.0

    def __init__(self, marker: Watermarker, originals: OriginalLookup) -> None:
        self._marker = marker
        self._originals = originals

    def examine(self, upload: Upload) -> Evidence | Skipped:
        """Return conclusive evidence for a confirmed mark, weaker or conflicting evidence for any other hit."""
        reading = self._marker.detect(upload.pixels)
        if reading.image_id is None:
            return graded(self, Grade.NEUTRAL, Direction.NONE, "Our watermark is not in this picture.")
        original = self._originals.by_image_id(reading.image_id)
        seen = _mark_observations(reading)
        if original is None:
            return graded(
                self,
                Grade.SUPPORTING,
                Direction.AI,
                "The picture carries our watermark, but its id is not in this registry, so it cannot be confirmed.",
                observations=seen,
            )
        comparison = compare(original.fingerprints, upload.pixels, reading.geometry)
        return self._compared(original, comparison, seen)

    def _compared(self, original: Original, comparison: Comparison, seen: tuple[Observation, ...]) -> Evidence:
        match = comparison.match
        observations = (
            *seen,
            Observation(
                name="comparison with the original", value=f"{match.value}: {comparison.reason}", where="registry"
            ),
            *original_observations(original, where="registry, by watermark"),
        )
        generator = original_generator(original)
        if match is Match.CONFIRMED and not original.says_ai():
            return graded(
                self,
                Grade.NEUTRAL,
                Direction.NONE,
                "The picture carries our watermark and matches a file that this service signed; its record does not "
                "say that AI made it.",
                observations=observations,
            )
        if match is Match.CONFIRMED:
            return graded(
                self,
                Grade.CONCLUSIVE,
                Direction.AI,
                "The picture carries our watermark and matches the AI-generated image registered under its id.",
                generator=generator,
                observations=observations,
            )
        if match is Match.MISMATCH:
            return graded(
                self,
                Grade.CONFLICTING,
                Direction.NONE,
                "The picture carries our watermark, but it does not look like the image registered under that id: "
                "the mark may have been copied onto another picture.",
                observations=observations,
            )
        return graded(
            self,
            Grade.SUPPORTING,
            Direction.AI,
            "The picture carries our watermark; it is too plain or too small a part to compare with the original.",
            generator=generator,
            observations=observations,
        )


def _mark_observations(reading: MarkReading) -> tuple[Observation, ...]:
    rows = [
        ("watermark id", reading.image_id or ""),
        ("algorithm", reading.algorithm),
        ("chance of a false hit", f"at most 10^{reading.log10_p:.1f}"),
    ]
    if reading.geometry is not None:
        geometry = reading.geometry
        mirrored = ", mirrored" if geometry.mirrored else ""
        rows.append(("geometry", f"scale {geometry.scale:.3f}, turned {geometry.rotation_deg:.1f} degrees{mirrored}"))
    return tuple(Observation(name=name, value=value, where=WHERE) for name, value in rows)
