"""The pixel detectors of an installation: those in the box, and probes that a team trained on its own files.

A probe is a folder under ``<home>/detectors/``. Installed is not enabled: only a policy that lists its id runs it.
"""

from __future__ import annotations

from pathlib import Path

from detectors.interfaces import Detector
from detectors.learned.artefact_network import ArtefactNetworkDetector
from detectors.learned.probe import PROBE_NAME, ProbeDetector
from detectors.scoring import ScoringModel
from detectors.statistical.detector import PixelStatisticsDetector

PROBES_FOLDER = "detectors"
"""Folder in an installation's home that holds a team's own probes."""
MODELS = Path(__file__).parent / "models"
"""Models in the box, with cards and digests."""


def pixel_detectors(*, probes: Path | None = None, models: Path = MODELS) -> list[Detector]:
    """Return the detectors in the box and the installed probes, by id.

    Args:
        probes: folder with one sub-folder a probe, or None; it need not exist.
        models: folder with the models in the box.

    Raises:
        WeightsError: a model, card or digest does not fit.
    """
    learned = ScoringModel(models, "learned")
    found: list[Detector] = [
        PixelStatisticsDetector(ScoringModel(models, "statistical")),
        ArtefactNetworkDetector(learned),
    ]
    if probes is not None and probes.is_dir():
        folders = sorted(folder for folder in probes.iterdir() if PROBE_NAME.fullmatch(folder.name))
        found += [
            ProbeDetector(ScoringModel(folder, "probe"), embedding=learned, name=folder.name) for folder in folders
        ]
    return found
