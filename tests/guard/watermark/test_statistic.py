"""The false-accept theorem of docs/watermark.md: tested exactly on small cases, by chance on real ones."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.watermark.canonical import frame_of, luma_of, project
from guard.watermark.key_schedule import KeyName, KeySchedule
from guard.watermark.lattice import GRID, TILE, ChipKey, Lattice
from guard.watermark.payload import CRC_BITS
from guard.watermark.statistic import LineReader, LineValues, best_nearby, best_shift, centred_z, log10_bound
from tests.guard.watermark import pictures as p

SCHEDULE = KeySchedule.from_master(p.KEY)
LATTICE = Lattice.draw(SCHEDULE.lattice_stream())
READER = LineReader(LATTICE)
KEY = ChipKey.derive(SCHEDULE, KeyName(tenant="t", period="1"), LATTICE)
QUADRANTS = np.exp(0.5j * np.pi * (np.arange(4) + 0.5))


def z_of(values: np.ndarray, phases: np.ndarray) -> np.ndarray:
    """(keys,) z for (n,) values and (keys, n) pilot phases, as the theorem writes it."""
    return (phases.conj() @ values).real / np.sqrt((np.abs(values) ** 2).sum() / 2)


parts = st.floats(-100, 100).map(lambda x: round(x, 3))
four_values = st.lists(st.tuples(parts, parts), min_size=4, max_size=4).map(
    lambda v: np.array([complex(*c) for c in v])
)


@given(values=four_values.filter(lambda v: np.abs(v).sum() > 0.01))
@settings(max_examples=60, deadline=None)
def test_the_tail_bound_holds_exactly_over_all_256_keys_of_four_pilots(values: np.ndarray) -> None:
    keys = np.array(list(itertools.product(QUADRANTS, repeat=4)))
    z = z_of(values, keys)
    for t in np.linspace(0.1, 3.0, 30):
        assert (z > t).mean() <= np.exp(-(t**2) / 2) + 1e-12


def _adversarial() -> dict[str, np.ndarray]:
    """Line values that try hard: real pictures, another key's mark, one loud line, all lines alike."""
    from guard.records import ImageID
    from guard.watermark.codec import LatticeWatermarker

    stripes = (128 + 100 * np.sign(np.sin(np.arange(256) * 0.7)))[None, :, None] * np.ones((256, 1, 3))
    foreign = LatticeWatermarker(p.KEY, tenant="other").embed(p.drawing(3), ImageID("0" * 16))
    grids = {"photo": p.photo("chelsea", (300, 256)), "stripes": p.clipped(stripes), "another tenant's mark": foreign}
    values = {n: READER.read(project(frame_of(luma_of(x)))).lit[LATTICE.pilots] for n, x in grids.items()}
    count = len(LATTICE.pilots)
    loud = np.full(count, 0.01 + 0j)
    loud[0] = 50
    return values | {"one loud line": loud, "all alike": np.full(count, 1 + 1j)}


@pytest.mark.parametrize("name", ["photo", "stripes", "another tenant's mark", "one loud line", "all alike"])
def test_over_random_keys_z_stays_under_the_bound(name: str) -> None:
    values, draws = _adversarial()[name], 8_000
    rng = np.random.default_rng(5)
    phases = QUADRANTS[rng.integers(0, 4, (draws, len(values)))]
    z = z_of(values.astype(np.complex128), phases)
    for t in (1.0, 2.0, 3.0, 3.5):
        bound = np.exp(-(t**2) / 2)
        assert (z > t).mean() <= bound + 4 * np.sqrt(bound / draws)


def test_derived_pilots_are_uniform() -> None:
    names = [KeyName(tenant="t", period=str(i)) for i in range(40)]
    pilots = np.concatenate([ChipKey.derive(SCHEDULE, name, LATTICE).pilots for name in names])
    shares = np.array([(np.abs(pilots - q) < 1e-3).mean() for q in QUADRANTS])
    assert shares.sum() == pytest.approx(1.0)
    assert np.abs(shares - 0.25).max() < 4 * np.sqrt(0.25 * 0.75 / len(pilots))


def _shifted(dx: float, dy: float, *, half_turn: bool = False) -> LineValues:
    lines = np.zeros(len(LATTICE.lit), np.complex64)
    lines[LATTICE.pilots] = KEY.pilots
    lines *= np.exp(-2j * np.pi * (LATTICE.lit @ np.array([dx, dy])) / TILE)
    return LineValues(lit=lines.conj() if half_turn else lines)


@given(dx=st.integers(0, 255), dy=st.integers(0, 255), half_turn=st.booleans())
@settings(max_examples=15, deadline=None)
def test_the_shift_is_found(dx: int, dy: int, half_turn: bool) -> None:
    peak = best_shift(_shifted(dx / 2, dy / 2, half_turn=half_turn), LATTICE, KEY)
    assert (peak.dx, peak.dy, peak.half_turn) == (dx / 2, dy / 2, half_turn)
    assert peak.z == pytest.approx(np.sqrt(2 * len(LATTICE.pilots)), rel=1e-3)


def test_a_nearby_shift_is_found() -> None:
    values = _shifted(10.5, 20.0)
    start = best_shift(_shifted(10.0, 20.5), LATTICE, KEY)
    peak = best_nearby(values, LATTICE, KEY, start)
    assert (peak.dx, peak.dy) == (10.5, 20.0)


def test_centred_z_sees_both_ways_up() -> None:
    top = np.sqrt(2 * len(LATTICE.pilots))
    assert centred_z(_shifted(0, 0), LATTICE, KEY)[0] == pytest.approx(top, rel=1e-3)
    assert centred_z(_shifted(0, 0, half_turn=True), LATTICE, KEY)[1] == pytest.approx(top, rel=1e-3)


def test_the_bound_is_the_union_bound() -> None:
    assert log10_bound(8.0, trials=1000, with_crc=False) == pytest.approx(3 - 32 / np.log(10))
    assert log10_bound(8.0, trials=1000, with_crc=True) == pytest.approx(3 - 32 / np.log(10) - CRC_BITS * np.log10(2))
    assert log10_bound(1.0, trials=1e6, with_crc=False) == 0.0
    assert log10_bound(-3.0, trials=1.0, with_crc=False) == 0.0


def test_weights_ignore_phases() -> None:
    rng = np.random.default_rng(2)
    shape = (2 * GRID + 1, GRID + 1)
    grid = (rng.normal(size=shape) + 1j * rng.normal(size=shape)).astype(np.complex64)
    turned = grid * np.exp(2j * np.pi * rng.random(shape))
    # rows v > 0 and v < 0 of column u = 0 are conjugates of each other in a real picture's grid
    for g in (grid, turned):
        g[:GRID, 0] = g[:GRID:-1, 0].conj()
        g[GRID, 0] = 0
    first, second = READER.read(grid), READER.read(turned.astype(np.complex64))
    assert np.allclose(np.abs(first.lit), np.abs(second.lit), rtol=1e-3)
