"""Text is read from real pictures by the pinned models, wherever and however it stands."""

import importlib.util
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont
from skimage import data

from guard.errors import CheckError, ConfigError, WeightsError
from guard.image_check import text_reader
from guard.image_check.text_reader import TextReader, spell
from guard.records import RGB8

needs_ocr = pytest.mark.skipif(importlib.util.find_spec("rapidocr") is None, reason="the extra ocr is absent")
WORDS = "lighthouse at dawn"


def written(size: int = 30, *, text: str = WORDS, at: tuple[int, int] = (60, 200)) -> RGB8:
    picture = Image.fromarray(data.coffee())
    ImageDraw.Draw(picture).text(at, text, font=ImageFont.load_default(size=size), fill="white", stroke_fill="black")
    return np.asarray(picture)


@pytest.fixture(scope="module")
def reader() -> TextReader:
    return TextReader()


@needs_ocr
def test_a_line_is_read_where_it_stands(reader: TextReader) -> None:
    (line,) = [line for line in reader.read(written()) if line.confidence > 0.8]
    assert line.text == WORDS
    assert line.region.x == pytest.approx(60, abs=12)
    assert line.region.y == pytest.approx(205, abs=12)


@needs_ocr
@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_turned_picture_reads_the_same(reader: TextReader, turns: int) -> None:
    lines = reader.read(np.ascontiguousarray(np.rot90(written(), turns)))
    assert WORDS in [line.text for line in lines]


@needs_ocr
def test_a_tilted_line_is_read(reader: TextReader) -> None:
    tilted = np.asarray(Image.fromarray(written()).rotate(15, resample=Image.Resampling.BICUBIC))
    assert any(line.text == WORDS for line in reader.read(tilted))


@needs_ocr
@pytest.mark.parametrize("picture", [data.cat, data.coffee, data.rocket], ids=["cat", "coffee", "rocket"])
def test_a_picture_without_text_holds_no_words(reader: TextReader, picture: Callable[[], RGB8]) -> None:
    lines = reader.read(picture())  # an eye may be taken for a letter
    assert [line.text for line in lines if line.confidence >= 0.6 and len(line.text) > 2] == []


@needs_ocr
@pytest.mark.parametrize("size", [(40, 40), (33, 700), (700, 33)])
def test_any_shape_can_be_looked_at(reader: TextReader, size: tuple[int, int]) -> None:
    assert reader.read(np.full((*size, 3), 128, np.uint8)) == []


@needs_ocr
def test_text_in_a_panorama_is_read(reader: TextReader) -> None:
    wide = np.zeros((120, 3000, 3), np.uint8)
    wide[:, :600] = written(at=(20, 210))[180:300]
    assert WORDS in [line.text for line in reader.read(wide)]


@needs_ocr
def test_only_the_largest_lines_are_read_when_there_are_too_many(
    reader: TextReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_reader, "MAX_LINES", 1)
    picture = written(size=44).copy()
    picture[320:360, 60:400] = written(size=16, text="small print", at=(60, 330))[320:360, 60:400]
    assert [line.text for line in reader.read(picture)] == [WORDS]


@needs_ocr
def test_numbers_that_are_not_finite_fail_closed(reader: TextReader, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def get_inputs(self) -> list[object]:
            return [type("Input", (), {"name": "x"})]

        def run(self, *_: object) -> list[np.ndarray]:
            return [np.full((1, 1, 192, 192), np.nan, np.float32)]

    monkeypatch.setattr(reader, "_finder", Broken())
    with pytest.raises(CheckError, match="not finite"):
        reader.read(np.zeros((64, 64, 3), np.uint8))


@needs_ocr
def test_another_model_file_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_reader, "READER", text_reader.FINDER)
    with pytest.raises(WeightsError):
        TextReader()


def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError) as caught:
        TextReader()
    assert "signet-gateway[ocr]" in caught.value.diagnostics()


def steps(*best: int) -> np.ndarray:
    probabilities = np.full((len(best), 4), 0.1, np.float32)
    probabilities[np.arange(len(best)), best] = 0.7
    return probabilities


def test_repeated_characters_are_one_unless_something_stands_between() -> None:
    known = ["", "a", "b", " "]
    assert spell(steps(1, 1, 0, 1, 2, 2, 3, 0), known) == ("aab ", pytest.approx(0.7))
    assert spell(steps(0, 0), known) == ("", 0.0)
