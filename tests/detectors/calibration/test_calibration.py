"""Cards, domain and words: what may become evidence, and in which words."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage import data

from detectors.calibration.card import CalibrationCard, files_digest, read_card
from detectors.calibration.domain import jpeg_quality, outside_domain
from detectors.calibration.judgement import judge_crops
from detectors.calibration.words import base_rate_note, posterior, verbal
from detectors.crops import choose_crops
from detectors.upload import load_upload
from guard.errors import WeightsError
from guard.media import encode
from guard.records import ImageFormat
from tests.detectors.calibration.cards import card

FINITE = st.floats(-1e6, 1e6, allow_nan=False)


@given(FINITE, FINITE)
def test_a_higher_score_never_weighs_less_and_the_range_holds(first: float, second: float) -> None:
    low, high = sorted((first, second))
    assert card().llr_nats(low) <= card().llr_nats(high)
    assert card().mapping.lowest <= card().llr_nats(low)
    assert card().llr_nats(high) <= card().mapping.highest


@pytest.mark.parametrize("score", [math.nan, math.inf])
def test_a_score_that_is_no_number_is_no_evidence(score: float) -> None:
    with pytest.raises(ValueError, match="score"):
        card().llr_nats(score)


def test_false_positive_rates_are_read_from_below() -> None:
    assert card().false_positive_rate(1.4) == 0.05
    assert card().false_positive_rate(-3.0) is None


def test_one_source_cannot_both_train_and_test() -> None:
    row = json.loads(card().model_dump_json())
    row["test"]["sources"] = row["training"]["sources"]
    with pytest.raises(ValueError, match="two sides"):
        CalibrationCard.model_validate(row)


def test_a_damaged_card_says_where(tmp_path: Path) -> None:
    row = json.loads(card().model_dump_json())
    row["mapping"]["slope"] = -1
    path = tmp_path / "x.card.json"
    path.write_text(json.dumps(row))
    with pytest.raises(WeightsError, match=r"mapping\.slope"):
        read_card(path)
    path.write_text(card().model_dump_json())
    assert read_card(path) == card()


def test_digests_do_not_depend_on_order() -> None:
    assert files_digest(["b", "a"]) == files_digest(["a", "b"]) != files_digest(["a"])


@pytest.mark.parametrize("quality", [35, 50, 75, 90, 98])
def test_quality_is_read_from_the_tables(quality: int) -> None:
    assert jpeg_quality(encode(data.astronaut(), ImageFormat.JPEG, quality=quality)) == pytest.approx(quality, abs=1)
    assert jpeg_quality(encode(data.astronaut(), ImageFormat.PNG)) is None


@pytest.mark.parametrize(
    ("pixels", "quality", "words"),
    [
        (data.astronaut()[:140, :200], None, "Too small"),
        (data.astronaut(), 20, "Too compressed"),
        (np.full((300, 300, 3), 90, np.uint8), None, "Too smooth"),
    ],
)
def test_pictures_outside_the_domain_are_skipped_with_the_reason(
    pixels: np.ndarray, quality: int | None, words: str
) -> None:
    coded = encode(pixels, ImageFormat.PNG) if quality is None else encode(pixels, ImageFormat.JPEG, quality=quality)
    upload = load_upload(coded)
    reason = outside_domain(upload, choose_crops(upload.pixels), card().domain)
    assert reason is not None
    assert words in reason


def test_an_ordinary_picture_is_inside() -> None:
    upload = load_upload(encode(data.astronaut(), ImageFormat.JPEG, quality=85))
    assert outside_domain(upload, choose_crops(upload.pixels), card().domain) is None


def test_evidence_that_one_more_save_destroys_counts_for_less() -> None:
    upload = load_upload(encode(data.astronaut(), ImageFormat.PNG))
    original = [crop.pixels for crop in choose_crops(upload.pixels)]

    def fragile(crops):
        same = all(np.array_equal(c.pixels, o) for c, o in zip(crops, original, strict=True))
        return np.full(len(crops), 2.0 if same else 0.7, np.float32)

    judged = judge_crops(upload, card(), fragile)
    stable = judge_crops(upload, card(), lambda crops: np.full(len(crops), 2.0, np.float32))
    turned = judge_crops(upload, card(), lambda crops: fragile(crops) - 1.0)
    assert not isinstance(judged, str)
    assert not isinstance(stable, str)
    assert not isinstance(turned, str)
    assert judged.llr_nats == pytest.approx(card().llr_nats(0.7), abs=1e-5)
    assert stable.llr_nats == pytest.approx(card().llr_nats(2.0), abs=1e-5)
    assert turned.llr_nats == 0.0
    assert any("does not hold" in o.value for o in judged.observations)
    assert any("holds" in o.value and "does not" not in o.value for o in stable.observations)


@pytest.mark.parametrize(
    ("ratio", "word"),
    [(1.5, "no support"), (3, "weak"), (20, "moderate"), (200, "moderately strong"), (2000, "strong")],
)
def test_words_follow_the_scale(ratio: float, word: str) -> None:
    assert verbal(math.log(ratio)).startswith(word)
    assert verbal(-math.log(ratio)).startswith(word)
    assert ('"not generated"' in verbal(-math.log(ratio))) == (ratio >= 2)


def test_base_rates_follow_bayes() -> None:
    assert posterior(math.log(10), 0.5) == pytest.approx(10 / 11)
    assert posterior(math.log(10), 0.01) == pytest.approx(0.1 / (0.1 + 0.99))
    assert posterior(-800.0, 0.5) == 0.0
    assert base_rate_note(math.log(10)).startswith("Chance of being generated: 9% where 1%")
