"""From the finder's map to boxes in the picture, and from boxes to upright lines."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.image_check.text_boxes import TextBox, cut_out, find_boxes, in_reading_order


def marks(*rectangles: tuple[tuple[float, float], tuple[float, float], float], value: float = 0.9) -> np.ndarray:
    """(200, 400) map with rectangles (centre, size, angle) at a value."""
    drawn = np.zeros((200, 400), np.float32)
    for rectangle in rectangles:
        cv2.fillPoly(drawn, [cv2.boxPoints(rectangle).round().astype(np.int32)], value)
    return drawn


def box(x: float, y: float, width: float = 100, height: float = 20) -> TextBox:
    return TextBox(((x, y), (x + width, y), (x + width, y + height), (x, y + height)))


def test_a_mark_becomes_a_larger_box_in_picture_pixels() -> None:
    (found,) = find_boxes(marks(((200, 100), (100, 10), 0)), size=(800, 400))
    region = found.region
    assert region.x < 300 < 500 < region.x + region.width
    assert region.y < 190 < 210 < region.y + region.height
    length, height = found.size
    assert 220 < length < 260  # 100 px + 1.6 x area / half the perimeter, twice as large in the picture
    assert 36 < height < 60


def test_a_tilted_mark_keeps_its_tilt() -> None:
    (found,) = find_boxes(marks(((200, 100), (120, 12), 20)), size=(400, 200))
    (x0, y0), (x1, y1) = found.corners[:2]
    assert np.degrees(np.arctan2(y1 - y0, x1 - x0)) == pytest.approx(20, abs=3)


def test_faint_and_tiny_marks_are_no_text() -> None:
    assert find_boxes(marks(((200, 100), (100, 10), 0), value=0.4), size=(400, 200)) == []
    assert find_boxes(marks(((200, 100), (60, 0), 0)), size=(400, 200)) == []
    assert find_boxes(np.zeros((200, 400), np.float32), size=(400, 200)) == []


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 400), st.integers(0, 200), st.floats(0, 180))
def test_boxes_stay_inside_the_picture(x: int, y: int, angle: float) -> None:
    for found in find_boxes(marks(((x, y), (150, 20), angle)), size=(800, 400)):
        region = found.region
        assert region.x >= 0
        assert region.y >= 0
        assert region.x + region.width <= 800
        assert region.y + region.height <= 400


def test_a_tilted_line_is_cut_out_upright() -> None:
    picture = np.zeros((200, 400, 3), np.uint8)
    corners = cv2.boxPoints(((200, 100), (120, 24), 30))
    cv2.fillPoly(picture, [corners.round().astype(np.int32)], (255, 255, 255))
    (found,) = find_boxes((picture[:, :, 0] / 255).astype(np.float32), size=(400, 200))
    line = cut_out(picture, found)
    assert line.shape[1] > 2 * line.shape[0]
    assert line[line.shape[0] // 2, 20:-20].min() == 255
    assert line[0].max() == 0


def test_a_line_that_runs_downwards_is_turned() -> None:
    picture = np.zeros((100, 100, 3), np.uint8)
    picture[80:, 40:60] = 200
    line = cut_out(picture, box(40, 0, width=20, height=100))
    assert line.shape == (20, 100, 3)
    assert line[:, :15].mean() != pytest.approx(line[:, -15:].mean(), abs=50)


def test_lines_are_read_from_top_to_bottom_and_left_to_right() -> None:
    right, left, below = box(300, 12), box(10, 10, height=24), box(0, 60)
    assert in_reading_order([below, right, left]) == [left, right, below]
