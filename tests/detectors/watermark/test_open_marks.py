"""Public marks as evidence: supporting, never conclusive; "none" is neutral and says what cannot be checked."""

import numpy as np
import pytest

from detectors.evidence import Direction, Evidence, Grade
from detectors.upload import Upload
from detectors.watermark.open_marks import OpenMarksDetector, default_readers
from guard.media import encode
from guard.records import RGB8, ImageFormat
from guard.watermark.foreign import ForeignMark
from tests.guard.watermark import pictures as p


class FixedReader:
    """Answers what it was given."""

    scheme = "test scheme"

    def __init__(self, writer: str | None) -> None:
        self._writer = writer

    def read(self, pixels: RGB8) -> ForeignMark | None:
        return ForeignMark(
            scheme=self.scheme, writer=self._writer, payload="abcd", bits=16, wrong_bits=1, log10_chance=-7.0
        )


@pytest.fixture
def upload() -> Upload:
    from detectors.upload import load_upload

    data = encode(p.photo("coffee", (300, 260)), ImageFormat.PNG)
    return load_upload(data, name="x.png")


def examined(detector: OpenMarksDetector, upload: Upload) -> Evidence:
    answer = detector.examine(upload)
    assert isinstance(answer, Evidence)
    return answer


def test_a_generators_default_mark_supports_and_names_it(upload: Upload) -> None:
    answer = examined(OpenMarksDetector([FixedReader("Some Generator")]), upload)
    assert (answer.grade, answer.direction) == (Grade.SUPPORTING, Direction.AI)
    assert answer.generator == "Some Generator"
    assert "anyone can write it" in answer.reason
    assert "abcd (1 of 16 bits off)" in [o.value for o in answer.observations]


def test_a_mark_that_anybody_may_have_written_is_shown_but_weighs_nothing(upload: Upload) -> None:
    answer = examined(OpenMarksDetector([FixedReader(None)]), upload)
    assert (answer.grade, answer.direction, answer.generator) == (Grade.NEUTRAL, Direction.NONE, None)
    assert len(answer.observations) == 3


def test_none_is_neutral_and_honest_about_closed_marks(upload: Upload) -> None:
    answer = examined(OpenMarksDetector(), upload)
    assert answer.grade is Grade.NEUTRAL
    assert "SynthID cannot be checked" in answer.reason
    assert all(reader.scheme in answer.reason for reader in default_readers())
    assert np.isclose(upload.pixels.mean(), p.photo("coffee", (300, 260)).mean())
