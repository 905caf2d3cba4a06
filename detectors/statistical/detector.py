"""Pixel statistics as calibrated evidence: a linear model over five groups, each of which can be inspected alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detectors.calibration.domain import outside_domain
from detectors.calibration.judgement import judge_crops, pixel_evidence, skipped
from detectors.crops import Crop, choose_crops
from detectors.evidence import Evidence, Family, Observation, Picture, Skipped, Technique
from detectors.scoring import ScoringModel
from detectors.statistical.features import GROUPS, feature_vector
from detectors.statistical.pictures import RESIDUAL_CAPTION, SPECTRUM_CAPTION, residual_picture, spectrum_picture
from detectors.upload import Upload


class PixelStatisticsDetector:
    """Spectrum, up-sampling traces, noise, co-occurrences and block grid; implements ``Detector``."""

    id = "statistical.pixels"
    family = Family.STATISTICAL
    technique = Technique.FORENSIC
    time_budget_s = 10.0

    def __init__(self, model: ScoringModel) -> None:
        self._model = model

    @property
    def version(self) -> str:
        """Return date and digest of the model."""
        return self._model.version

    def examine(self, upload: Upload) -> Evidence | Skipped:
        """Return a calibrated ratio with the share of every group, or why the picture is outside the domain."""
        outputs: list[list[NDArray[np.float32]]] = []

        def score(crops: tuple[Crop, ...]) -> NDArray[np.float32]:
            outputs.append(self._outputs(crops))
            return outputs[-1][0].ravel()

        judged = judge_crops(upload, self._model.card, score)
        if isinstance(judged, str):
            return skipped(self, judged)
        return pixel_evidence(
            self, judged, reason=_reason(judged.llr_nats), observations=tuple(self._groups(outputs[0][1]))
        )

    def illustrate(self, upload: Upload) -> tuple[Picture, ...]:
        """Return the spectrum of the examined crops and the map of fine detail."""
        crops = choose_crops(upload.pixels)
        if outside_domain(upload, crops, self._model.card.domain):
            return ()
        return (
            Picture(evidence_id=self.id, caption=SPECTRUM_CAPTION, pixels=spectrum_picture(crops)),
            Picture(evidence_id=self.id, caption=RESIDUAL_CAPTION, pixels=residual_picture(upload.pixels)),
        )

    def _outputs(self, crops: tuple[Crop, ...]) -> list[NDArray[np.float32]]:
        return self._model.run({"features": np.stack([feature_vector(crop.pixels) for crop in crops])})

    def _groups(self, parts: NDArray[np.float32]) -> list[Observation]:
        """Say how much each group of statistics moved the score, whatever weight the score itself has."""
        return [
            Observation(name=name, value=f"{part:+.2f} (score)", where="pixels")
            for name, part in zip(GROUPS, parts.mean(axis=0), strict=True)
        ]


def _reason(llr_nats: float) -> str:
    if llr_nats >= np.log(2):
        return "The fine structure of the pixels resembles that of generated pictures more than that of photographs."
    if llr_nats <= -np.log(2):
        return "The fine structure of the pixels resembles that of photographs more than that of generated pictures."
    return "The fine structure of the pixels does not speak for either side."
