"""A policy's entries become the checkers that they describe, with the operator's models, or the start fails."""

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from guard.assembly import Core, build_core
from guard.checker_assembly import build_image_checkers
from guard.errors import PolicyError, WeightsError
from guard.policy.decide import Policy
from guard.policy.load import load_policy
from guard.records import Action
from guard.settings import load_settings
from tests.guard.image_check.tiny_models import noise, save_clip, save_safety_checker, source_of
from tests.guard.test_assembly import changed_policy

needs_clip = pytest.mark.skipif(importlib.util.find_spec("open_clip") is None, reason="the extra clip is absent")
needs_ocr = pytest.mark.skipif(importlib.util.find_spec("rapidocr") is None, reason="the extra ocr is absent")


@pytest.fixture
def core(tmp_path: Path):
    opened = build_core(load_settings(home=tmp_path / "home", device="cpu"))
    yield opened
    opened.close()


def policy_with(folder: Path, *entries: dict[str, Any], **more: Any) -> Policy:
    return load_policy(changed_policy(folder, image=list(entries), **more))


def pinned(folder: Path) -> dict[str, str]:
    return {"folder": str(folder), "digest": source_of(folder).digest}


@needs_clip
@pytest.mark.filterwarnings("ignore")  # of torch and timm, about themselves
def test_clip_concepts_run_on_the_operators_model_and_the_policy_decides(tmp_path: Path, core: Core) -> None:
    model = pinned(save_clip(tmp_path / "clip"))
    gore = {"category": "violence_gore", "prompts": ["blood"], "min_score": 0.0, "severity": 6}
    concepts = {"id": "image.clip_concepts", "model": model, "concepts": {"gore": gore}}
    protected = {"id": "image.protected", "model": dict(model), "min_similarity": 0.9}
    policy = policy_with(tmp_path, concepts, protected)
    checker, similar = build_image_checkers(policy, core=core)
    assert (checker.id, similar.id) == ("image.clip_concepts", "image.protected")
    (finding,) = checker.check(noise(60, 60))
    assert (finding.category, finding.severity) == ("violence_gore", 6)
    assert len(core._clip_models) == 1  # one model for both


@pytest.mark.filterwarnings("ignore")  # of torch and transformers, about themselves
def test_the_safety_checker_blocks_through_the_default_rules(tmp_path: Path, core: Core) -> None:
    entry = {"id": "image.safety_checker", "model": pinned(save_safety_checker(tmp_path / "safety")), "severity": 4}
    policy = policy_with(tmp_path, entry)
    (checker,) = build_image_checkers(policy, core=core)
    assert policy.decide(checker.check(noise(60, 60)), stage="image").action is Action.BLOCK


def test_a_model_that_is_not_as_pinned_stops_the_start(tmp_path: Path, core: Core) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.safetensors").write_bytes(b"weights")
    entry = {"id": "image.safety_checker", "model": {"folder": str(tmp_path / "model"), "digest": "0" * 64}}
    with pytest.raises(WeightsError, match="SHA-256"):
        build_image_checkers(policy_with(tmp_path, entry), core=core)


@needs_ocr
def test_text_in_a_picture_is_blocked_like_a_prompt(tmp_path: Path, core: Core) -> None:
    policy = policy_with(tmp_path, {"id": "image.text"})
    (checker,) = build_image_checkers(policy, core=core)
    picture = Image.new("RGB", (640, 320), "white")
    drawing, font = ImageDraw.Draw(picture), ImageFont.load_default(size=36)
    drawing.text((40, 40), "explicit porn scene", font=font, fill="black")
    findings = checker.check(np.asarray(picture))
    assert not policy.decide(findings, stage="image").releases
    assert all(finding.checker == "image.text" for finding in findings)
    picture = Image.new("RGB", (640, 320), "white")
    ImageDraw.Draw(picture).text((40, 40), "bakery open daily", font=font, fill="black")
    assert policy.decide(checker.check(np.asarray(picture)), stage="image").action is Action.ALLOW


DIGEST = "0" * 64


@pytest.mark.parametrize(
    "entry",
    [
        {"id": "image.protected", "min_similarity": 0.9},
        {"id": "image.protected", "model": {"folder": "/x", "digest": DIGEST}},
        {"id": "image.safety_checker", "model": {"digest": DIGEST}},
        {"id": "image.safety_checker", "model": {"folder": "/x", "hub": "a/b", "digest": DIGEST}},
        {"id": "image.safety_checker", "model": {"hub": "a/b", "digest": DIGEST}},
        {"id": "image.safety_checker", "model": {"hub": "a/b", "revision": "main", "digest": DIGEST}},
        {"id": "image.safety_checker", "model": {"folder": "/x", "digest": "abc"}},
        {"id": "image.clip_concepts", "model": {"folder": "/x", "digest": DIGEST}, "concepts": {}},
        {"id": "image.text", "checkers": ["prompt.hf.absent"]},
        {"id": "image.text", "checkers": ["image.nudity"]},
    ],
)
def test_entries_that_contradict_themselves_are_no_policy(tmp_path: Path, entry: dict[str, Any]) -> None:
    with pytest.raises(PolicyError):
        policy_with(tmp_path, entry)


@pytest.mark.parametrize("at", [[], [0.0], [0.99], [0.2, 0.4, 0.6, 0.8], ["half"]])
def test_previews_are_asked_for_within_the_run(tmp_path: Path, at: list[Any]) -> None:
    with pytest.raises(PolicyError):
        policy_with(tmp_path, {"id": "image.protected"}, preview={"at": at})


def test_a_policy_can_ask_for_previews(tmp_path: Path) -> None:
    policy = policy_with(tmp_path, {"id": "image.protected"}, preview={"at": [0.5]})
    assert policy.document.checkers.preview is not None
    assert policy.document.checkers.preview.at == (0.5,)


def test_a_face_detector_that_is_not_there_stops_the_start(tmp_path: Path, core: Core) -> None:
    classes = {"FEMALE_BREAST_EXPOSED": {"min_score": 0.4, "severity": 5}}
    faces = {"file": str(tmp_path / "missing.onnx"), "digest": "0" * 64}
    policy = policy_with(tmp_path, {"id": "image.nudity", "classes": classes, "faces": faces})
    with pytest.raises(WeightsError, match="face detector"):
        build_image_checkers(policy, core=core)
