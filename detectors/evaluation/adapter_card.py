"""Fit a calibration card for a detector of others on labelled pictures of one's own.

(1) every picture is treated as in the protocol's ``history`` mode, so that formats do not decide
(2) sources, not pictures, are split: two parts fix mapping and thresholds, the third is the card's test
(3) nothing is trained here; what the authors trained on is unknown, so keep pictures that may have been in it out
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from detectors.calibration.card import CalibrationCard, Dataset, files_digest
from detectors.calibration.domain import outside_domain
from detectors.crops import choose_crops
from detectors.evaluation.degradations import Mode
from detectors.evaluation.labelled import Labelled
from detectors.evaluation.probe import DOMAIN, Embedded, calibrated_card, split_sources
from detectors.evaluation.protocol import treated
from detectors.pretrained.detector import PretrainedDetector
from detectors.upload import load_upload, still_image
from guard.errors import MediaError


def score_pictures(
    items: Sequence[Labelled], detector: PretrainedDetector, *, progress: Callable[[], None]
) -> list[Embedded]:
    """Return the raw score of every picture inside the domain, as its only feature; others are left out.

    Raises:
        DetectorError: the detector failed on a picture.
        ConfigError: its libraries or weights are missing.
    """
    least = max(DOMAIN.min_side_px, detector.domain.min_side_px)
    domain = DOMAIN.model_copy(update={"min_side_px": least})
    found = []
    for item in items:
        try:
            upload = load_upload(item.path.read_bytes(), decoder=still_image)
        except (OSError, MediaError):  # a damaged file in a folder of thousands must not end the fit
            progress()
            continue
        shown = treated(upload, Mode.HISTORY)
        if outside_domain(shown, choose_crops(shown.pixels), domain) is None:
            score = np.array([detector.scorer.score(shown.pixels)], np.float32)
            found.append(Embedded(item=item, sha256=upload.sha256, features=score))
        progress()
    return found


def fit_card(pictures: Sequence[Embedded], detector: PretrainedDetector, *, date: str) -> CalibrationCard:
    """Return a detector's card.

    Args:
        pictures: from ``score_pictures``.
        detector: whose scores they are.
        date: of the fit, YYYY-MM-DD.

    Raises:
        RequestError: too few sources of a class.
    """
    parts = split_sources(pictures)
    fixing, testing = parts["training"] + parts["calibration"], parts["test"]
    card = calibrated_card(
        lambda features: features[:, 0].astype(np.float64),
        fixing,
        testing,
        domain=DOMAIN,
        training=Dataset(digest=files_digest([]), real=0, generated=0, sources=()),
        notes=("Trained by others on pictures that are not listed here.",),
    )
    return card(detector.id, detector.scorer.digest, date)
