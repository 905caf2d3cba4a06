"""From a map of "text is here" to boxes, and from a box to an upright picture of its line.

Source: Liao et al. 2020, "Real-time Scene Text Detection with Differentiable Binarization" (arXiv 1911.08947), with
the constants of PaddleOCR and rapidocr. Differs: boxes are enlarged as rectangles, which for rectangles is the same as
the offset of polygons that they use.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from guard.records import RGB8, Region

MARK = 0.3
"""Value of the map from which a place is text. Source: ``thresh`` of rapidocr."""
MIN_BOX_SCORE = 0.5
"""Mean of the map inside a box below which it is dropped. Source: ``box_thresh`` of rapidocr."""
ENLARGE = 1.6
"""The network marks the core of a line; boxes grow by area x ENLARGE / perimeter. Source: ``unclip_ratio``."""
MIN_SIDE = 3
"""Boxes whose shorter side has fewer pixels of the map are noise. Source: ``min_size`` of rapidocr."""
MAX_BOXES = 1000
"""Most marks that are looked at. Source: ``max_candidates`` of rapidocr."""
UPRIGHT_RATIO = 1.5
"""A line this many times as high as wide is turned by a quarter. Source: PaddleOCR ``get_rotate_crop_image``."""


@dataclass(frozen=True, slots=True)
class TextBox:
    """A box in the picture: (4, 2) corners in pixels as nested tuples, clockwise from the top left of the line."""

    corners: tuple[tuple[float, float], ...]

    @property
    def size(self) -> tuple[float, float]:
        """Return (length, height) of the line, in pixels."""
        return math.dist(self.corners[0], self.corners[1]), math.dist(self.corners[0], self.corners[3])

    @property
    def area(self) -> float:
        """Return the area in square pixels."""
        return self.size[0] * self.size[1]

    @property
    def middle(self) -> float:
        """Return the vertical position of the middle, in pixels."""
        return sum(y for _, y in self.corners) / 4

    @property
    def region(self) -> Region:
        """Return the upright box around it, in whole pixels."""
        left, top = (int(min(axis)) for axis in zip(*self.corners, strict=True))
        right, bottom = (math.ceil(max(axis)) for axis in zip(*self.corners, strict=True))
        return Region(x=left, y=top, width=max(1, right - left), height=max(1, bottom - top))


def find_boxes(marks: NDArray[np.float32], *, size: tuple[int, int]) -> list[TextBox]:
    """Return the boxes of a map.

    Args:
        marks: (h, w) probabilities that a place is text.
        size: (width, height) of the picture that the map is of; boxes are in its pixels, clipped to it.
    """
    import cv2

    mask = cv2.dilate((marks > MARK).astype(np.uint8), np.ones((2, 2), np.uint8))
    contours, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    factor = np.array([size[0] / marks.shape[1], size[1] / marks.shape[0]])
    found = []
    for contour in contours[:MAX_BOXES]:
        centre, (width, height), angle = cv2.minAreaRect(contour)
        if min(width, height) < MIN_SIDE or _mean_inside(marks, contour) < MIN_BOX_SCORE:
            continue
        grow = 2.0 * width * height * ENLARGE / (2.0 * (width + height))
        corners = cv2.boxPoints((centre, (width + grow, height + grow), angle)) * factor
        corners = np.clip(_clockwise(corners), 0.0, np.array(size, np.float64))
        box = TextBox(tuple((float(x), float(y)) for x, y in corners))
        if min(box.size) >= MIN_SIDE:
            found.append(box)
    return found


def in_reading_order(boxes: Sequence[TextBox]) -> list[TextBox]:
    """Return boxes from top to bottom; those whose middles lie within half a line's height stand in one row."""
    rows: list[list[TextBox]] = []
    for box in sorted(boxes, key=lambda one: one.middle):
        last = rows[-1][0] if rows else None
        if last is not None and box.middle - last.middle <= 0.5 * min(min(box.size), min(last.size)):
            rows[-1].append(box)
        else:
            rows.append([box])
    return [box for row in rows for box in sorted(row, key=lambda one: one.corners[0][0])]


def cut_out(pixels: RGB8, box: TextBox) -> RGB8:
    """Return the upright picture of a box; a line that runs downwards is turned so that it runs to the right."""
    import cv2

    width, height = (max(1, round(side)) for side in box.size)
    corners = np.array(box.corners, np.float32)
    target = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    matrix = cv2.getPerspectiveTransform(corners, target)
    line = cv2.warpPerspective(pixels, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    if height >= UPRIGHT_RATIO * width:
        line = np.rot90(line)
    return np.ascontiguousarray(line)


def _mean_inside(marks: NDArray[np.float32], contour: NDArray[np.int32]) -> float:
    """Return the mean of the map inside a contour."""
    import cv2

    x, y, width, height = cv2.boundingRect(contour)
    inside = np.zeros((height, width), np.uint8)
    cv2.fillPoly(inside, [contour.reshape(-1, 2) - np.array([x, y])], 1)
    return float(cv2.mean(marks[y : y + height, x : x + width], inside)[0])


def _clockwise(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return four corners as top left, top right, bottom right, bottom left."""
    by_x = corners[np.argsort(corners[:, 0], kind="stable")]
    left, right = by_x[:2], by_x[2:]
    left, right = left[np.argsort(left[:, 1], kind="stable")], right[np.argsort(right[:, 1], kind="stable")]
    return np.asarray([left[0], right[0], right[1], left[1]], np.float64)
