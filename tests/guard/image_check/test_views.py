from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.image_check.views import MAX_VIEWS, SHARPER, scalings, views


def picture(height: int, width: int) -> np.ndarray:
    return np.zeros((height, width, 3), np.uint8)


def test_a_small_picture_is_looked_at_once() -> None:
    assert len(views(picture(400, 500), input_px=320)) == 1


def test_a_usual_picture_gets_four_squares() -> None:
    found = views(picture(1024, 1024), input_px=320)
    assert len(found) == 5
    assert {(v.x, v.y) for v in found[1:]} == {(0, 0), (410, 0), (0, 410), (410, 410)}


@settings(deadline=None, max_examples=40)
@given(height=st.integers(32, 3000), width=st.integers(32, 3000))
def test_squares_cover_the_picture_and_stay_few(height: int, width: int) -> None:
    found = views(picture(height, width), input_px=320)
    assert 1 <= len(found) <= MAX_VIEWS
    covered = np.zeros((height, width), bool)
    for view in found[1:]:
        rows, columns = view.pixels.shape[:2]
        assert 0 <= view.x <= width - columns
        assert 0 <= view.y <= height - rows
        covered[view.y : view.y + rows, view.x : view.x + columns] = True
    assert covered.all() or len(found) == 1


@pytest.mark.parametrize("shape", [(300, 1600), (1600, 300), (1024, 1500)])
def test_neighbouring_squares_overlap_by_a_quarter(shape: tuple[int, int]) -> None:
    found = views(picture(*shape), input_px=320)[1:]
    height, width = found[0].pixels.shape[:2]
    for starts, side in ((sorted({v.x for v in found}), width), (sorted({v.y for v in found}), height)):
        assert all(after - before <= 0.75 * side + 1 for before, after in pairwise(starts))


def test_a_large_picture_is_seen_twice_and_the_second_time_somewhat_larger_than_in_a_square() -> None:
    whole, larger = scalings(picture(1024, 1024), input_px=320)
    assert (whole[0].shape, whole[1]) == ((320, 320, 3), pytest.approx(3.2))
    side = views(picture(1024, 1024), input_px=320)[1].pixels.shape[0]
    assert larger[1] == pytest.approx(SHARPER * side / 320)


@settings(deadline=None, max_examples=40)
@given(height=st.integers(32, 3000), width=st.integers(32, 3000))
def test_scalings_keep_the_aspect_and_stay_affordable(height: int, width: int) -> None:
    found = scalings(picture(height, width), input_px=320)
    assert len(found) == (2 if max(height, width) >= 512 else 1)
    for pixels, scale in found:
        assert pixels.shape[:2] == (max(1, round(height / scale)), max(1, round(width / scale)))
    assert sum(pixels.shape[0] * pixels.shape[1] for pixels, _ in found) <= MAX_VIEWS * 320 * 320 / SHARPER**2


def test_no_pixel_is_left_out_when_a_picture_is_made_smaller() -> None:
    grid = picture(1280, 1280)
    grid[1::4, 1::4] = 255  # one pixel in 16: at a quarter of the size, point sampling sees all of it or nothing
    for pixels, _ in scalings(grid, input_px=320):
        assert pixels.mean() == pytest.approx(255 / 16, rel=0.1)
        assert pixels.max() < 64
