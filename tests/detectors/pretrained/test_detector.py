"""Scores of others: shown but weightless without a card, calibrated with one, and never a number that is not finite."""

import json
import math
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from skimage import data

torch = pytest.importorskip("torch")

from detectors.calibration.card import CalibrationCard  # noqa: E402
from detectors.engine import DetectionEngine  # noqa: E402
from detectors.evaluation.adapter_card import fit_card, score_pictures  # noqa: E402
from detectors.evaluation.labelled import Labelled, read_labelled  # noqa: E402
from detectors.evaluation.probe import DOMAIN, Embedded  # noqa: E402
from detectors.evidence import Direction, Evidence, Failed, Grade, Skipped  # noqa: E402
from detectors.policy import DetectionPolicy, RecognitionPolicy  # noqa: E402
from detectors.pretrained.architectures import RINE, UnivFD  # noqa: E402
from detectors.pretrained.assembly import pretrained_detectors  # noqa: E402
from detectors.pretrained.catalogue import entry_of  # noqa: E402
from detectors.pretrained.detector import PretrainedDetector  # noqa: E402
from detectors.pretrained.installed import CARD_FILE  # noqa: E402
from detectors.pretrained.installer import install, install_autoencoder  # noqa: E402
from detectors.pretrained.perceptual import LINEAR_SHAPES, VGG_SHAPES  # noqa: E402
from detectors.pretrained.preparation import CLIP_MEAN, CLIP_STD, Preparation, prepare  # noqa: E402
from detectors.pretrained.reconstruction import central_part, detail_distance  # noqa: E402
from detectors.pretrained.scoring import NetworkScorer  # noqa: E402
from detectors.pretrained.vision_transformer import ViTShape  # noqa: E402
from detectors.verdict import ELSEWHERE, VerdictLevel  # noqa: E402
from guard.errors import DetectorError, WeightsError  # noqa: E402
from guard.generation.embedded import signet_mini_folder  # noqa: E402
from guard.records import RGB8  # noqa: E402
from tests.detectors.builders import POLICY  # noqa: E402
from tests.detectors.calibration.cards import card  # noqa: E402
from tests.detectors.pretrained.networks import half_resnet_state, saved, upload_of  # noqa: E402
from tests.detectors.pretrained.restated import RestatedHalfResNet  # noqa: E402

PHOTO = data.astronaut()
TINY = ViTShape(width=24, depth=2, heads=3, patch=8, grid=4)


class Brightness:
    """A scorer without a network."""

    digest = "ab" * 32
    least_side = 128
    scale = "mean brightness"

    def score(self, pixels: RGB8) -> float:
        return float(pixels.mean()) / 25.5


def policy_of(*detectors: str) -> DetectionPolicy:
    recognition = RecognitionPolicy(pdq_max_distance=31, pdq_min_quality=50)
    return DetectionPolicy(version=1, id="test", detectors=detectors, fusion=POLICY, recognition=recognition)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    entry = entry_of("npr")
    assert entry is not None
    source = saved(tmp_path / "npr.safetensors", half_resnet_state())
    install(
        entry, source, home=tmp_path, origin="t", revision=None, sha256=None, accepted=True, today=date(2026, 11, 23)
    )
    return tmp_path


def test_the_whole_way_gives_the_restatements_logit_and_counts_for_nothing(home: Path) -> None:
    (detector,) = pretrained_detectors(home, wanted=("learned.npr",))
    answer = detector.examine(upload_of(PHOTO))
    assert isinstance(answer, Evidence)
    restated = RestatedHalfResNet(base=64, blocks=(3, 4), outputs=1).eval()
    restated.load_state_dict(half_resnet_state())
    entry = entry_of("npr")
    assert entry is not None
    assert entry.preparation is not None
    seen = torch.from_numpy(prepare(PHOTO, entry.preparation))[None]
    small = torch.nn.functional.interpolate(seen, scale_factor=0.5, mode="nearest")
    residuals = (seen - torch.nn.functional.interpolate(small, scale_factor=2.0, mode="nearest")) * 2.0 / 3.0
    with torch.inference_mode():
        assert answer.raw_score == pytest.approx(float(restated(residuals)[0, 0]), abs=1e-4)
    assert (answer.llr_nats, answer.grade, answer.direction) == (None, Grade.NEUTRAL, Direction.NONE)
    assert "counts for nothing" in answer.reason
    assert any("signet train card learned.npr" in seen.value for seen in answer.observations)


def test_a_policy_enables_it_and_the_verdict_ignores_it(home: Path) -> None:
    (detector,) = pretrained_detectors(home, wanted=("learned.npr",))
    policy = policy_of("learned.npr")
    engine = DetectionEngine([detector], policy, policy_digest="0" * 64)
    verdict = engine.judge(upload_of(PHOTO)).verdict
    assert (verdict.level, verdict.llr_nats) == (VerdictLevel.UNDETERMINED, None)  # as if nothing had been examined
    assert isinstance(verdict.results[0], Evidence)


