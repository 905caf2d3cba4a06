"""A detector of others as evidence: its raw score always, a likelihood ratio only with a card fitted on own pictures.

Published thresholds do not hold outside the authors' data (docs/detection.md, "Other people's detectors"). Until a
card says what a score is worth, the score is shown and the verdict does not use it.
"""

from __future__ import annotations

from detectors.calibration.card import CalibrationCard, Domain
from detectors.calibration.domain import outside_domain
from detectors.calibration.judgement import judge_whole, pixel_evidence, skipped
from detectors.crops import MIN_CROP_SIDE, choose_crops
from detectors.evidence import Direction, Evidence, Family, Grade, Observation, Skipped, Technique
from detectors.pretrained.interfaces import PictureScorer
from detectors.upload import Upload
from guard.errors import WeightsError


class PretrainedDetector:
    """One installed detector of others; implements ``Detector``."""

    family = Family.LEARNED
    technique = Technique.FORENSIC
    time_budget_s = 60.0
    """A ViT-L at 336 px takes some seconds on one core, and its weights are loaded at the first picture."""

    def __init__(self, scorer: PictureScorer, *, id: str, title: str, card: CalibrationCard | None) -> None:
        """Join a scorer with its calibration.

        Args:
            scorer: gives the score.
            id: as policies list it.
            title: of the detector, for reports.
            card: fitted on the operator's pictures, or None.

        Raises:
            WeightsError: the card is of other weights.
        """
        if card is not None and card.model_sha256 != scorer.digest:
            raise WeightsError(
                f"The card of {id} calibrates the weights {card.model_sha256[:16]}, but {scorer.digest[:16]} are "
                "installed.",
                next_step=f"Fit it again: signet train card {id} labelled/",
            )
        self.id = id
        self._scorer = scorer
        self._title = title
        self._card = card

    @property
    def version(self) -> str:
        """Return the digest of the weights, with the date of the card."""
        calibrated = self._card.date if self._card else "uncalibrated"
        return f"{calibrated}+{self._scorer.digest[:12]}"

    @property
    def scorer(self) -> PictureScorer:
        """Return what gives the score; calibration needs it."""
        return self._scorer

    @property
    def domain(self) -> Domain:
        """Return which pictures are looked at: those of the card, or all that fill the network's input."""
        least = max(MIN_CROP_SIDE, self._scorer.least_side)
        if self._card is None:
            return Domain(min_side_px=least, min_jpeg_quality=0, min_texture=0)
        domain = self._card.domain
        return domain.model_copy(update={"min_side_px": max(least, domain.min_side_px)})

    def examine(self, upload: Upload) -> Evidence | Skipped:
        """Return the score, with a calibrated ratio where there is a card, or why the picture was not looked at."""
        reason = outside_domain(upload, choose_crops(upload.pixels), self.domain)
        if reason is not None:
            return skipped(self, reason)
        if self._card is None:
            return self._uncalibrated(self._scorer.score(upload.pixels))
        judged = judge_whole(upload, self._card, self._scorer.score)
        side = "generated" if judged.llr_nats > 0 else "real"
        return pixel_evidence(
            self,
            judged,
            reason=f"{self._title} finds the picture closer to those that you labelled {side}.",
            observations=(self._shown(judged.score),),
        )

    def _uncalibrated(self, score: float) -> Evidence:
        return Evidence(
            id=self.id,
            version=self.version,
            family=self.family,
            technique=self.technique,
            grade=Grade.NEUTRAL,
            direction=Direction.NONE,
            reason=f"{self._title} gives a score, but it was not calibrated on your pictures: it counts for nothing.",
            raw_score=score,
            observations=(
                self._shown(score),
                Observation(name="to make it count", value=f"signet train card {self.id} labelled/"),
            ),
        )

    def _shown(self, score: float) -> Observation:
        return Observation(name="raw score", value=f"{score:+.3f} ({self._scorer.scale}; higher: generated)")
