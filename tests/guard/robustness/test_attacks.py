"""Every attack of the catalogue: form, determinism, and that it does what its name says."""

import numpy as np
import pytest
from skimage import data

from guard.errors import RequestError
from guard.records import RGB8
from guard.robustness import analogue_hole, localised
from guard.robustness import pixels as px
from guard.robustness.attack import Attack, AttackFamily, ladder
from guard.robustness.catalogue import ATTACKS, SMALL_ATTACKS, choose
from guard.robustness.quality import psnr_db

PICTURE: RGB8 = np.ascontiguousarray(data.astronaut()[100:260, 120:312])


@pytest.mark.parametrize("attack", [*ATTACKS, *SMALL_ATTACKS], ids=lambda a: a.id)
def test_an_attack_is_a_deterministic_change_of_a_picture(attack: Attack) -> None:
    before = PICTURE.copy()
    out = attack(PICTURE, seed=4)
    assert out.dtype == np.uint8
    assert out.ndim == 3
    assert out.shape[2] == 3
    assert np.array_equal(out, attack(PICTURE, seed=4))
    assert np.array_equal(PICTURE, before)
    assert attack.id == "none" or out.shape != PICTURE.shape or not np.array_equal(out, PICTURE)


def test_names_are_unique_and_every_family_of_the_code_of_practice_is_there() -> None:
    assert len({a.id for a in ATTACKS}) == len(ATTACKS)
    assert {a.family for a in ATTACKS} == set(AttackFamily)
    assert {a.family for a in choose(quick=True)} == set(AttackFamily)


@pytest.mark.parametrize("curve", sorted({a.curve for a in ATTACKS if a.curve}))
def test_a_curve_has_at_least_three_distinct_points_of_one_family(curve: str) -> None:
    points = [a for a in ATTACKS if a.curve == curve]
    assert len({a.strength for a in points}) == len(points) >= 3
    assert len({a.family for a in points}) == 1


@pytest.mark.parametrize("curve", ["JPEG quality", "noise, levels", "blur, px"])
def test_a_stronger_step_of_a_curve_does_more_harm(curve: str) -> None:
    points = [a for a in ATTACKS if a.curve == curve]
    harm = {a.strength: psnr_db(PICTURE, a(PICTURE, seed=1)) for a in points}
    ordered = [harm[s] for s in sorted(harm, reverse=curve == "JPEG quality")]
    assert ordered == sorted(ordered, reverse=True)


def test_choosing_keeps_the_order_and_refuses_unknown_names() -> None:
    assert [a.id for a in choose(only=["mirror", "JPEG 75"])] == ["JPEG 75", "mirror"]
    assert all(a.required is not None for a in choose(required=True))
    with pytest.raises(RequestError, match="Unknown attacks: jpeg 99"):
        choose(only=["jpeg 99"])
    with pytest.raises(RequestError, match="No attack is left"):
        choose(only=["grey"], required=True)


def test_a_ladder_binds_each_strength() -> None:
    steps = ladder(AttackFamily.IN_PLACE, "s", "add", lambda x, s, _: x + np.uint8(s), [(1, 0.5), (2, None)], quick=[2])
    black = np.zeros((2, 2, 3), np.uint8)
    assert [int(a(black)[0, 0, 0]) for a in steps] == [1, 2]
    assert [a.id for a in steps] == ["add 1", "add 2"]
    assert [a.quick for a in steps] == [False, True]
    assert [a.required for a in steps] == [0.5, None]


def test_crops_are_by_side_and_from_where_they_say() -> None:
    numbered = np.arange(100, dtype=np.uint8).reshape(10, 10)[..., None].repeat(3, axis=2)
    assert px.cropped(numbered, 0.5).shape == (5, 5, 3)
    assert px.cropped(numbered, 0.5, left=0.0, top=1.0)[0, 0, 0] == 50


def test_a_tilt_narrows_the_upper_edge_only() -> None:
    white = np.full((200, 300, 3), 255, np.uint8)
    out = px.tilted(white, 0.1)[..., 0] > 127
    assert out[2].sum() == pytest.approx(240, abs=4)
    assert out[-1].sum() == pytest.approx(300, abs=4)


def test_stickers_cover_about_the_share_they_say_and_leave_the_rest() -> None:
    big = np.ascontiguousarray(data.astronaut())
    covered = [(localised.stickers(big, 0.15, s) != big).any(axis=2).mean() for s in range(5)]
    assert 0.08 < np.mean(covered) < 0.17
    blurred = (localised.blurred_faces(big, 0.15, 1) != big).any(axis=2)
    assert 0.05 < blurred.mean() < 0.17


def test_the_seed_moves_the_camera() -> None:
    first, second = (analogue_hole.photographed_from_screen(PICTURE, s) for s in (1, 2))
    assert psnr_db(first, second) < 30


def test_an_unknown_format_is_a_configuration_error() -> None:
    from guard.errors import ConfigError

    with pytest.raises(ConfigError, match="cannot write NOSUCH"):
        px.coded(PICTURE, "NOSUCH", 50)
