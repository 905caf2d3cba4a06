"""The safety checker of Stable Diffusion decides as upstream does, and never paints anything black."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from guard.errors import CheckError, WeightsError
from guard.image_check.safety_checker import SPECIAL_CARE, SafetyChecker, to_input, with_special_care
from guard.model_source import ModelSource
from tests.guard.image_check.tiny_models import noise, save_safety_checker, source_of

pytestmark = pytest.mark.filterwarnings("ignore")  # of torch and transformers, about themselves


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_safety_checker(tmp_path_factory.mktemp("safety") / "checker")


@pytest.fixture(scope="module")
def checker(folder: Path) -> SafetyChecker:
    return SafetyChecker(source_of(folder), severity=5)


def test_what_passes_a_threshold_is_a_finding_and_the_picture_stays(checker: SafetyChecker) -> None:
    picture = noise(40, 30)
    before = picture.copy()
    (finding,) = checker.check(picture)
    assert (finding.checker, finding.category, finding.severity) == ("image.safety_checker", "sexual", 5)
    assert finding.score > 0.99
    assert finding.hard is False
    assert (picture == before).all()


def test_what_passes_none_is_no_finding(tmp_path: Path) -> None:
    strict = SafetyChecker(source_of(save_safety_checker(tmp_path / "none", threshold=2.0)))
    assert strict.check(noise(40, 40)) == []


def test_margins_are_those_of_upstream(folder: Path, checker: SafetyChecker) -> None:
    from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker, cosine_distance

    model = StableDiffusionSafetyChecker.from_pretrained(folder)
    picture = noise(32, 32, seed=3)
    with torch.no_grad():
        batch = torch.from_numpy(to_input(picture, side=32)[None])
        vectors = model.visual_projection(model.vision_model(batch)[1])
        cosines = cosine_distance(vectors, model.concept_embeds) - model.concept_embeds_weights
    np.testing.assert_allclose(checker.margins([picture]), cosines.numpy(), atol=6e-4)  # ours are rounded to 0.001


def test_a_small_region_of_a_large_picture_counts(checker: SafetyChecker) -> None:
    large = np.full((200, 300, 3), 90, np.uint8)
    large[:100, :100] = noise(100, 100)
    margins = checker.margins([large, *[large[:100, :100]]])
    (finding,) = checker.check(large)
    assert f"{margins[0].max():.3f}" != f"{margins[1].max():.3f}"  # views differ, so the best one matters
    assert finding.score >= 1 / (1 + np.exp(-margins[0].max() / 0.02))


def test_missing_weights_stop_the_start(folder: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / "config.json").write_text((folder / "config.json").read_text())
    weights = load_file(folder / "model.safetensors")
    del weights["concept_embeds"]
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(WeightsError, match="concept_embeds"):
        SafetyChecker(source_of(copy))


def test_another_digest_stops_the_start(folder: Path) -> None:
    with pytest.raises(WeightsError, match="SHA-256"):
        SafetyChecker(ModelSource(folder=folder, digest="0" * 64))


def test_numbers_that_are_not_finite_fail_closed(folder: Path) -> None:
    checker = SafetyChecker(source_of(folder))
    with torch.no_grad():
        checker._model.visual_projection.weight.fill_(float("nan"))
    with pytest.raises(CheckError, match="not finite"):
        checker.check(noise(32, 32))


def test_a_folder_without_weights_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({}))
    with pytest.raises(WeightsError, match="no safetensors"):
        SafetyChecker(source_of(tmp_path))


@given(st.lists(st.floats(-0.1, 0.1), min_size=3, max_size=3), st.floats(-0.1, 0.1))
def test_special_care_only_ever_raises_the_margins(special: list[float], concept: float) -> None:
    (margin,) = with_special_care(np.array([special]), np.array([[concept]]))[0]
    cared = bool((np.array(special).round(3) > 0).any())  # numpy's rounding: 0.0005 goes to 0, Python's goes to 0.001
    assert margin == pytest.approx(concept + (SPECIAL_CARE if cared else 0.0), abs=6e-4)
