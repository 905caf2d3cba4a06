import importlib.util
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from skimage import data

from guard.errors import CheckError, ConfigError, WeightsError
from guard.image_check import nudity
from guard.image_check.faces import Face
from guard.image_check.nudity import CLASSES, INPUT_PX, Detection, NudityChecker, read_output, suppress, to_input
from guard.records import Region
from guard.weights import WeightSpec

needs_nudenet = pytest.mark.skipif(importlib.util.find_spec("nudenet") is None, reason="the extra nudenet is absent")
FACE = {"FACE_FEMALE": SimpleNamespace(min_score=0.5, severity=1)}


class ScriptedSession:
    """Stands in for onnxruntime: returns the scripted (22, boxes) output for every view."""

    def __init__(self, output: np.ndarray) -> None:
        self.output = output

    def run(self, names: object, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        assert inputs["images"].shape == (1, 3, INPUT_PX, 160)  # of a picture of 200 x 100
        return [self.output[None]]


def raw(*boxes: tuple[str, float, float, float, float, float]) -> np.ndarray:
    """(22, n) output from (class, score, centre x, centre y, width, height) in input pixels."""
    output = np.zeros((4 + len(CLASSES), len(boxes)), np.float32)
    for column, (name, score, *box) in enumerate(boxes):
        output[:4, column] = box
        output[4 + CLASSES.index(name), column] = score
    return output


def scripted(
    monkeypatch: pytest.MonkeyPatch, output: np.ndarray, *, alone: float | None = None, **limits: tuple[float, int]
) -> NudityChecker:
    monkeypatch.setattr(nudity, "detector_file", lambda: None)
    monkeypatch.setattr(nudity, "verify_file", lambda path, spec: path)
    monkeypatch.setattr(nudity, "open_onnx", lambda path, *, name: ScriptedSession(output))
    classes = {n: SimpleNamespace(min_score=s, severity=v) for n, (s, v) in limits.items()}
    return NudityChecker(classes=classes, alone_min_score=alone)


GREY = np.full((200, 100, 3), 127, np.uint8)


def test_the_policy_decides_which_classes_count(monkeypatch: pytest.MonkeyPatch) -> None:
    output = raw(("BUTTOCKS_EXPOSED", 0.6, 40, 160, 20, 20), ("FEET_EXPOSED", 0.9, 40, 300, 20, 20))
    (finding,) = scripted(monkeypatch, output, BUTTOCKS_EXPOSED=(0.5, 4)).check(GREY)
    assert (finding.category, finding.severity, finding.hard) == ("sexual", 4, False)
    assert finding.score == pytest.approx(0.6)
    (region,) = finding.regions
    assert (region.x, region.y, region.width, region.height) == (19, 94, 12, 12)  # 200 px / 320 = 0.625 per input pixel
    assert scripted(monkeypatch, output, BUTTOCKS_EXPOSED=(0.7, 4)).check(GREY) == []
    assert scripted(monkeypatch, output, FEMALE_BREAST_EXPOSED=(0.2, 5)).check(GREY) == []


def test_intimate_parts_with_a_face_are_hard_whatever_the_policy_says(monkeypatch: pytest.MonkeyPatch) -> None:
    face, part = ("FACE_MALE", 0.8, 40, 40, 30, 30), ("MALE_GENITALIA_EXPOSED", 0.7, 40, 200, 20, 20)
    (hard,) = scripted(monkeypatch, raw(face, part), FEET_EXPOSED=(1.0, 0)).check(GREY)
    assert (hard.category, hard.hard, hard.severity, len(hard.regions)) == ("likeness", True, 7, 2)
    assert scripted(monkeypatch, raw(face), FEET_EXPOSED=(1.0, 0)).check(GREY) == []
    assert scripted(monkeypatch, raw(part), FEET_EXPOSED=(1.0, 0)).check(GREY) == []
    weak = ("FACE_MALE", 0.4, 40, 40, 30, 30)
    assert scripted(monkeypatch, raw(weak, part), FEET_EXPOSED=(1.0, 0)).check(GREY) == []


@pytest.mark.parametrize(
    ("score", "company", "alone", "severity"),
    [(0.45, 0.0, 0.6, 3), (0.65, 0.0, 0.6, 6), (0.45, 0.35, 0.6, 6), (0.45, 0.25, 0.6, 3), (0.45, 0.0, None, 6)],
)
def test_an_unsure_detection_without_a_body_around_is_mild_where_the_policy_says_so(
    monkeypatch: pytest.MonkeyPatch, score: float, company: float, alone: float | None, severity: int
) -> None:
    output = raw(("ANUS_EXPOSED", score, 40, 160, 20, 20), ("BELLY_EXPOSED", company, 40, 60, 20, 20))
    (finding,) = scripted(monkeypatch, output, alone=alone, ANUS_EXPOSED=(0.35, 6)).check(GREY)
    assert finding.severity == severity
    assert finding.score == pytest.approx(score)


def test_a_mild_class_does_not_become_graver_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    output = raw(("FEET_EXPOSED", 0.45, 40, 160, 20, 20))
    (finding,) = scripted(monkeypatch, output, alone=0.6, FEET_EXPOSED=(0.35, 1)).check(GREY)
    assert finding.severity == 1


@pytest.mark.parametrize("bad", [np.full((22, 3), np.nan, np.float32), np.zeros((21, 3), np.float32), np.zeros(22)])
def test_an_unreadable_answer_fails_closed(monkeypatch: pytest.MonkeyPatch, bad: np.ndarray) -> None:
    with pytest.raises(CheckError):
        scripted(monkeypatch, bad, FEET_EXPOSED=(0.5, 1)).check(GREY)


def test_a_crashing_detector_fails_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    checker = scripted(monkeypatch, raw(), FEET_EXPOSED=(0.5, 1))
    monkeypatch.setattr(ScriptedSession, "run", lambda *a: 1 / 0)
    with pytest.raises(CheckError):
        checker.check(GREY)


def test_a_missing_package_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError) as caught:
        NudityChecker(classes=FACE)
    assert "signet-gateway[nudenet]" in caught.value.diagnostics()


