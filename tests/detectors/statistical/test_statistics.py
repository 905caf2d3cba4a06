"""Each statistic sees what it is for, and nothing breaks it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage import data

from detectors.crops import Crop
from detectors.statistical.block_grid import phase_features
from detectors.statistical.cooccurrence import pattern_classes, pattern_shares
from detectors.statistical.features import GROUPS, LIMIT, feature_vector, group_features, group_slices
from detectors.statistical.noise import channel_relations, noise_level
from detectors.statistical.pictures import SHOWN_SIDE, residual_picture, spectrum_picture
from detectors.statistical.planes import split_planes
from detectors.statistical.spectrum import BINS, radial_features
from detectors.statistical.upsampling import autocorrelation, grid_peaks, neighbour_relations

CROP = np.ascontiguousarray(data.astronaut()[100:324, 60:284])
RNG = np.random.default_rng(3)
NOISE = RNG.integers(60, 190, (224, 224, 3)).astype(np.uint8)


def doubled(crop: np.ndarray) -> np.ndarray:
    """Nearest-neighbour up-sampling by 2, as in the last stage of many decoders."""
    return np.ascontiguousarray(crop[:112, :112].repeat(2, 0).repeat(2, 1))


def test_every_group_has_its_place_in_the_vector() -> None:
    vector, groups = feature_vector(CROP), group_features(CROP)
    assert vector.dtype == np.float32
    for name, part in group_slices().items():
        assert np.allclose(vector[part], np.clip(groups[name], -LIMIT, LIMIT))
    assert list(group_slices()) == list(GROUPS)


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from([128, 160, 224]),
    st.sampled_from(["flat", "black", "noise", "checker", "one dot", "gradient"]),
    st.integers(0, 255),
)
def test_any_picture_gives_finite_features(side: int, kind: str, level: int) -> None:
    y, x = np.mgrid[0:side, 0:side]
    grey = {
        "flat": np.full((side, side), level),
        "black": np.zeros((side, side)),
        "noise": np.random.default_rng(level).integers(0, 256, (side, side)),
        "checker": (x + y) % 2 * level,
        "one dot": (x == y) * (x == 7) * level,
        "gradient": (x * level // side) % 256,
    }[kind]
    vector = feature_vector(np.repeat(grey[..., None], 3, axis=2).astype(np.uint8))
    assert np.isfinite(vector).all()
    assert np.abs(vector).max() <= LIMIT
    assert len(vector) == list(group_slices().values())[-1].stop


def test_spectrum_falls_with_blur() -> None:
    import cv2

    sharp = radial_features(split_planes(NOISE))[:BINS]
    soft = radial_features(split_planes(cv2.GaussianBlur(NOISE, (0, 0), 1.5)))[:BINS]
    assert soft[-4:].mean() < sharp[-4:].mean() - 3


def test_up_sampling_shows_as_peaks_and_as_equal_neighbours() -> None:
    plain, twice = split_planes(NOISE), split_planes(doubled(NOISE))
    assert neighbour_relations(twice)[4] > neighbour_relations(plain)[4] + 0.2  # share of equal neighbours by phase
    assert autocorrelation(twice)[0] > autocorrelation(plain)[0] + 0.2
    flat = split_planes(np.full((224, 224, 3), 128, np.uint8))
    assert np.isfinite(autocorrelation(flat)).all()


def test_periodic_patterns_peak_on_their_lines() -> None:
    pattern = NOISE.astype(int)
    pattern[:, ::4] += 12
    plain, periodic = grid_peaks(split_planes(NOISE)), grid_peaks(split_planes(pattern.astype(np.uint8)))
    assert periodic[5] > plain[5] + 2  # highest line of period 4


def test_noise_level_follows_the_noise() -> None:
    grey = np.full((224, 224, 3), 120.0)
    levels = [
        noise_level(split_planes(np.clip(grey + RNG.normal(0, s, grey.shape), 0, 255).astype(np.uint8)))[3]
        for s in (1, 3, 9)
    ]
    assert levels[0] < levels[1] < levels[2]


def test_grey_noise_moves_all_channels_together() -> None:
    grey = np.repeat(NOISE[..., :1], 3, axis=2)
    assert channel_relations(split_planes(grey))[:3].min() > 0.99
    assert np.abs(channel_relations(split_planes(NOISE))[:3]).max() < 0.1


def test_patterns_do_not_depend_on_direction_or_sign() -> None:
    classes = pattern_classes().reshape(5, 5, 5, 5)
    assert (classes == classes.transpose(3, 2, 1, 0)).all()
    assert (classes == classes[::-1, ::-1, ::-1, ::-1]).all()
    residual = split_planes(CROP).kv
    assert np.allclose(pattern_shares(residual, 2.0), pattern_shares(-residual, 2.0))
    assert np.allclose(pattern_shares(residual, 2.0), pattern_shares(residual[:, ::-1], 2.0), atol=1e-5)


def test_compression_leaves_a_grid_wherever_it_starts() -> None:
    from detectors.evaluation.degradations import jpeg_round_trip

    saved = jpeg_round_trip(data.astronaut(), quality=30)
    spread = [phase_features(split_planes(np.ascontiguousarray(saved[s : s + 224, s : s + 224])))[0] for s in (96, 99)]
    untouched = phase_features(split_planes(np.ascontiguousarray(data.astronaut()[96:320, 96:320])))[0]
    assert min(spread) > untouched


@pytest.mark.parametrize("shape", [(512, 512), (300, 900)])
def test_pictures_for_people_have_their_size(shape: tuple[int, int]) -> None:
    pixels = RNG.integers(0, 255, (*shape, 3)).astype(np.uint8)
    spectrum = spectrum_picture((Crop(left=0, top=0, pixels=CROP),))
    assert spectrum.shape == (SHOWN_SIDE, SHOWN_SIDE, 3)
    assert max(residual_picture(pixels).shape[:2]) == SHOWN_SIDE
