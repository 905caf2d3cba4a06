"""The models in the box: whole, deterministic, within their range on any picture, and better than chance on none."""

import math
from pathlib import Path

import numpy as np
import pytest
from skimage import data

from detectors.crops import choose_crops
from detectors.evidence import Evidence, Family, Grade, Skipped
from detectors.interfaces import Detector, Illustrator
from detectors.learned.artefact_network import FAMILIES, UNKNOWN, ArtefactNetworkDetector
from detectors.pixel_models import MODELS, pixel_detectors
from detectors.scoring import ScoringModel
from detectors.statistical.detector import PixelStatisticsDetector
from detectors.upload import load_upload
from guard.errors import WeightsError
from guard.media import encode
from guard.records import ImageFormat
from training.pixels.pictures import licence_allows

DETECTORS = pixel_detectors()
MAX_MODELS_BYTES = 4_000_000
RNG = np.random.default_rng(11)
PICTURES = {
    "photo": data.astronaut(),
    "grey": np.repeat(data.camera()[..., None], 3, axis=2),
    "noise": RNG.integers(0, 256, (300, 260, 3)).astype(np.uint8),
    "stripes": np.tile(np.arange(256, dtype=np.uint8)[None, :, None] % 7 * 36, (256, 1, 3)),
    "narrow": np.ascontiguousarray(data.astronaut()[:170]),
    "small": np.ascontiguousarray(data.astronaut()[:60, :60]),
    "flat": np.full((256, 256, 3), 128, np.uint8),
}


@pytest.mark.parametrize("detector", DETECTORS, ids=lambda d: d.id)
@pytest.mark.parametrize("name", PICTURES)
def test_any_picture_gives_bounded_evidence_or_a_reason(detector: Detector, name: str) -> None:
    upload = load_upload(encode(PICTURES[name], ImageFormat.PNG))
    first, second = detector.examine(upload), detector.examine(upload)
    assert first == second
    if name in ("small", "flat"):
        assert isinstance(first, Skipped)
        assert first.reason.startswith("Too s")
        return
    assert isinstance(first, Evidence)
    assert first.grade is Grade.NEUTRAL  # pixels never prove anything by themselves
    assert first.llr_nats is not None
    assert abs(first.llr_nats) <= math.log(1000)
    assert "authentic" not in first.reason
    assert "real" not in first.reason.split()


@pytest.mark.parametrize("detector", DETECTORS, ids=lambda d: d.id)
def test_pictures_of_the_evidence_are_for_people(detector: Detector) -> None:
    assert isinstance(detector, Illustrator)
    shown = detector.illustrate(load_upload(encode(data.astronaut(), ImageFormat.PNG)))
    assert shown
    for picture in shown:
        assert picture.evidence_id == detector.id
        assert picture.pixels.dtype == np.uint8
        assert max(picture.pixels.shape[:2]) <= 600
        assert len(picture.caption) > 80
    assert detector.illustrate(load_upload(encode(PICTURES["small"], ImageFormat.PNG))) == ()


def test_the_box_is_small_and_both_families_are_in_it() -> None:
    assert {d.family for d in DETECTORS} == {Family.STATISTICAL, Family.LEARNED}
    assert sum(path.stat().st_size for path in MODELS.glob("*.onnx")) <= MAX_MODELS_BYTES


@pytest.mark.parametrize("name", ["statistical", "learned"])
def test_cards_say_on_what_the_models_were_made_and_measured(name: str) -> None:
    card = ScoringModel(MODELS, name).card
    assert {m.mode for m in card.measured} >= {"history"}
    assert card.training.real > 500
    assert card.test.real > 300
    assert [s.group for s in card.training.sources if not licence_allows(s.licence)] == []


def test_a_swapped_model_stops_the_start(tmp_path: Path) -> None:
    for path in MODELS.iterdir():
        if path.is_file():
            (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "learned.onnx").write_bytes((MODELS / "statistical.onnx").read_bytes())
    with pytest.raises(WeightsError, match="SHA-256"):
        pixel_detectors(models=tmp_path)


def test_the_statistics_are_shown_group_by_group() -> None:
    detector = next(d for d in DETECTORS if isinstance(d, PixelStatisticsDetector))
    found = detector.examine(load_upload(encode(data.astronaut(), ImageFormat.PNG)))
    assert isinstance(found, Evidence)
    assert found.raw_score is not None
    names = [o.name for o in found.observations]
    assert names[-5:] == ["spectrum", "up-sampling", "noise", "co-occurrence", "block grid"]


def test_family_shares_add_up_and_know_the_unknown() -> None:
    detector = next(d for d in DETECTORS if isinstance(d, ArtefactNetworkDetector))
    for pixels in (data.astronaut(), data.coffee(), PICTURES["noise"]):
        shares = detector.family_shares(choose_crops(pixels))
        assert sum(share for _, share in shares) == pytest.approx(1.0, abs=1e-6)
        assert {name for name, _ in shares} <= {*FAMILIES, UNKNOWN}
        assert UNKNOWN in {name for name, _ in shares}
