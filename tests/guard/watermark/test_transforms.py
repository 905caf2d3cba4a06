"""Pattern, projection and spectrum agree with the sums that define them, and with one another."""

import numpy as np
import pytest

from guard.watermark.canonical import Frame, flatten, frame_of, pixel_pitch, project
from guard.watermark.embedding import Decodes, Embedder, activity_mask, pattern_of
from guard.watermark.geometry import Hypothesis, LatticeSearch
from guard.watermark.key_schedule import KeySchedule
from guard.watermark.lattice import GRID, R_MAX, R_MIN, TILE, Lattice
from guard.watermark.search import CANDIDATES_EACH, SHARES, STRETCHES, TRIALS, orientations
from guard.watermark.spectrum import Spectrum, half_transform
from guard.watermark.statistic import SHIFT_GRID, LineReader
from tests.guard.watermark.pictures import KEY

LATTICE = Lattice.draw(KeySchedule.from_master(KEY).lattice_stream())


def _noise_frame(height: int, width: int, pitch: float = 1.0) -> Frame:
    values = np.random.default_rng(3).normal(size=(height, width)).astype(np.float32)
    return Frame(values=values, pitch_x=pitch, pitch_y=1.0)


def test_half_of_the_annulus_is_lit_and_nothing_twice() -> None:
    lines = np.concatenate([LATTICE.lit, LATTICE.dark])
    assert len(np.unique(lines, axis=0)) == len(lines)
    radius = np.hypot(lines[:, 0], lines[:, 1])
    assert radius.min() >= R_MIN
    assert radius.max() <= R_MAX
    assert abs(len(LATTICE.lit) - len(LATTICE.dark)) <= 0.02 * len(lines)
    assert sorted(np.concatenate([LATTICE.pilots, LATTICE.data])) == list(range(len(LATTICE.lit)))
    assert not any((-line).tolist() in lines.tolist() for line in lines[:50])


@pytest.mark.parametrize(("height", "width", "used"), [(8, 2, 0), (6, 4, 0), (64, 128, 0), (128, 64, 40)])
def test_the_half_transform_is_that_of_numpy(height: int, width: int, used: int) -> None:
    values = np.random.default_rng(height).normal(size=(height, width)).astype(np.float32)
    values[used or height :] = 0
    np.testing.assert_allclose(half_transform(values, rows_used=used), np.fft.rfft2(values), atol=1e-4)


@pytest.mark.parametrize(("height", "width"), [(256, 256), (300, 431)])
def test_the_pattern_is_the_sum_of_its_waves(height: int, width: int) -> None:
    rng = np.random.default_rng(1)
    lines = np.exp(2j * np.pi * rng.random(len(LATTICE.lit))).astype(np.complex64)
    pattern = pattern_of(lines, LATTICE, height, width)
    assert pattern.std() == pytest.approx(1.0, abs=0.05)
    pitch = pixel_pitch(height, width)
    for row, column in ((0, 0), (17, 200), (height - 1, width - 1)):
        x, y = (column + 0.5 - width / 2) / pitch, (row + 0.5 - height / 2) / pitch
        waves = lines * np.exp(2j * np.pi * (LATTICE.lit @ np.array([x, y])) / TILE)
        assert pattern[row, column] == pytest.approx(waves.real.sum() / np.sqrt(len(lines) / 2), abs=0.01)


@pytest.mark.parametrize(("u", "v"), [(0, 9), (12, 0), (7, -20), (32, 3)])
def test_projection_is_the_fourier_sum(u: int, v: int) -> None:
    frame = _noise_frame(100, 141, pitch=1.003)
    x = (np.arange(141) + 0.5 - 70.5) * 1.003
    y = np.arange(100) + 0.5 - 50
    expected = (frame.values * np.exp(-2j * np.pi * (u * x[None, :] + v * y[:, None]) / TILE)).sum()
    assert project(frame)[v + GRID, u] == pytest.approx(expected, rel=1e-3, abs=0.05)


