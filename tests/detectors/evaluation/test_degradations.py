"""Treatments: the same seed gives the same pixels, classes are treated alike, sizes do what the mode says."""

import numpy as np
import pytest
from skimage import data

from detectors.evaluation.degradations import MIN_SIDE_AFTER_REDUCTION, PLATFORMS, Mode, apply_mode, reduce

ASTRONAUT = data.astronaut()


@pytest.mark.parametrize("mode", Mode)
def test_a_seed_decides_everything(mode: Mode) -> None:
    first, second = (apply_mode(ASTRONAUT, mode, np.random.default_rng(5), lossless=True) for _ in range(2))
    assert first.dtype == np.uint8
    assert np.array_equal(first, second)


def test_naive_changes_nothing() -> None:
    assert np.array_equal(apply_mode(ASTRONAUT, Mode.NAIVE, np.random.default_rng(1), lossless=True), ASTRONAUT)


def test_history_leaves_files_with_a_history_at_their_first_save() -> None:
    seeds = range(12)
    lossless = [apply_mode(ASTRONAUT, Mode.HISTORY, np.random.default_rng(s), lossless=True) for s in seeds]
    jpeg = [apply_mode(ASTRONAUT, Mode.HISTORY, np.random.default_rng(s), lossless=False) for s in seeds]
    last = [apply_mode(ASTRONAUT, Mode.LAST_ENCODE, np.random.default_rng(s), lossless=True) for s in seeds]
    assert all(np.array_equal(a, b) for a, b in zip(jpeg, last, strict=True))
    assert any(not np.array_equal(a, b) for a, b in zip(lossless, last, strict=True))


def test_scale_reduces_but_never_below_what_can_be_examined() -> None:
    sizes = {reduce(ASTRONAUT, np.random.default_rng(s)).shape[0] for s in range(12)}
    assert max(sizes) <= 512
    assert min(sizes) >= MIN_SIDE_AFTER_REDUCTION
    assert len(sizes) > 6


@pytest.mark.parametrize("mode", PLATFORMS)
def test_platforms_limit_the_longest_side(mode: Mode) -> None:
    wide = np.tile(ASTRONAUT, (1, 5, 1))
    treated = apply_mode(wide, mode, np.random.default_rng(1), lossless=False)
    assert treated.shape[1] == min(2560, PLATFORMS[mode].longest_side)
    assert treated.shape[0] == pytest.approx(512 * treated.shape[1] / 2560, abs=1)
