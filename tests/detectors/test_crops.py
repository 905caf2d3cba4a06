"""Crops: cut, never resized; textured parts first; spread; the same every time."""

import numpy as np
import pytest
from skimage import data

from detectors.crops import CROP_COUNT, CROP_SIDE, CROP_STEP, MIN_CROP_SIDE, choose_crops, resaved


def test_crops_are_parts_of_the_picture() -> None:
    pixels = data.astronaut()
    crops = choose_crops(pixels)
    assert len(crops) == CROP_COUNT
    for crop in crops:
        cut = pixels[crop.top : crop.top + CROP_SIDE, crop.left : crop.left + CROP_SIDE]
        assert np.array_equal(cut, crop.pixels)
    assert [(c.left, c.top) for c in crops] == [(c.left, c.top) for c in choose_crops(pixels)]


def test_crops_are_spread() -> None:
    corners = [(c.left, c.top) for c in choose_crops(data.astronaut())]
    shared = [
        max(0, CROP_SIDE - abs(a[0] - b[0])) * max(0, CROP_SIDE - abs(a[1] - b[1])) / CROP_SIDE**2
        for i, a in enumerate(corners)
        for b in corners[:i]
    ]
    assert max(shared) <= 0.5


def test_texture_comes_before_emptiness() -> None:
    pixels = np.full((600, 900, 3), 200, np.uint8)
    rng = np.random.default_rng(0)
    pixels[320:, 600:] = rng.integers(0, 255, (280, 300, 3))
    first = choose_crops(pixels)[0]
    assert first.top + CROP_SIDE > 400
    assert first.left + CROP_SIDE > 700


@pytest.mark.parametrize(("side", "expected"), [(127, 0), (128, 128), (200, 192), (224, 224), (400, 224)])
def test_small_pictures_get_smaller_crops_or_none(side: int, expected: int) -> None:
    crops = choose_crops(np.zeros((side, 640, 3), np.uint8))
    assert {c.pixels.shape for c in crops} == ({(expected, expected, 3)} if expected else set())
    assert expected % CROP_STEP == 0
    assert (side < MIN_CROP_SIDE) == (not crops)


def test_a_save_changes_little_and_keeps_the_place() -> None:
    crops = choose_crops(data.astronaut())
    again = resaved(crops, quality=85)
    assert [(c.left, c.top) for c in crops] == [(c.left, c.top) for c in again]
    difference = np.abs(crops[0].pixels.astype(int) - again[0].pixels)
    assert 0 < difference.mean() < 8