def test_the_spectrum_reads_what_the_projection_computes() -> None:
    frame = _noise_frame(511, 400)
    exact, read = project(frame), Spectrum.of(frame).read(np.eye(2))
    assert np.abs(read - exact).max() < 0.02 * np.abs(exact).max()


@pytest.mark.parametrize("index", range(4))
def test_orientations_read_what_their_matrices_say(index: int) -> None:
    frame = _noise_frame(500, 500)
    hypothesis, grid = list(orientations(project(frame)))[index]
    read = Spectrum.of(frame).read(hypothesis.matrix())
    assert np.abs(read - grid).max() < 0.02 * np.abs(grid).max()


def test_stretches_are_the_promised_range() -> None:
    assert min(STRETCHES) < 0.75
    assert max(STRETCHES) > 1.34
    assert max(np.diff(np.log([*STRETCHES[: len(STRETCHES) // 2], 1.0]))) < 0.0125
    assert np.linalg.det(Hypothesis(stretch=1.2).matrix()) == pytest.approx(1.0)


@pytest.mark.parametrize("shape", [(32, 32), (33, 4000), (5000, 40), (256, 256)])
def test_any_shape_becomes_a_finite_frame(shape: tuple[int, int]) -> None:
    luma = np.random.default_rng(0).uniform(0, 255, shape).astype(np.float32)
    frame = frame_of(luma)
    assert max(frame.values.shape) <= 1024
    assert np.isfinite(frame.values).all()


def test_a_plain_surface_flattens_to_nothing() -> None:
    assert np.abs(flatten(np.full((64, 64), 200.0, np.float32))).max() < 1e-3


def test_the_mask_does_not_spill_from_texture_into_flat_areas() -> None:
    luma = np.full((512, 512), 120.0, np.float32)
    luma[:, 256:] += np.random.default_rng(0).normal(0, 40, (512, 256)).astype(np.float32)
    mask = activity_mask(luma, 1.0)
    assert mask.share[:, :246].max() < 0.55
    assert mask.share[:, 300:].mean() > 1.2
    assert mask.ceiling[:, :246].max() < 1.1
    assert mask.ceiling[:, 300:].mean() > 5


def _flat_rms(*, level: int, decodes: Decodes) -> float:
    """Return the root mean square of the change of a plain surface, in levels."""
    flat = np.full((512, 512, 3), level, np.uint8)
    lines = np.exp(1j * np.arange(len(LATTICE.lit))).astype(np.complex64)
    marked = Embedder(LATTICE, LineReader(LATTICE)).embed(flat, lines, decodes=decodes)
    return float(np.sqrt(((marked.astype(np.float64) - flat) ** 2).mean()))


@pytest.mark.parametrize("always", [True, False])
def test_a_flat_area_takes_one_level_when_that_is_enough_and_when_more_would_not_help(always: bool) -> None:
    assert 0.8 < _flat_rms(level=120, decodes=lambda values: always) < 1.15  # the ceiling, after rounding


@pytest.mark.parametrize(("level", "most"), [(120, 2.6), (255, 2.7)])
def test_a_flat_area_takes_no_more_than_is_needed_to_read_it(level: int, most: float) -> None:
    lines = np.exp(1j * np.arange(len(LATTICE.lit))).astype(np.complex64)

    def above(least: float) -> Decodes:
        return lambda values: bool((values * lines.conj()).real.sum() > least * np.abs(values).sum() + 1e-6)

    weak, strong = (_flat_rms(level=level, decodes=above(least)) for least in (0.2, 0.3))
    assert 1.0 < weak < strong < most


def test_the_error_is_shared_out_exactly_and_every_stage_is_counted() -> None:
    assert sum(SHARES.values()) == 1.0
    assert set(SHARES) == set(TRIALS)
    candidates = LatticeSearch(LATTICE).candidates(Spectrum.of(_noise_frame(256, 256)), count=CANDIDATES_EACH)
    assert len(candidates) * 2 * SHIFT_GRID**2 <= TRIALS["free"]
    assert len(list(orientations(project(_noise_frame(64, 64))))) * 2 <= TRIALS["in place"]