def test_an_unknown_class_stops_the_start() -> None:
    with pytest.raises(ConfigError, match="ELBOW"):
        NudityChecker(classes={"ELBOW": SimpleNamespace(min_score=0.5, severity=1)})


@needs_nudenet
def test_anotherdetector_file_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    pinned = nudity.DETECTOR
    other = WeightSpec(
        id=pinned.id,
        revision=pinned.revision,
        sha256="0" * 64,
        size_bytes=pinned.size_bytes,
        licence=pinned.licence,
        source_url=pinned.source_url,
    )
    monkeypatch.setattr(nudity, "DETECTOR", other)
    with pytest.raises(WeightsError):
        NudityChecker(classes=FACE)


@pytest.fixture(scope="module")
def detector() -> NudityChecker:
    return NudityChecker(classes=FACE)


@needs_nudenet
def test_the_real_detector_finds_the_face_of_the_astronaut(detector: NudityChecker) -> None:
    (finding,) = detector.check(data.astronaut())
    (region,) = finding.regions
    centre = (region.x + region.width / 2, region.y + region.height / 2)
    assert finding.score > 0.6
    assert 180 < centre[0] < 270
    assert 60 < centre[1] < 170


@needs_nudenet
def test_a_small_face_in_a_large_picture_is_not_lost(detector: NudityChecker) -> None:
    small = np.asarray(Image.fromarray(data.astronaut()).resize((240, 240)))
    large = np.full((1024, 1400, 3), 90, np.uint8)
    large[700:940, 1100:1340] = small
    (finding,) = detector.check(large)
    (region,) = finding.regions
    assert 1100 < region.x < 1340
    assert 700 < region.y < 940


@needs_nudenet
@pytest.mark.parametrize("picture", [data.cat(), data.coffee(), data.rocket()], ids=["cat", "coffee", "rocket"])
def test_harmless_pictures_have_no_exposed_class(detector: NudityChecker, picture: np.ndarray) -> None:
    assert [d for d in detector.detect(picture) if d.name in nudity.INTIMATE and d.score > 0.35] == []


def test_input_is_padded_with_black_to_the_stride() -> None:
    batch = to_input(np.full((320, 150, 3), 255, np.uint8))
    assert (batch.shape, batch.dtype) == ((1, 3, 320, 160), np.float32)
    assert batch[0, :, :, :150].min() == pytest.approx(1.0)
    assert batch[0, :, :, 150:].max() == 0.0


def test_boxes_are_scaled_to_the_picture_and_clipped_to_it() -> None:
    (box,) = read_output(raw(("FEET_EXPOSED", 0.5, 310, 10, 40, 40)), scale=2.0, size=(640, 640))
    assert (box.x, box.y, box.width, box.height) == (580, 0, 60, 60)
    assert read_output(raw(("FEET_EXPOSED", 0.1, 50, 50, 9, 9)), scale=1.0, size=(320, 320)) == []


def test_overlapping_boxes_of_one_class_are_one_detection() -> None:
    best = Detection("FEET_EXPOSED", 0.9, 0, 0, 10, 10)
    again = Detection("FEET_EXPOSED", 0.5, 1, 1, 10, 10)
    other_class = Detection("BELLY_EXPOSED", 0.4, 0, 0, 10, 10)
    elsewhere = Detection("FEET_EXPOSED", 0.3, 50, 50, 10, 10)
    assert suppress([again, elsewhere, other_class, best]) == [best, other_class, elsewhere]


class ScriptedFaces:
    """A second face detector that counts how often it is asked."""

    def __init__(self, *found: Face) -> None:
        self.found = list(found)
        self.asked = 0

    def detect(self, pixels: np.ndarray) -> list[Face]:
        self.asked += 1
        return self.found


def test_a_face_that_only_the_second_detector_sees_makes_the_hard_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    exposed = ("FEMALE_BREAST_EXPOSED", 0.9, 80, 160, 20, 20)
    face = Face(0.85, Region(x=1, y=2, width=30, height=40))
    for faces, output, hard, asked in (
        (ScriptedFaces(face), raw(exposed), 1, 1),
        (ScriptedFaces(), raw(exposed), 0, 1),
        (ScriptedFaces(face), raw(("FACE_FEMALE", 0.9, 80, 60, 20, 20), exposed), 1, 0),
        (ScriptedFaces(face), raw(("FEET_EXPOSED", 0.9, 80, 60, 20, 20)), 0, 0),
    ):
        checker = scripted(monkeypatch, output, FEMALE_BREAST_EXPOSED=(0.4, 5))
        monkeypatch.setattr(checker, "_faces", faces)
        found = [finding for finding in checker.check(GREY) if finding.hard]
        assert (len(found), faces.asked) == (hard, asked)
        if hard and asked:
            assert (found[0].score, found[0].regions[-1]) == (0.85, face.region)
