"""Foreign marks: invisible-watermark written as its package writes it, read back by ours; chance; coexistence."""

import cv2
import numpy as np
import pytest

from guard.records import RGB8, ImageID
from guard.watermark.codec import LatticeWatermarker
from guard.watermark.foreign import find_foreign_marks, hex_of
from guard.watermark.invisible_watermark import (
    BLOCK,
    KNOWN_PAYLOADS,
    SCALE,
    InvisibleWatermarkReader,
    KnownPayload,
    block_votes,
    largest_singular_values,
    voted_bits,
)
from tests.guard.watermark import pictures as p

READERS = (InvisibleWatermarkReader(), InvisibleWatermarkReader(svd=True))
ID = ImageID("00112233445566ff")


def write(pixels: RGB8, bits: tuple[int, ...], *, svd: bool, rgb_as_bgr: bool = False, as_float: bool = False) -> RGB8:
    """The embedder of invisible-watermark 0.2.0 (imwatermark/maxDct.py, dwtDctSvd.py), U channel, Haar."""
    bgr = pixels if rgb_as_bgr else np.ascontiguousarray(pixels[:, :, ::-1])
    yuv = cv2.cvtColor(bgr.astype(np.float32) if as_float else bgr, cv2.COLOR_BGR2YUV)
    rows, columns = (s // 4 * 4 for s in yuv.shape[:2])
    u = yuv[:rows, :columns, 1].astype(np.float64)
    a, b, c, d = u[0::2, 0::2], u[0::2, 1::2], u[1::2, 0::2], u[1::2, 1::2]
    low, h, v, diagonal = (a + b + c + d) / 2, (a + b - c - d) / 2, (a - b + c - d) / 2, (a - b - c + d) / 2
    number = 0
    for i in range(low.shape[0] // BLOCK):
        for j in range(low.shape[1] // BLOCK):
            part = np.s_[i * BLOCK : (i + 1) * BLOCK, j * BLOCK : (j + 1) * BLOCK]
            block, bit = low[part], bits[number % len(bits)]
            if svd:
                left, s, right = np.linalg.svd(cv2.dct(block.copy()))
                s[0] = (s[0] // SCALE + 0.25 + 0.5 * bit) * SCALE
                low[part] = cv2.idct(left @ np.diag(s) @ right)
            else:
                place = np.unravel_index(np.abs(block.flatten()[1:]).argmax() + 1, block.shape)
                sign = 1.0 if block[place] >= 0 else -1.0
                block[place] = sign * (abs(block[place]) // SCALE + 0.25 + 0.5 * bit) * SCALE
            number += 1
    u[0::2, 0::2], u[0::2, 1::2] = (low + h + v + diagonal) / 2, (low + h - v - diagonal) / 2
    u[1::2, 0::2], u[1::2, 1::2] = (low - h + v - diagonal) / 2, (low - h - v + diagonal) / 2
    yuv[:rows, :columns, 1] = u
    out = p.clipped(cv2.cvtColor(yuv, cv2.COLOR_YUV2BGR).astype(np.float64))
    return out if rgb_as_bgr else np.ascontiguousarray(out[:, :, ::-1])


@pytest.mark.parametrize("payload", KNOWN_PAYLOADS, ids=lambda k: k.writer[:22])
@pytest.mark.parametrize("svd", [False, True])
@pytest.mark.parametrize(("rgb_as_bgr", "as_float"), [(False, False), (True, False), (False, True)])
def test_every_known_payload_is_named(payload: KnownPayload, svd: bool, rgb_as_bgr: bool, as_float: bool) -> None:
    marked = write(p.photo("astronaut", (512, 448)), payload.bits, svd=svd, rgb_as_bgr=rgb_as_bgr, as_float=as_float)
    found = READERS[svd].read(marked)
    assert found is not None
    assert found.writer == payload.writer
    assert found.bits == len(payload.bits)
    assert found.log10_chance <= -6


def test_the_sizes_of_the_known_payloads_are_those_that_are_embedded() -> None:
    assert [len(k.bits) for k in KNOWN_PAYLOADS] == [136, 32, 48, 46]


@pytest.mark.parametrize("name", ["astronaut", "coffee", "chelsea", "rocket"])
def test_pictures_without_a_mark_show_none(name: str) -> None:
    assert find_foreign_marks(p.photo(name, (512, 384)), READERS) == ()


@pytest.mark.parametrize("value", [0, 90, 255])
def test_plain_surfaces_and_small_pictures_show_none(value: int) -> None:
    assert find_foreign_marks(np.full((300, 300, 3), value, np.uint8), READERS) == ()
    small = write(p.photo("coffee", (200, 200)), KNOWN_PAYLOADS[2].bits, svd=True)
    assert find_foreign_marks(small, READERS) == ()


def test_another_payload_is_not_taken_for_a_known_one() -> None:
    other = tuple(int(b) for b in np.random.default_rng(1).integers(0, 2, 48))
    assert find_foreign_marks(write(p.photo("coffee", (384, 320)), other, svd=True), READERS) == ()


def test_a_jpeg_copy_loses_the_default_mark_so_none_says_nothing() -> None:
    marked = write(p.photo("rocket", (400, 360)), KNOWN_PAYLOADS[2].bits, svd=False)
    assert READERS[0].read(p.jpeg(marked, 80)) is None


@pytest.mark.parametrize("svd", [False, True])
def test_our_mark_and_theirs_live_together_in_either_order(svd: bool) -> None:
    codec, picture = LatticeWatermarker(p.KEY), p.photo("rocket", (512, 448))
    bits = KNOWN_PAYLOADS[2].bits
    theirs_first = codec.embed(write(picture, bits, svd=svd), ID)
    ours_first = write(codec.embed(picture, ID), bits, svd=svd)
    for both in (theirs_first, ours_first):
        assert codec.detect(both).image_id == ID
        assert READERS[svd].read(both) is not None


def test_votes_are_dealt_in_turn_and_a_draw_rounds_like_the_original() -> None:
    assert voted_bits(np.array([True, False, True, True, False, False]), 2).tolist() == [1, 0]
    assert voted_bits(np.array([True, True, False, False]), 2).tolist() == [1, 1]  # 0.5 * 255 > 127
    votes = block_votes(p.photo("coffee", (64, 48))[..., 0].astype(np.float32), svd=False)
    assert votes.shape == (6 * 8,)


def test_hex_is_filled_up_at_the_end() -> None:
    assert hex_of([1, 0, 1, 0]) == "a"
    assert hex_of([1, 1, 1, 1, 1]) == "f8"


@pytest.mark.parametrize("kind", ["random", "flat", "rank one", "equal", "almost equal", "zero"])
def test_singular_values_agree_with_lapack(kind: str) -> None:
    rng = np.random.default_rng(7)
    turns = np.linalg.qr(rng.normal(size=(500, 4, 4)))[0]
    cells = {
        "random": rng.normal(0, 90, (500, 4, 4)),
        "flat": 256 + rng.normal(0, 1, (500, 4, 4)),
        "rank one": rng.normal(0, 20, (500, 4, 1)) * rng.normal(0, 20, (500, 1, 4)),
        "equal": 300 * turns,
        "almost equal": turns * np.array([300, 300, 299.9, 1.0])[:, None],
        "zero": np.zeros((500, 4, 4)),
    }[kind]
    exact = np.linalg.svd(cells, compute_uv=False)[:, 0]
    found = largest_singular_values(np.ascontiguousarray(cells.transpose(1, 2, 0)))
    assert np.abs(found - exact).max() <= 5e-4 * max(exact.max(), 1.0)


def test_a_strip_without_a_whole_block_carries_nothing() -> None:
    assert block_votes(np.zeros((7, 40_000), np.float32), svd=True).size == 0
    assert InvisibleWatermarkReader(svd=True).read(np.zeros((7, 40_000, 3), np.uint8)) is None
