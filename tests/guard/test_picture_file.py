"""Picture files taken apart and written again: pixels, transparency and metadata survive; pixels are upright."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from guard.errors import RequestError, UndecodableMediaError, UnsupportedMediaError
from guard.media import decode
from guard.picture_file import WRITABLE, open_picture, write_picture
from tests.guard.signing.bench import photo

XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><!-- TC260:AIGC="{}" --></x:xmpmeta>'
IPTC = b"\x1c\x02\x78\x00\x05Hello"
PIXELS = photo("coffee", 64)


def saved(name: str, mode: str = "RGB", **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).convert(mode).save(buffer, name, **options)
    return buffer.getvalue()


def exif(orientation: int, *, byte_order: str = "<") -> bytes:
    block = Image.Exif()
    block.endian = byte_order
    block[0x0112] = orientation
    block[0x010E] = "a description"
    return block.tobytes()


@pytest.mark.parametrize("media_type", sorted(WRITABLE))
def test_metadata_survives_in_every_format(media_type: str) -> None:
    picture = open_picture(saved("JPEG", exif=exif(1), xmp=XMP))
    written = write_picture(PIXELS, picture, media_type)
    again = open_picture(written)
    assert again.media_type == media_type
    assert again.kept.xmp == XMP
    assert again.kept.states_origin
    if media_type != "image/tiff":  # the TIFF file itself is one EXIF-like block
        assert b"a description" in again.kept.exif


def test_png_texts_survive() -> None:
    chunks = PngImagePlugin.PngInfo()
    chunks.add_text("parameters", "steps: 20, é")
    picture = open_picture(saved("PNG", pnginfo=chunks))
    assert picture.kept.texts == (("parameters", "steps: 20, é"),)
    assert open_picture(write_picture(PIXELS, picture, "image/png")).kept.texts == picture.kept.texts
    assert not picture.kept.states_origin


def test_iptc_records_of_a_jpeg_survive() -> None:
    segment = b"Photoshop 3.0\0" + b"8BIM\x04\x04\0\0" + len(IPTC).to_bytes(4, "big") + IPTC
    data = saved("JPEG", extra=b"\xff\xed" + (len(segment) + 2).to_bytes(2, "big") + segment)
    picture = open_picture(data)
    assert picture.kept.resources == ((0x0404, IPTC),)
    assert open_picture(write_picture(PIXELS, picture, "image/jpeg")).kept.resources == picture.kept.resources


@pytest.mark.parametrize("byte_order", ["<", ">"])
def test_pixels_are_turned_once(byte_order: str) -> None:
    picture = open_picture(saved("JPEG", exif=exif(6, byte_order=byte_order), quality=95))
    written = write_picture(picture.rgb, picture, "image/png")
    assert np.abs(decode(written).rgb.astype(int) - np.rot90(PIXELS, -1)).mean() < 6
    assert Image.open(io.BytesIO(written)).getexif()[0x0112] == 1


@pytest.mark.parametrize("media_type", ["image/png", "image/webp"])
def test_transparency_survives_and_looks_the_same(media_type: str) -> None:
    alpha = np.linspace(0, 255, 64).astype(np.uint8)[None].repeat(64, axis=0)
    buffer = io.BytesIO()
    Image.fromarray(np.dstack([PIXELS, alpha])).save(buffer, "PNG")
    picture = open_picture(buffer.getvalue())
    assert picture.alpha is not None
    again = open_picture(write_picture(picture.rgb, picture, media_type))
    assert again.alpha is not None
    assert np.abs(again.rgb.astype(int) - picture.rgb).mean() < (1 if media_type == "image/png" else 4)


def test_an_opaque_alpha_channel_is_dropped() -> None:
    assert open_picture(saved("PNG", "RGBA")).alpha is None


def test_jpeg_shows_white_behind() -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.dstack([PIXELS, np.zeros((64, 64), np.uint8)])).save(buffer, "PNG")
    picture = open_picture(buffer.getvalue())
    assert decode(write_picture(picture.rgb, picture, "image/jpeg")).rgb.min() > 250


@given(st.binary(max_size=64), st.sampled_from([b"II*\0", b"MM\0*"]))
def test_damaged_exif_never_breaks_anything(block: bytes, head: bytes) -> None:
    data = saved("WEBP", exif=b"Exif\0\0" + head + block)
    try:
        decode(data)
    except UndecodableMediaError:
        return
    assert len(open_picture(data).kept.exif) >= len(block)


def test_what_cannot_be_written_says_so() -> None:
    picture = open_picture(saved("PNG"))
    with pytest.raises(UnsupportedMediaError, match="image/gif cannot be written"):
        write_picture(PIXELS, picture, "image/gif")
    large = open_picture(saved("WEBP", xmp=XMP + b" " * 70_000))
    with pytest.raises(RequestError, match="does not fit into JPEG"):
        write_picture(PIXELS, large, "image/jpeg")
