"""A team's own linear probe: weights over the network's texture statistics, fitted by ``signet train probe``."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from detectors.calibration.judgement import judge_crops, pixel_evidence, skipped
from detectors.crops import Crop
from detectors.evidence import Evidence, Family, Skipped, Technique
from detectors.scoring import ScoringModel
from detectors.upload import Upload

PROBE_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
"""Names of probes, which are also folder names and ends of detector ids."""
TEXTURE_OUTPUT = 1
"""Which output of the network in the box holds the texture statistics."""


def texture_features(network: ScoringModel, crops: tuple[Crop, ...]) -> NDArray[np.float32]:
    """Return (N, D) float32 texture statistics of crops of one size."""
    stacked = np.stack([crop.pixels for crop in crops]).transpose(0, 3, 1, 2)
    return network.run({"rgb": np.ascontiguousarray(stacked, dtype=np.float32)})[TEXTURE_OUTPUT]


class ProbeDetector:
    """One installed probe; implements ``Detector``."""

    family = Family.LEARNED
    technique = Technique.FORENSIC
    time_budget_s = 10.0

    def __init__(self, model: ScoringModel, *, embedding: ScoringModel, name: str) -> None:
        self.id = f"learned.probe.{name}"
        self._model = model
        self._embedding = embedding

    @property
    def version(self) -> str:
        """Return date and digest of the probe."""
        return self._model.version

    def examine(self, upload: Upload) -> Evidence | Skipped:
        """Return a calibrated ratio, or why the picture is outside the probe's domain."""
        judged = judge_crops(upload, self._model.card, self._scores)
        if isinstance(judged, str):
            return skipped(self, judged)
        side = "generated" if judged.llr_nats > 0 else "real"
        return pixel_evidence(
            self, judged, reason=f"Your own probe finds the picture closer to those that were labelled {side}."
        )

    def _scores(self, crops: tuple[Crop, ...]) -> NDArray[np.float32]:
        return self._model.run({"texture": texture_features(self._embedding, crops)})[0].ravel()
