"""The codec as its users see it: what is embedded is found after attacks, and nothing is found where nothing is."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.errors import KeyMaterialError, WatermarkError
from guard.interfaces import Watermarker
from guard.records import RGB8, ImageID
from guard.robustness.samples import drawing
from guard.watermark.codec import MIN_EMBED_SIDE, LatticeWatermarker
from guard.watermark.key_schedule import KeyName
from tests.guard.watermark import pictures as p

ID = ImageID("00112233445566ff")


@pytest.fixture(scope="module")
def codec() -> LatticeWatermarker:
    return LatticeWatermarker(p.KEY)


@pytest.fixture(scope="module")
def original() -> RGB8:
    return p.photo("astronaut", (512, 512))


@pytest.fixture(scope="module")
def marked(codec: LatticeWatermarker, original: RGB8) -> RGB8:
    return codec.embed(original, ID)


def test_it_is_a_watermarker(codec: LatticeWatermarker) -> None:
    as_protocol: Watermarker = codec
    assert as_protocol.algorithm == "org.signet-gateway.lattice.1"


def test_the_mark_is_faint(original: RGB8, marked: RGB8) -> None:
    assert marked.shape == original.shape
    assert 40.0 <= p.psnr(original, marked) <= 46.5


def test_embedding_leaves_its_input_alone_and_is_deterministic(codec: LatticeWatermarker) -> None:
    pixels = p.drawing(1)
    before = pixels.copy()
    assert np.array_equal(codec.embed(pixels, ID), codec.embed(pixels, ID))
    assert np.array_equal(pixels, before)


ATTACKS = {
    "none": lambda x: x,
    "jpeg90": lambda x: p.jpeg(x, 90),
    "jpeg75": lambda x: p.jpeg(x, 75),
    "jpeg50": lambda x: p.jpeg(x, 50),
    "jpeg25": lambda x: p.jpeg(x, 25),
    "webp80": lambda x: p.webp(x, 80),
    "half size": lambda x: p.resized(x, 0.5),
    "three quarters": lambda x: p.resized(x, 0.75),
    "half size jpeg75": lambda x: p.jpeg(p.resized(x, 0.5), 75),
    "crop 0.8": lambda x: p.cropped(x, 0.8),
    "crop 0.5": lambda x: p.cropped(x, 0.5),
    "crop 0.5 at a corner": lambda x: p.cropped(x, 0.5, left=0.1, top=0.3),
    "crop 0.5 jpeg75": lambda x: p.jpeg(p.cropped(x, 0.5), 75),
    "brighter": lambda x: p.clipped(x * 1.3),
    "noise": lambda x: p.noisy(x, 10),
    "blur": lambda x: cv2.GaussianBlur(x, (0, 0), 1.5),
    "screenshot": lambda x: p.jpeg(p.resized(x, 0.87), 80),
    "grey": lambda x: np.repeat(cv2.cvtColor(x, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2),
    "stretched": lambda x: p.resized(x, 1.0, 0.8),
    "squeezed": lambda x: p.resized(x, 0.75, 1.0),
    "on a wide canvas": lambda x: cv2.copyMakeBorder(x, 200, 312, 300, 212, cv2.BORDER_CONSTANT, value=(235, 235, 235)),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_the_id_survives(codec: LatticeWatermarker, marked: RGB8, attack: str) -> None:
    reading = codec.detect(ATTACKS[attack](marked))
    assert reading.image_id == ID
    assert reading.log10_p <= -9


@pytest.mark.parametrize(
    ("degrees", "mirrored"), [(5.0, False), (45.0, False), (90.0, False), (180.0, False), (-30.0, True), (0.0, True)]
)
def test_the_geometry_is_told(codec: LatticeWatermarker, marked: RGB8, degrees: float, mirrored: bool) -> None:
    pixels = p.rotated(np.ascontiguousarray(marked[:, ::-1]) if mirrored else marked, degrees)
    reading = codec.detect(pixels)
    assert reading.image_id == ID
    assert reading.geometry is not None
    assert reading.geometry.mirrored is mirrored
    assert abs((reading.geometry.rotation_deg - degrees + 180) % 360 - 180) < 0.3
    assert reading.geometry.scale == pytest.approx(1.0, abs=0.01)


def test_a_crop_shows_as_scale(codec: LatticeWatermarker, marked: RGB8) -> None:
    reading = codec.detect(p.cropped(marked, 0.5))
    assert reading.geometry is not None
    assert reading.geometry.scale == pytest.approx(2.0, abs=0.02)


@pytest.mark.parametrize("size", [(256, 256), (256, 700), (900, 300), (333, 257), (1024, 640)])
def test_any_size_and_shape_from_256_px(codec: LatticeWatermarker, size: tuple[int, int]) -> None:
    reading = codec.detect(p.jpeg(codec.embed(p.photo("coffee", size), ID), 75))
    assert reading.image_id == ID


@pytest.mark.parametrize("seed", range(6))
def test_small_flat_drawings_survive_jpeg_and_reduction(codec: LatticeWatermarker, seed: int) -> None:
    marked = codec.embed(p.drawing(seed), ID)
    assert codec.detect(p.resized(p.jpeg(marked, 75), 0.7)).image_id == ID


def test_a_small_drawing_on_black_that_cannot_keep_all_keeps_jpeg_75_and_reduction(codec: LatticeWatermarker) -> None:
    marked = codec.embed(drawing(112, 256), ID)
    assert codec.detect(p.resized(p.jpeg(marked, 75), 0.7)).image_id == ID


@pytest.mark.parametrize("seed", range(3))
def test_flat_drawings_survive_ordinary_re_saving(codec: LatticeWatermarker, seed: int) -> None:
    marked = codec.embed(p.drawing(seed, 512), ID)
    for copy in (p.jpeg(marked, 50), p.jpeg(p.resized(marked, 0.7), 75), p.webp(marked, 80)):
        assert codec.detect(copy).image_id == ID


@pytest.mark.parametrize("value", [0, 128, 255])
def test_even_a_plain_surface_is_marked(codec: LatticeWatermarker, value: int) -> None:
    marked = codec.embed(np.full((512, 512, 3), value, np.uint8), ID)
    assert codec.detect(p.jpeg(marked, 75)).image_id == ID


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((32, 32, 3), np.uint8),
        np.zeros((1, 1, 3), np.uint8),
        np.full((40, 900, 3), 255, np.uint8),
        np.full((2000, 33, 3), 7, np.uint8),
        np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8),
        np.indices((256, 256)).sum(axis=0).astype(np.uint8)[..., None].repeat(3, axis=2),
    ],
    ids=["tiny", "one pixel", "wide", "tall", "noise", "ramp"],
)
def test_nothing_is_found_where_nothing_is(codec: LatticeWatermarker, pixels: RGB8) -> None:
    reading = codec.detect(pixels)
    assert reading.image_id is None
    assert reading.geometry is None
    assert -9 < reading.log10_p <= 0


@given(height=st.integers(32, 150), width=st.integers(32, 150), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=8, deadline=None)
def test_detection_never_raises(height: int, width: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    pixels = (rng.integers(0, 256, (height, width, 3)) * rng.integers(0, 2)).astype(np.uint8)
    assert LatticeWatermarker(p.KEY).detect(pixels).image_id is None


def test_another_master_key_reads_nothing(marked: RGB8) -> None:
    reading = LatticeWatermarker(bytes(32)).detect(marked)
    assert reading.image_id is None
    assert reading.log10_p > -9


@pytest.mark.parametrize(("tenant", "period"), [("other", "1"), ("local", "2")])
def test_another_tenant_or_period_reads_nothing(marked: RGB8, tenant: str, period: str) -> None:
    assert LatticeWatermarker(p.KEY, tenant=tenant, period=period).detect(marked).image_id is None


def test_a_pool_reads_every_key_in_it_and_its_bound_pays_for_the_size(marked: RGB8) -> None:
    alone = LatticeWatermarker(p.KEY).detect(marked)
    pool = [KeyName(tenant="local", period="1"), *(KeyName(tenant="t", period=str(i)) for i in range(8))]
    many = LatticeWatermarker(p.KEY, tenant="new", period="9", pool=pool).detect(marked)
    assert many.image_id == ID
    assert many.log10_p == pytest.approx(alone.log10_p + 1.0, abs=0.01)  # ten keys


@pytest.mark.parametrize("side", [1, MIN_EMBED_SIDE - 1])
def test_too_small_a_picture_is_refused(codec: LatticeWatermarker, side: int) -> None:
    with pytest.raises(WatermarkError, match="at least 256 pixels"):
        codec.embed(np.zeros((400, side, 3), np.uint8), ID)


@pytest.mark.parametrize("bad", ["", "0011", "00112233445566FF", "g" * 16, "00112233445566ff\n"])
def test_what_is_no_id_is_refused(codec: LatticeWatermarker, bad: str) -> None:
    with pytest.raises(WatermarkError, match="16 lower-case"):
        codec.embed(p.drawing(0), ImageID(bad))


@pytest.mark.parametrize("shape", [(300, 300), (300, 300, 4)])
def test_other_arrays_are_refused(codec: LatticeWatermarker, shape: tuple[int, ...]) -> None:
    for call in (codec.detect, lambda x: codec.embed(x, ID)):
        with pytest.raises(WatermarkError, match="uint8"):
            call(np.zeros(shape, np.uint8))
    with pytest.raises(WatermarkError, match="float64"):
        codec.detect(np.zeros((300, 300, 3)))


def test_a_short_master_key_is_refused() -> None:
    with pytest.raises(KeyMaterialError, match="31 bytes"):
        LatticeWatermarker(bytes(31))


def _unmarked_crops(count: int) -> int:
    """How many of ``count`` unmarked crops are accepted, each under a key of its own."""
    rng = np.random.default_rng(17)
    names = ("astronaut", "coffee", "chelsea", "rocket")
    pictures = [p.photo(name, (512, 400)) for name in names] + [p.drawing(i, 400) for i in range(4)]
    accepted = 0
    for index in range(count):
        side, left, top = rng.uniform((0.4, 0, 0), (1, 1, 1))
        part = p.cropped(pictures[index % len(pictures)], side, left=left, top=top)
        reading = LatticeWatermarker(rng.bytes(32)).detect(p.jpeg(part, 70) if index % 2 else part)
        assert (reading.image_id is None) == (reading.geometry is None)
        accepted += reading.image_id is not None
    return accepted


def test_no_unmarked_crop_is_accepted() -> None:
    assert _unmarked_crops(12) == 0


@pytest.mark.slow
def test_no_unmarked_crop_of_three_hundred_is_accepted() -> None:
    assert _unmarked_crops(300) == 0
