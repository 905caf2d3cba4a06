"""Read a picture back into objects, independently of the model: what shapes, which colours, where.

Data flow: (256, 256, 3) uint8 picture -> background from the border -> foreground mask in L*a*b*
-> connected components -> colour by the nearest palette entry, shape by contour features -> ``Found`` objects
-> ``judge`` compares them with what a scene asks for.

It uses nothing of ``drawing`` but the list of colours; the shape rules are thresholds on area ratios, holes,
convexity and symmetry. ``tests/training/test_mini_measure.py`` shows that it is right on drawn scenes.

Source: own design; thresholds chosen on drawn scenes, then right on 1,254 of 1,254 others
(docs/signet-mini.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from training.mini.scenes import Scene
from training.mini.vocabulary import BACKGROUNDS, COLOURS, IMAGE_SIZE_PX

RGB8 = NDArray[np.uint8]  # (H, W, 3)
Mask = NDArray[np.uint8]  # (H, W), 0 or 255

FOREGROUND_DISTANCE: Final = 20.0  # CIE76 units; the drawn shadow stays below it
MINIMUM_AREA_PX: Final = 260
BORDER_PX: Final = 5
PLACE_TOLERANCE_PX: Final = 30


@dataclass(frozen=True, slots=True)
class Found:
    """One object seen in a picture; ``x``/``y`` is the centre of its bounding box in pixels."""

    shape: str
    colour: str
    x: float
    y: float
    area_px: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """What of a prompt a picture got right; None where the prompt does not ask for it."""

    number: bool
    colour: bool
    shape: bool
    place: bool | None
    background: bool

    @property
    def follows(self) -> bool:
        """Whether number, colours, shapes and place (relation or position) are all right."""
        return self.number and self.colour and self.shape and self.place is not False


def to_lab(picture: RGB8) -> NDArray[np.float32]:
    """Return (H, W, 3) float32 CIE L*a*b* (D65) of an sRGB picture; L* in [0, 100]."""
    lab: NDArray[np.float32] = cv2.cvtColor(picture.astype(np.float32) / 255.0, cv2.COLOR_RGB2LAB)
    return lab


def nearest_name(colour: NDArray[np.float32], palette: dict[str, tuple[int, int, int]]) -> str:
    """Return the palette name nearest to one L*a*b* colour (3,)."""
    names = list(palette)
    known = to_lab(np.asarray([list(palette.values())], np.uint8))[0]
    return names[int(np.argmin(np.linalg.norm(known - colour, axis=1)))]


def _shape_features(mask: Mask) -> dict[str, float]:
    contours, hierarchy = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    outer = max((c for c, h in zip(contours, hierarchy[0], strict=True) if h[3] < 0), key=cv2.contourArea)
    holes = sum(cv2.contourArea(c) for c, h in zip(contours, hierarchy[0], strict=True) if h[3] >= 0)
    area = max(cv2.contourArea(outer), 1.0)
    x, y, width, height = cv2.boundingRect(outer)
    hull = cv2.convexHull(outer)
    perimeter = cv2.arcLength(cv2.approxPolyDP(outer, 1.5, closed=True), closed=True)
    box = mask[y : y + height, x : x + width] > 0
    rows = box.sum(axis=1) / width
    quarter = max(1, height // 4)
    return {
        "hole": holes / area,
        "solidity": area / max(cv2.contourArea(hull), 1.0),
        "extent": area / (width * height),
        "roundness": 4 * np.pi * area / max(perimeter, 1.0) ** 2,
        "top": float(rows[:quarter].mean()),
        "bottom": float(rows[-quarter:].mean()),
        "aspect": width / height,
    }


def classify_shape(mask: Mask) -> str:
    """Return the name of the shape that a mask of one object shows.

    Args:
        mask: (H, W) uint8, 255 inside the object.

    Returns:
        A name of ``vocabulary.SHAPES``.
    """
    f = _shape_features(mask)
    if f["hole"] > 0.10:
        return "ring"
    if f["solidity"] < 0.86:
        return "cross" if abs(f["top"] - f["bottom"]) < 0.12 and f["extent"] > 0.47 else "star"
    if f["top"] - f["bottom"] > 0.25:
        return "heart"
    if f["bottom"] - f["top"] > 0.25:
        return "triangle"
    if f["extent"] > 0.89:
        return "square"
    return "circle" if f["extent"] > 0.66 else "diamond"


def border_colour(picture: RGB8) -> NDArray[np.float32]:
    """Return the median L*a*b* colour (3,) of the outermost pixels."""
    lab = to_lab(picture)
    n = BORDER_PX
    parts = (lab[:n], lab[-n:], lab[:, :n], lab[:, -n:])
    median: NDArray[np.float32] = np.median(np.concatenate([p.reshape(-1, 3) for p in parts]), axis=0)
    return median


def find_objects(picture: RGB8) -> list[Found]:
    """Return the objects on a plain background, largest first.

    Args:
        picture: (256, 256, 3) uint8 RGB.
    """
    lab = to_lab(picture)
    distance = np.linalg.norm(lab - border_colour(picture), axis=2)
    mask = (distance > FOREGROUND_DISTANCE).astype(np.uint8) * 255
    mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    number, labels, statistics, _ = cv2.connectedComponentsWithStats(mask)
    found = []
    for index in range(1, number):
        left, top, width, height, area = (int(v) for v in statistics[index])
        if area < MINIMUM_AREA_PX:
            continue
        part = (labels == index).astype(np.uint8) * 255
        core = cv2.erode(part, np.ones((5, 5), np.uint8))
        inside = lab[(core if core.any() else part) > 0]
        colour = nearest_name(np.median(inside, axis=0), COLOURS)
        found.append(Found(classify_shape(part), colour, left + width / 2, top + height / 2, area))
    return sorted(found, key=lambda item: -item.area_px)


def _in_order(scene: Scene, found: list[Found]) -> tuple[list[Found], bool]:
    """Return the objects matched to the items of a pair, and whether their order in space is right."""
    want = [(item.colour, item.shape) for item in scene.items]
    both = [(o.colour, o.shape) for o in found]
    if both == want[::-1]:
        found = found[::-1]
    elif both != want:
        by_colour = [o.colour for o in found] == [c for c, _ in want][::-1]
        by_shape = [o.shape for o in found] == [s for _, s in want][::-1]
        found = found[::-1] if by_colour or by_shape else found
    dx, dy = found[1].x - found[0].x, found[1].y - found[0].y
    right = dx > abs(dy) if scene.place == "left of" else dy > abs(dx)
    return found, right


def judge(scene: Scene, picture: RGB8) -> Verdict:
    """Compare a picture with the scene that its prompt described.

    Args:
        scene: kind "single", "pair" or "count".
        picture: (256, 256, 3) uint8 RGB.

    Returns:
        The verdict. A picture with a wrong number of objects has number False; its colours and shapes are
        right only if the sorted lists agree anyway, which they then cannot for pairs and counts.
    """
    found = find_objects(picture)
    number = len(found) == len(scene.items)
    colour = sorted(o.colour for o in found) == sorted(i.colour for i in scene.items)
    shape = sorted(o.shape for o in found) == sorted(i.shape for i in scene.items)
    place: bool | None = None
    if scene.kind == "pair":
        place = False
        if number:
            found, place = _in_order(scene, found)
            both = [(o.colour, o.shape) for o in found] == [(i.colour, i.shape) for i in scene.items]
            place = place and (both or not (colour and shape))
    elif scene.kind == "single":
        item = scene.items[0]
        place = number and max(abs(found[0].x - item.x), abs(found[0].y - item.y)) <= PLACE_TOLERANCE_PX
    background = nearest_name(border_colour(picture), BACKGROUNDS) == scene.background
    return Verdict(number, colour, shape, place, background)


def is_picture(picture: RGB8) -> bool:
    """Return whether an array has the shape and type that this module reads."""
    return picture.shape == (IMAGE_SIZE_PX, IMAGE_SIZE_PX, 3) and picture.dtype == np.uint8
