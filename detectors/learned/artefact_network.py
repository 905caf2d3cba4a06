"""The network in the box as calibrated evidence, with the family of generators that the artefacts resemble."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from detectors.calibration.domain import outside_domain
from detectors.calibration.judgement import judge_crops, pixel_evidence, skipped
from detectors.crops import Crop, choose_crops
from detectors.evidence import Evidence, Family, Observation, Picture, Skipped, Technique
from detectors.learned.heat_map import CAPTION, heat_picture, window_scores
from detectors.scoring import ScoringModel
from detectors.upload import Upload

FAMILIES = ("sd1-2", "sdxl", "dit", "openai", "google")
"""Generator families that had training pictures, in the order of the model's outputs."""
UNKNOWN = "unknown"
NAMED_FROM = 0.7
"""Smallest share of the families at which one is named; below it the answer is "unknown" (docs/detection.md)."""
ATTRIBUTED_FROM_NATS = math.log(10)
"""A family is only worth naming when "generated" itself has moderate support."""


class ArtefactNetworkDetector:
    """Texture statistics of a frozen trunk and a small trained head; implements ``Detector``."""

    family = Family.LEARNED
    technique = Technique.FORENSIC
    time_budget_s = 10.0

    def __init__(self, model: ScoringModel, *, id: str = "learned.artefacts") -> None:
        self.id = id
        self._model = model

    @property
    def version(self) -> str:
        """Return date and digest of the model."""
        return self._model.version

    def examine(self, upload: Upload) -> Evidence | Skipped:
        """Return a calibrated ratio, or why the picture is outside the domain."""
        judged = judge_crops(upload, self._model.card, self._scores)
        if isinstance(judged, str):
            return skipped(self, judged)
        shares = self.family_shares(judged.crops) if judged.llr_nats >= ATTRIBUTED_FROM_NATS else ()
        return pixel_evidence(
            self,
            judged,
            reason=_reason(judged.llr_nats),
            observations=tuple(_shares_shown(shares)),
            generator_shares=shares,
        )

    def illustrate(self, upload: Upload) -> tuple[Picture, ...]:
        """Return the map of window scores over the picture."""
        card = self._model.card
        if outside_domain(upload, choose_crops(upload.pixels), card.domain):
            return ()
        scores = window_scores(upload.pixels, self._scores)
        if scores is None:
            return ()
        ratios = np.vectorize(card.llr_nats, otypes=[np.float32])(scores.astype(float))
        return (Picture(evidence_id=self.id, caption=CAPTION, pixels=heat_picture(upload.pixels, ratios)),)

    def _scores(self, crops: tuple[Crop, ...]) -> NDArray[np.float32]:
        return self._outputs(crops)[:, 0]

    def _outputs(self, crops: tuple[Crop, ...]) -> NDArray[np.float32]:
        stacked = np.stack([crop.pixels for crop in crops]).transpose(0, 3, 1, 2)
        return self._model.run({"rgb": np.ascontiguousarray(stacked, dtype=np.float32)})[0]

    def family_shares(self, crops: tuple[Crop, ...]) -> tuple[tuple[str, float], ...]:
        """Return (family, share) with a share for "unknown", largest first; the shares add up to 1.

        Below NAMED_FROM no family is named at all.
        """
        logits = self._outputs(crops)[:, 1 : 1 + len(FAMILIES)].mean(axis=0)
        weights = np.exp(logits - logits.max())
        shares = weights / weights.sum()
        best = int(shares.argmax())
        if shares[best] < NAMED_FROM:
            return ((UNKNOWN, 1.0),)
        share = round(float(shares[best]), 3)
        return ((FAMILIES[best], share), (UNKNOWN, round(1 - share, 3)))


def _shares_shown(shares: tuple[tuple[str, float], ...]) -> tuple[Observation, ...]:
    if not shares:
        return ()
    text = ", ".join(f"{name} {share:.0%}" for name, share in shares)
    return (Observation(name="resembles pictures by", value=text, where="pixels"),)


def _reason(llr_nats: float) -> str:
    if llr_nats >= math.log(2):
        return "A trained network finds textures like those of generated pictures."
    if llr_nats <= -math.log(2):
        return "A trained network finds textures like those of photographs."
    return "A trained network finds textures that do not speak for either side."
