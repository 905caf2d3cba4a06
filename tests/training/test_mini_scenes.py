"""Scenes of signet-mini: the same everywhere, held out cleanly, painted and named as they should be."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from training.mini.captions import caption
from training.mini.drawing import draw
from training.mini.scenes import KIND_SHARES, scene_at
from training.mini.vocabulary import BACKGROUNDS, COLOURS, FORBIDDEN, IMAGE_SIZE_PX

cv2 = pytest.importorskip("cv2")

SEED = 7


def test_scene_list_is_the_same_every_time() -> None:
    first = [scene_at(SEED, i) for i in range(50)]
    assert first == [scene_at(SEED, i) for i in range(50)]
    assert first != [scene_at(SEED + 1, i) for i in range(50)]


def test_scene_list_does_not_drift() -> None:
    # If this digest changes, latents, hold-out and model card no longer describe the shipped weights.
    listing = "\n".join(scene_at(SEED, i).combination for i in range(200))
    assert hashlib.sha256(listing.encode()).hexdigest()[:16] == "ce025984a22c7ff9"


def test_every_kind_appears() -> None:
    assert {scene_at(SEED, i).kind for i in range(200)} == set(KIND_SHARES)


def test_heldout_combinations_never_appear_in_training() -> None:
    training = {scene_at(SEED, i).combination for i in range(3000)}
    heldout = {scene_at(SEED, i, split="heldout").combination for i in range(600)}
    assert len(heldout) > 400
    assert training.isdisjoint(heldout)


def test_no_object_is_painted_on_its_own_colour() -> None:
    for index in range(2000):
        scene = scene_at(SEED, index)
        assert all((item.colour, scene.background) not in FORBIDDEN for item in scene.items)


def test_palette_is_well_separated() -> None:
    palette = np.asarray([list(COLOURS.values())], np.float32) / 255.0
    lab = cv2.cvtColor(palette, cv2.COLOR_RGB2LAB)[0]
    distance = np.linalg.norm(lab[:, None] - lab[None], axis=2)
    assert distance[~np.eye(len(lab), dtype=bool)].min() > 30.0


@pytest.mark.parametrize("kind", list(KIND_SHARES))
def test_drawing_is_deterministic_and_not_empty(kind: str) -> None:
    for index in range(4):
        scene = scene_at(SEED, index, kind=kind)
        picture = draw(scene)
        assert picture.shape == (IMAGE_SIZE_PX, IMAGE_SIZE_PX, 3)
        assert picture.dtype == np.uint8
        assert np.array_equal(picture, draw(scene))
        assert picture.std() > 1.0


def test_objects_stay_inside_the_picture() -> None:
    for index in range(1500):
        for item in scene_at(SEED, index).items:
            assert item.radius_px <= item.x <= IMAGE_SIZE_PX - item.radius_px
            assert item.radius_px <= item.y <= IMAGE_SIZE_PX - item.radius_px


def test_caption_names_every_colour_and_shape() -> None:
    for index in range(500):
        scene = scene_at(SEED, index)
        words = caption(scene, np.random.default_rng(index))
        assert words == caption(scene, np.random.default_rng(index))
        assert words == words.lower()
        for item in scene.items:
            assert item.colour in words
            assert item.shape in words


def test_both_spellings_of_gray_appear() -> None:
    texts = " ".join(caption(scene_at(SEED, i), np.random.default_rng(i)) for i in range(800))
    assert "grey" in texts
    assert "gray" in texts
    assert "centre" in texts
    assert set(BACKGROUNDS) - {"gray"} <= {name for name in BACKGROUNDS if name in texts}