def test_weights_that_give_nan_fail_closed(home: Path) -> None:
    state = half_resnet_state()
    state["fc1.bias"] = torch.tensor([math.nan])
    entry = entry_of("npr")
    assert entry is not None
    source = saved(home / "nan.safetensors", state)
    install(entry, source, home=home, origin="t", revision=None, sha256=None, accepted=True, today=date(2026, 11, 23))
    (detector,) = pretrained_detectors(home, wanted=("learned.npr",))
    with pytest.raises(DetectorError, match="not a finite number"):
        detector.examine(upload_of(PHOTO))
    policy = policy_of("learned.npr")
    engine = DetectionEngine([detector], policy, policy_digest="0" * 64)
    verdict = engine.judge(upload_of(PHOTO)).verdict
    assert verdict.level is VerdictLevel.UNDETERMINED
    assert isinstance(verdict.results[0], Failed)


def test_a_card_makes_the_score_count_and_holds_for_its_weights_only(home: Path) -> None:
    (bare,) = pretrained_detectors(home, wanted=("learned.npr",))
    path = home / "weights" / "npr" / CARD_FILE
    path.write_text(card(bare.scorer.digest).model_dump_json())
    (detector,) = pretrained_detectors(home, wanted=("learned.npr",))
    answer = detector.examine(upload_of(PHOTO))
    assert isinstance(answer, Evidence)
    assert answer.llr_nats is not None
    assert abs(answer.llr_nats) <= abs(card().llr_nats(answer.raw_score or 0.0)) + 1e-9
    path.write_text(card("1" * 64).model_dump_json())
    with pytest.raises(WeightsError, match="calibrates the weights"):
        pretrained_detectors(home, wanted=("learned.npr",))
    assert pretrained_detectors(home, wanted=("learned.npr",), with_cards=False)


def test_a_picture_that_does_not_fill_the_input_is_skipped(tmp_path: Path) -> None:
    entry = entry_of("safe")
    assert entry is not None
    source = saved(tmp_path / "s.safetensors", half_resnet_state(2))
    install(
        entry, source, home=tmp_path, origin="t", revision=None, sha256=None, accepted=True, today=date(2026, 11, 23)
    )
    (detector,) = pretrained_detectors(tmp_path, wanted=("learned.safe",))
    answer = detector.examine(upload_of(PHOTO[:255]))
    assert isinstance(answer, Skipped)
    assert "255 px" in answer.reason
    assert isinstance(detector.examine(upload_of(PHOTO[:256])), Evidence)


@pytest.mark.parametrize("kind", ["univfd", "rine"])
def test_a_backbone_comes_from_its_own_file_and_its_text_side_is_left_out(kind: str, tmp_path: Path) -> None:
    ours = (
        UnivFD(clip=TINY, embedding=10) if kind == "univfd" else RINE(clip=TINY, embedding=10, projections=1, width=8)
    )
    torch.manual_seed(1)
    own = {name: torch.randn(shape) for name, shape in ours.shapes().items()}
    below = {name: 0.2 * torch.randn(shape) for name, shape in ours.backbone_shapes().items()}
    scorer = NetworkScorer(
        ours,
        Preparation(crop=32, mean=CLIP_MEAN, std=CLIP_STD),
        name="tiny",
        file=saved(tmp_path / "own", own),
        backbone=saved(tmp_path / "clip", below | {"logit_scale": torch.zeros(()), "text_projection": torch.zeros(2)}),
        digest="0" * 64,
    )
    seen = torch.from_numpy(prepare(PHOTO, Preparation(crop=32, mean=CLIP_MEAN, std=CLIP_STD)))[None]
    with torch.inference_mode():
        assert scorer.score(PHOTO) == pytest.approx(float(ours.logits(own | below, seen)[0]), rel=1e-5)
    del below["visual.proj"]
    lacking = NetworkScorer(
        ours,
        Preparation(crop=32, mean=CLIP_MEAN, std=CLIP_STD),
        name="tiny",
        file=tmp_path / "own",
        backbone=saved(tmp_path / "clip2", below),
        digest="0" * 64,
    )
    with pytest.raises(WeightsError, match=r"missing \(visual.proj\)"):
        lacking.score(PHOTO)


def detector_of(scorer: Brightness, fitted: CalibrationCard | None = None) -> PretrainedDetector:
    return PretrainedDetector(scorer, id="learned.brightness", title="Brightness", card=fitted)


def scored(shift: float) -> list[Embedded]:
    rng = np.random.default_rng(2)
    found = []
    for generated in (False, True):
        for source in range(4):
            group = f"{'made' if generated else 'real'}-{source}"
            for number in range(25):
                item = Labelled(path=Path(f"{group}-{number}"), generated=generated, group=group, generator=None)
                value = np.array([rng.normal(shift * generated, 1.0)], np.float32)
                found.append(Embedded(item=item, sha256=f"{len(found):064x}", features=value))
    return found


