"""An earlier JPEG is found in the pixels with its quality, and not where there was none."""

import io

import numpy as np
import pytest
from PIL import Image
from skimage import data

from detectors.evidence import Evidence
from detectors.metadata.container_structure import ContainerStructureDetector
from detectors.metadata.jpeg_history import block_frequencies, find_history
from detectors.metadata.quantisation import ANNEX_K_LUMA, scaled
from tests.detectors.metadata import writers as w


def photo() -> Image.Image:
    """A photograph without history: scaled down, so that any grid it had is gone."""
    return Image.fromarray(data.astronaut()).resize((330, 330), Image.Resampling.LANCZOS)


def saved(image: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(io.BytesIO(buffer.getvalue())).convert("RGB")


def history(data_: bytes) -> list[str]:
    evidence = ContainerStructureDetector().examine(w.upload(data_))
    assert isinstance(evidence, Evidence)
    return [line.value for line in evidence.observations if line.name == "earlier JPEG"]


def as_file(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("quality", [30, 50, 70, 75, 85, 90])
def test_the_quality_of_an_earlier_jpeg_is_found(quality: int) -> None:
    found = find_history(np.asarray(saved(photo(), quality)))
    assert found is not None
    assert abs(found.quality - quality) <= 1


def test_a_picture_without_history_has_none() -> None:
    assert find_history(np.asarray(photo())) is None
    assert find_history(np.full((256, 256, 3), 77, np.uint8)) is None
    assert find_history(np.random.default_rng(1).integers(0, 256, (256, 256, 3), np.uint8)) is None
    assert find_history(np.asarray(saved(photo(), 75))[:40, :40]) is None


def test_scaling_and_shifting_remove_the_trace() -> None:
    once = saved(photo(), 70)
    assert find_history(np.asarray(once.resize((280, 280), Image.Resampling.LANCZOS))) is None
    assert find_history(np.asarray(once)[3:, 5:]) is None


@pytest.mark.parametrize("quality", [50, 75, 90, 95])
def test_a_single_jpeg_is_not_its_own_history(quality: int) -> None:
    assert history(as_file(photo(), "JPEG", quality=quality)) == []


@pytest.mark.parametrize(("first", "second"), [(60, 90), (70, 95), (75, 92)])
def test_a_coarser_jpeg_before_the_present_one(first: int, second: int) -> None:
    lines = history(as_file(saved(photo(), first), "JPEG", quality=second))
    assert len(lines) == 1
    assert "saved again" in lines[0]


def test_a_png_that_was_a_jpeg_and_one_that_was_not() -> None:
    assert history(as_file(saved(photo(), 75), "PNG")) == [
        "the pixels were once a JPEG of about quality 75 on the same grid"
    ]
    assert history(as_file(photo(), "PNG")) == []


def test_frequencies_are_those_of_the_standard_transform() -> None:
    pixels = np.full((8, 8, 3), 138, np.uint8)
    frequencies = block_frequencies(pixels)
    assert frequencies.shape == (1, 64)
    assert frequencies[0, 0] == pytest.approx(80, abs=0.01)  # 8 * (138 - 128)
    assert np.abs(frequencies[0, 1:]).max() < 1e-3
    assert scaled(ANNEX_K_LUMA, 50) == ANNEX_K_LUMA
