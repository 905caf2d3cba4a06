"""Public watermark schemes as evidence: what Stable Diffusion, SDXL and FLUX scripts embed, and TrustMark.

Anyone can write these marks, so a hit supports, it never proves; most copies lose them, so "none" says nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from detectors.evidence import Direction, Evidence, Family, Grade, Observation, Skipped, Technique
from detectors.recognition import graded
from detectors.upload import Upload
from guard.watermark.foreign import ForeignMark, ForeignMarkReader, find_foreign_marks
from guard.watermark.invisible_watermark import InvisibleWatermarkReader

WHERE = "pixels"


class OpenMarksDetector:
    """Looks for every foreign mark whose reader is configured."""

    family = Family.WATERMARK
    technique = Technique.WATERMARK

    def __init__(
        self,
        readers: Sequence[ForeignMarkReader] | None = None,
        *,
        id: str = "watermark.open_marks",
        version: str = "1",
        time_budget_s: float = 10.0,
    ) -> None:
        """Keep the readers.

        Args:
            readers: of the schemes to look for; None: those that need no weights.
            id: as policies list it.
            version: changes with the readers and their weights.
            time_budget_s: for one upload.
        """
        self.id = id
        self.version = version
        self.time_budget_s = time_budget_s
        self._readers = tuple(default_readers() if readers is None else readers)

    def examine(self, upload: Upload) -> Evidence | Skipped:
        """Return supporting evidence for a mark whose writers generate images, neutral evidence for any other."""
        marks = find_foreign_marks(upload.pixels, self._readers)
        schemes = ", ".join(reader.scheme for reader in self._readers)
        if not marks:
            return graded(
                self,
                Grade.NEUTRAL,
                Direction.NONE,
                f"No public watermark was read (looked for: {schemes}). Closed marks such as SynthID cannot be "
                "checked locally.",
            )
        observations = tuple(observation for mark in marks for observation in _observations(mark))
        named = next((mark for mark in marks if mark.writer is not None), None)
        if named is None:
            return graded(
                self,
                Grade.NEUTRAL,
                Direction.NONE,
                f"The picture carries a {marks[0].scheme} mark; such marks are put on photographs as well as on "
                "generated images.",
                observations=observations,
            )
        return graded(
            self,
            Grade.SUPPORTING,
            Direction.AI,
            f"The picture carries the watermark that {named.writer} embeds by default; anyone can write it.",
            generator=named.writer,
            observations=observations,
        )


def default_readers() -> tuple[ForeignMarkReader, ...]:
    """Return the readers that need no weights."""
    return InvisibleWatermarkReader(), InvisibleWatermarkReader(svd=True)


def _observations(mark: ForeignMark) -> tuple[Observation, ...]:
    """Return what was seen of one mark."""
    return (
        Observation(name="watermark scheme", value=mark.scheme, where=WHERE),
        Observation(name="payload", value=f"{mark.payload} ({mark.wrong_bits} of {mark.bits} bits off)", where=WHERE),
        Observation(name="chance for random bits", value=f"10^{mark.log10_chance:.1f}", where=WHERE),
    )
