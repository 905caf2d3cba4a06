"""From installed weights to the detectors that a policy lists; nothing else is verified or loaded."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from detectors.calibration.card import CalibrationCard, read_card
from detectors.pretrained.catalogue import Kind
from detectors.pretrained.conversion import stored_shapes
from detectors.pretrained.detector import PretrainedDetector
from detectors.pretrained.installed import (
    AUTOENCODER_PREFIX,
    CARD_FILE,
    WEIGHTS_FOLDER,
    Installed,
    find_installed,
    require_backbone,
    verify_installed,
)
from detectors.pretrained.perceptual import PerceptualDistance
from detectors.pretrained.reconstruction import ReconstructionScorer
from detectors.pretrained.scoring import NetworkScorer, require_tensors
from guard.errors import WeightsError
from guard.model_source import DeviceName
from guard.weights import content_digest

RECONSTRUCTION_PREFIX = "learned.reconstruction."
AEROBLADE_PREFIX = "learned.aeroblade."
"""The same autoencoders, with the published distance; needs the weights of PERCEPTUAL."""
PERCEPTUAL = ("vgg16-imagenet", "lpips-vgg")
AEROBLADE_CARD_FILE = "card.aeroblade.json"
_SAFETENSORS = "model.safetensors"


def detector_id(installed: Installed) -> str:
    """Return the id under which policies list installed weights."""
    name = installed.record.entry
    if installed.kind is Kind.AUTOENCODER:
        return RECONSTRUCTION_PREFIX + name.removeprefix(AUTOENCODER_PREFIX)
    return f"{'watermark' if installed.kind is Kind.MARK_READER else 'learned'}.{name}"


def card_path(home: Path, name: str) -> Path:
    """Return where the card of a detector is, by its id."""
    top = home / WEIGHTS_FOLDER
    if name.startswith(AEROBLADE_PREFIX):
        return top / f"{AUTOENCODER_PREFIX}{name.removeprefix(AEROBLADE_PREFIX)}" / AEROBLADE_CARD_FILE
    if name.startswith(RECONSTRUCTION_PREFIX):
        return top / f"{AUTOENCODER_PREFIX}{name.removeprefix(RECONSTRUCTION_PREFIX)}" / CARD_FILE
    return top / name.removeprefix("learned.") / CARD_FILE


def pretrained_detectors(
    home: Path, *, wanted: Collection[str], device: DeviceName = "cpu", with_cards: bool = True
) -> list[PretrainedDetector]:
    """Return the installed detectors of others whose ids are wanted, their files verified.

    Args:
        home: of the installation; nothing need be installed there.
        wanted: detector ids, for instance those of a detection policy.
        device: where the networks run.
        with_cards: whether to use calibration cards; fitting a new one must not.

    Raises:
        WeightsError: a wanted detector's files or card are missing, changed or of another network.
    """
    there = find_installed(home)
    found = []
    for one in there.values():
        if one.kind is Kind.DETECTOR and detector_id(one) in wanted:
            found.append(_network(one, require_backbone(one, there), _card(home, detector_id(one), with_cards), device))
        elif one.kind is Kind.AUTOENCODER:
            short = one.record.entry.removeprefix(AUTOENCODER_PREFIX)
            for prefix in (RECONSTRUCTION_PREFIX, AEROBLADE_PREFIX):
                name = f"{prefix}{short}"
                if name in wanted:
                    perceptual = _perceptual(name, there) if prefix == AEROBLADE_PREFIX else ()
                    found.append(_reconstruction(one, perceptual, name, _card(home, name, with_cards), device))
    return found


def _card(home: Path, name: str, wanted: bool) -> CalibrationCard | None:
    path = card_path(home, name)
    return read_card(path) if wanted and path.is_file() else None


def _perceptual(name: str, there: Mapping[str, Installed]) -> tuple[Installed, ...]:
    """Return the weights of LPIPS. Raises WeightsError when they are not installed."""
    missing = [needed for needed in PERCEPTUAL if needed not in there]
    if missing:
        raise WeightsError(
            f"The detector {name} needs the weights of LPIPS; {', '.join(missing)} is not installed.",
            next_step=f"signet weights fetch {missing[0]}; without LPIPS use {RECONSTRUCTION_PREFIX}NAME.",
        )
    return tuple(there[needed] for needed in PERCEPTUAL)


def _reconstruction(
    one: Installed, perceptual: tuple[Installed, ...], name: str, card: CalibrationCard | None, device: DeviceName
) -> PretrainedDetector:
    for part in (one, *perceptual):
        verify_installed(part)
    distance = PerceptualDistance(*(part.folder / _SAFETENSORS for part in perceptual)) if perceptual else None
    digest = (
        content_digest({part.record.entry: part.digest for part in (one, *perceptual)}) if perceptual else one.digest
    )
    scorer = ReconstructionScorer(one.folder, name=one.record.entry, digest=digest, perceptual=distance, device=device)
    return PretrainedDetector(scorer, id=name, title=f"Reconstruction by {one.record.entry}", card=card)


def _network(
    one: Installed, backbone: Installed | None, card: CalibrationCard | None, device: DeviceName
) -> PretrainedDetector:
    verify_installed(one)
    if backbone is not None:
        verify_installed(backbone)
    entry = one.entry
    if entry is None or entry.architecture is None or entry.preparation is None:
        raise WeightsError(f"The catalogue describes no network for {one.record.entry!r}.")
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
        device=device,
    )
    return PretrainedDetector(scorer, id=detector_id(one), title=entry.title, card=card)
