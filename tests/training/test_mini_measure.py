"""The measurement of signet-mini must itself be right before it may judge a model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from training.mini.drawing import draw
from training.mini.scenes import Item, Scene, scene_at
from training.mini.vocabulary import COLOURS, SHAPES

pytest.importorskip("cv2")

from training.mini.measure import find_objects, judge


@pytest.mark.parametrize("kind", ["single", "pair", "count"])
@pytest.mark.parametrize("split", ["train", "heldout"])
def test_right_on_drawn_scenes(kind: str, split: str) -> None:
    scenes = [scene_at(11, i, split=split, kind=kind) for i in range(60)]  # type: ignore[arg-type]
    verdicts = [judge(scene, draw(scene)) for scene in scenes]
    assert sum(v.follows and v.background for v in verdicts) >= 0.99 * len(scenes)


@pytest.mark.parametrize("blur", [0.0, 1.5])
def test_right_under_noise_and_blur(blur: float) -> None:
    import cv2

    rng = np.random.default_rng(3)
    right = 0
    for index in range(100):
        scene = scene_at(13, index, kind="pair")
        picture = draw(scene).astype(np.float32) + rng.normal(0, 4, (256, 256, 3))
        picture = cv2.GaussianBlur(picture, (0, 0), blur) if blur else picture
        right += judge(scene, np.clip(picture, 0, 255).astype(np.uint8)).follows
    assert right >= 97


@pytest.mark.parametrize("shape", SHAPES)
def test_each_shape_in_each_colour(shape: str) -> None:
    for colour in COLOURS:
        item = Item(shape=shape, colour=colour, size="medium", x=128, y=128)
        scene = Scene(kind="single", background="gray", items=(item,), place="center")
        found = find_objects(draw(scene))
        assert [(f.shape, f.colour) for f in found] == [(shape, colour)]


def test_swapped_colours_do_not_follow() -> None:
    scene = scene_at(17, 0, kind="pair")
    first, second = scene.items
    swapped = replace(scene, items=(replace(first, colour=second.colour), replace(second, colour=first.colour)))
    assert first.colour != second.colour
    verdict = judge(scene, draw(swapped))
    assert verdict.number
    assert not verdict.follows


def test_swapped_places_do_not_follow() -> None:
    for index in range(40):
        scene = scene_at(19, index, kind="pair")
        first, second = scene.items
        moved = (replace(first, x=second.x, y=second.y), replace(second, x=first.x, y=first.y))
        assert not judge(scene, draw(replace(scene, items=moved))).follows


def test_missing_object_does_not_follow() -> None:
    scene = scene_at(23, 1, kind="count")
    assert not judge(scene, draw(replace(scene, items=scene.items[:-1]))).number


def test_wrong_background_is_seen() -> None:
    item = Item(shape="star", colour="red", size="large", x=128, y=128)
    scene = Scene(kind="single", background="white", items=(item,), place="center")
    assert not judge(scene, draw(replace(scene, background="black"))).background
