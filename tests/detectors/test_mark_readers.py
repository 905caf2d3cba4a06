"""Readers of others' marks: installed, listed by a policy, told what to look for, or the start says what is missing."""

from datetime import date
from pathlib import Path

import pytest

from detectors.evidence import Direction, Evidence, Grade
from detectors.mark_readers import operator_mark_detectors
from detectors.policy import DetectionPolicy, KnownMessage, RecognitionPolicy
from detectors.pretrained.catalogue import entry_of
from detectors.pretrained.installer import install
from detectors.upload import load_upload
from guard.errors import PolicyError, WeightsError
from guard.media import encode
from guard.records import ImageFormat
from guard.watermark.trustmark import encode_packet
from tests.detectors.builders import POLICY
from tests.guard.watermark.test_trustmark import PICTURE, bits_of, constant_model

UPLOAD = load_upload(encode(PICTURE, ImageFormat.PNG))
MESSAGE = KnownMessage(detector="watermark.rivagan", writer="Our newsroom", bits="53445632")


def policy(*detectors: str, marks: tuple[KnownMessage, ...] = ()) -> DetectionPolicy:
    recognition = RecognitionPolicy(pdq_max_distance=31, pdq_min_quality=50)
    return DetectionPolicy(
        version=1, id="test", detectors=detectors, fusion=POLICY, recognition=recognition, marks=marks
    )  # fmt: skip


def put(name: str, source: Path, home: Path) -> None:
    entry = entry_of(name)
    assert entry is not None
    install(
        entry, source, home=home, origin="test", revision=None, sha256=None, accepted=True, today=date(2026, 11, 23)
    )  # fmt: skip


@pytest.fixture
def home(tmp_path: Path) -> Path:
    logits = [2.0 * bit - 1.0 for bit in encode_packet(bits_of("0da021c0b1", 40), 0)]
    constant_model(tmp_path / "q.onnx", logits, shape=[1, 3, 16, 16], name="image")
    put("trustmark-q", tmp_path / "q.onnx", tmp_path)
    answer = [0.9 if bit else 0.1 for bit in bits_of("53445632", 32)]
    constant_model(tmp_path / "r.onnx", answer, shape=[1, 3, 1, "h", "w"], name="frame")
    put("rivagan", tmp_path / "r.onnx", tmp_path)
    return tmp_path


def test_listed_readers_read_and_others_stay_off(home: Path) -> None:
    assert operator_mark_detectors(home, policy("watermark.open_marks")) == []
    (trustmark,) = operator_mark_detectors(home, policy("watermark.trustmark-q"))
    answer = trustmark.examine(UPLOAD)
    assert isinstance(answer, Evidence)
    assert (answer.id, answer.grade) == ("watermark.trustmark-q", Grade.NEUTRAL)
    assert answer.version.startswith("1+")  # names the weights
    assert any("0da021c0b1" in seen.value for seen in answer.observations)


def test_a_listed_message_names_its_writer(home: Path) -> None:
    (rivagan,) = operator_mark_detectors(home, policy("watermark.rivagan", marks=(MESSAGE,)))
    answer = rivagan.examine(UPLOAD)
    assert isinstance(answer, Evidence)
    assert (answer.grade, answer.direction, answer.generator) == (Grade.SUPPORTING, Direction.AI, "Our newsroom")
    other = MESSAGE.model_copy(update={"bits": "acbba9cd"})
    (rivagan,) = operator_mark_detectors(home, policy("watermark.rivagan", marks=(other,)))
    neutral = rivagan.examine(UPLOAD)
    assert isinstance(neutral, Evidence)
    assert neutral.direction is Direction.NONE


@pytest.mark.parametrize("marks", [(), (MESSAGE.model_copy(update={"bits": "5344563200"}),)])
def test_a_reader_that_does_not_know_what_to_look_for_stops_the_start(
    home: Path, marks: tuple[KnownMessage, ...]
) -> None:
    with pytest.raises(PolicyError, match="messages of 32 bits"):
        operator_mark_detectors(home, policy("watermark.rivagan", marks=marks))


def test_a_changed_reader_stops_the_start(home: Path) -> None:
    file = home / "weights" / "trustmark-q" / "model.onnx"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(bytes(data))
    with pytest.raises(WeightsError, match="SHA-256"):
        operator_mark_detectors(home, policy("watermark.trustmark-q"))
