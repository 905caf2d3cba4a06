"""From installed weights to the detectors that a policy lists; nothing else is verified or loaded."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from detectors.calibration.card import CalibrationCard, read_card
from detectors.pretrained.catalogue import Kind
from detectors.pretrained.conversion import stored_shapes
from detectors.pretrained.detector import PretrainedDetector
from detectors.pretrained.installed import (
    AUTOENCODER_PREFIX,
    CARD_FILE,
    Installed,
    find_installed,
    require_backbone,
    verify_installed,
)
from detectors.pretrained.interfaces import PictureScorer
from detectors.pretrained.reconstruction import ReconstructionScorer
from detectors.pretrained.scoring import NetworkScorer, require_tensors
from guard.errors import WeightsError
from guard.weights import content_digest

RECONSTRUCTION_PREFIX = "learned.reconstruction."


def detector_id(installed: Installed) -> str:
    """Return the id under which policies list installed weights."""
    name = installed.record.entry
    if installed.kind is Kind.AUTOENCODER:
        return RECONSTRUCTION_PREFIX + name.removeprefix(AUTOENCODER_PREFIX)
    return f"{'watermark' if installed.kind is Kind.MARK_READER else 'learned'}.{name}"


def pretrained_detectors(home: Path, *, wanted: Collection[str], with_cards: bool = True) -> list[PretrainedDetector]:
    """Return the installed detectors of others whose ids are wanted, their files verified.

    Args:
        home: of the installation; nothing need be installed there.
        wanted: detector ids, for instance those of a detection policy.
        with_cards: whether to use calibration cards; fitting a new one must not.

    Raises:
        WeightsError: a wanted detector's files or card are missing, changed or of another network.
    """
    there = find_installed(home)
    found = []
    for one in there.values():
        if one.kind in (Kind.DETECTOR, Kind.AUTOENCODER) and detector_id(one) in wanted:
            path = one.folder / CARD_FILE
            card = read_card(path) if with_cards and path.is_file() else None
            found.append(_detector(one, require_backbone(one, there), card))
    return found


def _detector(one: Installed, backbone: Installed | None, card: CalibrationCard | None) -> PretrainedDetector:
    verify_installed(one)
    if backbone is not None:
        verify_installed(backbone)
    entry = one.entry
    name = detector_id(one)
    if entry is None:
        scorer: PictureScorer = ReconstructionScorer(one.folder, name=one.record.entry, digest=one.digest)
        return PretrainedDetector(scorer, id=name, title=f"Reconstruction by {one.record.entry}", card=card)
    if entry.architecture is None or entry.preparation is None:
        raise WeightsError(f"The catalogue entry {entry.id!r} describes no network.")
    require_tensors(stored_shapes(one.folder / entry.file), entry.architecture.shapes(), what=entry.title)
    digest = one.digest
    if backbone is not None:
        digest = content_digest({one.record.entry: one.digest, backbone.record.entry: backbone.digest})
    scorer = NetworkScorer(
        entry.architecture,
        entry.preparation,
        name=entry.title,
        file=one.folder / entry.file,
        backbone=backbone.folder / backbone.entry.file if backbone and backbone.entry else None,
        digest=digest,
    )
    return PretrainedDetector(scorer, id=name, title=entry.title, card=card)