def test_a_fitted_card_is_calibrated_and_says_what_it_rests_on() -> None:
    fitted = fit_card(scored(2.0), detector_of(Brightness()), date="2026-11-23")
    assert fitted.mapping.slope == pytest.approx(2.0, rel=0.35)  # two unit normals 2 apart: ratio 2 x - 2
    assert fitted.llr_nats(1.0) == pytest.approx(0.0, abs=0.6)
    assert fitted.measured[0].auc == pytest.approx(0.92, abs=0.06)
    assert (fitted.training.real, fitted.training.sources) == (0, ())
    assert fitted.model_sha256 == Brightness.digest
    answer = detector_of(Brightness(), fitted).examine(upload_of(PHOTO))
    assert isinstance(answer, Evidence)
    assert answer.llr_nats is not None
    useless = fit_card(scored(0.0), detector_of(Brightness()), date="2026-11-23")
    assert abs(useless.llr_nats(2.0)) < 0.8


def test_only_pictures_in_the_domain_are_scored(tmp_path: Path) -> None:
    from PIL import Image

    for name, pixels in {
        "real/a/photo.png": PHOTO,
        "real/b/flat.png": np.full((300, 300, 3), 90, np.uint8),
        "generated/c/small.png": PHOTO[:100, :100],
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.ascontiguousarray(pixels)).save(tmp_path / name)
    seen: list[int] = []
    found = score_pictures(read_labelled(tmp_path), detector_of(Brightness()), progress=lambda: seen.append(1))
    assert [one.item.path.name for one in found] == ["photo.png"]
    assert len(seen) == 3
    assert DOMAIN.min_side_px == 160


@pytest.mark.slow
def test_reconstruction_likes_what_its_own_autoencoder_made(tmp_path: Path) -> None:
    diffusers = pytest.importorskip("diffusers")
    vae = signet_mini_folder() / "vae"
    installed = install_autoencoder(vae, name="mini", home=tmp_path, sha256=None, today=date(2026, 11, 23))
    assert json.loads((installed.folder / "installed.json").read_text())["entry"] == "vae-mini"
    (detector,) = pretrained_detectors(tmp_path, wanted=("learned.reconstruction.mini",))
    part = central_part(PHOTO[100:292, 100:292])
    assert part.shape == (192, 192, 3)
    model = diffusers.AutoencoderKL.from_pretrained(vae).eval()
    given = torch.from_numpy(part.astype(np.float32) / 127.5 - 1).permute(2, 0, 1)[None]
    with torch.inference_mode():
        made = model.decode(model.encode(given).latent_dist.mode()).sample[0].clamp(-1, 1)
    redrawn = np.ascontiguousarray(((made.permute(1, 2, 0).numpy() / 2 + 0.5) * 255).round().astype(np.uint8))
    photo, own = (detector.examine(upload_of(pixels)) for pixels in (part, redrawn))
    assert isinstance(photo, Evidence)
    assert isinstance(own, Evidence)
    assert photo.raw_score is not None
    assert own.raw_score is not None
    assert photo.raw_score < own.raw_score < 0
    assert photo.llr_nats is None
    with pytest.raises(WeightsError, match="vgg16-imagenet, lpips-vgg is not installed"):
        pretrained_detectors(tmp_path, wanted=("learned.aeroblade.mini",))
    for name, shapes in (("vgg16-imagenet", VGG_SHAPES), ("lpips-vgg", LINEAR_SHAPES)):
        entry = entry_of(name)
        assert entry is not None
        tensors = {tensor: 0.1 * torch.rand(shape) for tensor, shape in shapes.items()} | {"other": torch.zeros(1)}
        source = saved(tmp_path / name, tensors)
        install(
            replace(entry, sha256=None), source, home=tmp_path, origin="t", revision=None, sha256=None,
            accepted=True, today=date(2026, 11, 23),
        )  # fmt: skip
    (aeroblade,) = pretrained_detectors(tmp_path, wanted=("learned.aeroblade.mini",))
    assert aeroblade.scorer.digest != detector.scorer.digest
    answer = aeroblade.examine(upload_of(part))
    assert isinstance(answer, Evidence)
    assert answer.raw_score is not None
    assert answer.raw_score < 0
    assert "LPIPS" in aeroblade.scorer.scale
    expected = detail_distance(part.astype(np.float32) / 255, made.permute(1, 2, 0).numpy() / 2 + 0.5)
    assert photo.raw_score == pytest.approx(-expected, abs=1e-5)


def test_the_distance_is_zero_for_equal_pictures_and_grows_with_blur() -> None:
    import cv2

    picture = PHOTO.astype(np.float32) / 255
    softer, softest = cv2.GaussianBlur(picture, (0, 0), 0.6), cv2.GaussianBlur(picture, (0, 0), 2.0)
    assert detail_distance(picture, picture) == 0.0
    assert 0 < detail_distance(picture, softer) < detail_distance(picture, softest) < 1.5


def test_reports_name_what_only_others_can_check() -> None:
    assert "SynthID" in ELSEWHERE[0]
    assert "gemini.google.com" in ELSEWHERE[0]
