"""Perspective, shear, and stretched crops: found from magnitudes, undone, and counted in the bound."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.records import RGB8, ImageID
from guard.robustness import pixels as px
from guard.watermark.canonical import Frame, frame_of, luma_of
from guard.watermark.codec import LatticeWatermarker
from guard.watermark.geometry import Hypothesis
from guard.watermark.key_schedule import KeySchedule
from guard.watermark.lattice import Lattice
from guard.watermark.search import SHARES, TRIALS
from guard.watermark.spectrum import Spectrum
from guard.watermark.statistic import SHIFT_GRID
from guard.watermark.warp import RESULTS, Warp, WarpSearch, rectified
from tests.guard.watermark import pictures as p

ID = ImageID("00112233445566ff")
LATTICE = Lattice.draw(KeySchedule.from_master(p.KEY).lattice_stream())


@pytest.fixture(scope="module")
def codec() -> LatticeWatermarker:
    return LatticeWatermarker(p.KEY)


@pytest.fixture(scope="module")
def marked(codec: LatticeWatermarker) -> RGB8:
    return codec.embed(p.photo("coffee", (640, 512)), ID)


ATTACKS = {
    "tilt 3 %": lambda x: px.tilted(x, 0.03),
    "tilt 5 %": lambda x: px.tilted(x, 0.05),
    "tilt 3 % sideways": lambda x: np.rot90(px.tilted(np.ascontiguousarray(np.rot90(x)), 0.03), -1),
    "tilt 3 %, mirrored": lambda x: px.mirrored(px.tilted(x, 0.03)),
    "tilt 3 %, JPEG 75": lambda x: px.jpeg(px.tilted(x, 0.03), 75),
    "sheared 3 %": lambda x: px.sheared(x, 0.03),
    "stretched and cropped": lambda x: px.cropped(px.resized(x, 0.8, 1.0), 0.8, left=0.2),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_the_id_survives(codec: LatticeWatermarker, marked: RGB8, attack: str) -> None:
    reading = codec.detect(np.ascontiguousarray(ATTACKS[attack](marked)))
    assert reading.image_id == ID
    assert reading.log10_p <= -9


def test_the_tilt_itself_is_told(marked: RGB8) -> None:
    frame = frame_of(luma_of(px.tilted(marked, 0.04)))
    best = WarpSearch(LATTICE).tilts(frame, [])[0]
    # the upper edge is 8 % narrower: the pattern grows by that much from top to bottom of 512 * sqrt(4/5) canonical px
    assert best.pull[1] * 458 == pytest.approx(0.08, abs=0.02)
    assert abs(best.pull[0]) * 458 < 0.01
    assert best.score > 0.15


def test_no_lattice_scores_next_to_nothing() -> None:
    frame = frame_of(luma_of(p.photo("chelsea", (512, 400))))
    search = WarpSearch(LATTICE)
    found = search.tilts(frame, [Hypothesis(angle=0.3)]) + search.flat_warps(Spectrum.of(frame))
    assert len(found) == 2 * RESULTS
    assert max(warp.score for warp in found) < 0.15


def test_a_picture_too_small_for_windows_has_no_tilts() -> None:
    frame = frame_of(luma_of(np.full((32, 1024, 3), 9, np.uint8)))
    if min(frame.values.shape) >= 64:
        frame = Frame(values=frame.values[:63], pitch_x=1.0, pitch_y=1.0)
    assert WarpSearch(LATTICE).tilts(frame, []) == []


@given(
    flipped=st.booleans(),
    scale=st.floats(0.6, 2.5),
    angle=st.floats(-3.0, 3.0),
    stretch=st.floats(0.99, 1.01),
)
@settings(max_examples=40, deadline=None)
def test_a_hypothesis_is_recovered_from_its_matrix(flipped: bool, scale: float, angle: float, stretch: float) -> None:
    given_one = Hypothesis(flipped=flipped, scale=scale, angle=angle, stretch=stretch)
    found = Warp(linear=given_one.matrix(), pull=np.zeros(2), score=0.0).hypothesis()
    assert found.flipped is flipped
    assert found.scale == pytest.approx(scale, rel=1e-6)
    assert np.abs(np.angle(np.exp(1j * (found.angle - angle)))) < 0.011


def test_rectifying_undoes_a_known_warp() -> None:
    # a smooth field of the pattern, seen through the warp by the definition of Warp, comes back where it was
    y, x = np.indices((300, 400), dtype=np.float64)
    x, y = x + 0.5 - 200, y + 0.5 - 150
    pull, linear = np.array([1e-4, -2e-4]), Hypothesis(scale=1.1, angle=0.05).matrix()
    depth = 1 + pull[0] * x + pull[1] * y
    inward = linear.T
    at_x, at_y = (inward[0, 0] * x + inward[0, 1] * y) / depth, (inward[1, 0] * x + inward[1, 1] * y) / depth

    def field(u: np.ndarray, v: np.ndarray) -> np.ndarray:
        return np.cos(u / 17) + np.sin(v / 23)

    seen = Frame(values=field(at_x, at_y).astype(np.float32), pitch_x=1.0, pitch_y=1.0)
    back = rectified(seen, Warp(linear=linear, pull=pull, score=0.0))
    rows, columns = back.values.shape
    v, u = np.indices((rows, columns), dtype=np.float64)
    wanted = field(u + 0.5 - columns / 2, v + 0.5 - rows / 2)
    middle = np.s_[rows // 4 : -rows // 4, columns // 4 : -columns // 4]
    assert np.abs(back.values[middle] - wanted[middle]).max() < 0.02


def test_the_bound_counts_every_warp_that_is_read() -> None:
    assert sum(SHARES.values()) == pytest.approx(1.0)
    assert SHARES.keys() == TRIALS.keys()
    assert TRIALS["warped"] == 2 * RESULTS * 2 * SHIFT_GRID**2


def test_the_search_looks_at_magnitudes_only(marked: RGB8) -> None:
    # moving the picture's content cyclically changes every phase and no magnitude
    frame = frame_of(luma_of(marked))
    spectrum = Spectrum.of(frame)
    turned = Spectrum(
        values=spectrum.values[..., ::-1].copy(),
        power=spectrum.power,
        offset_x=spectrum.offset_x,
        offset_y=spectrum.offset_y,
        pitch_x=spectrum.pitch_x,
        pitch_y=spectrum.pitch_y,
    )
    search = WarpSearch(LATTICE)
    first, second = search.flat_warps(spectrum), search.flat_warps(turned)
    assert all(np.array_equal(a.linear, b.linear) for a, b in zip(first, second, strict=True))
    shifted = Frame(values=cv2.flip(frame.values, -1), pitch_x=frame.pitch_x, pitch_y=frame.pitch_y)
    upside_down = search.tilts(shifted, [])
    assert upside_down[0].score == pytest.approx(search.tilts(frame, [])[0].score, abs=0.1)
