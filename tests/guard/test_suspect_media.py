"""Suspect files give what pixels they have, with a note; limits of size stay; the strict decoder still refuses."""

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image, ImageFile
from skimage import data

from guard.errors import MediaTooLargeError, UndecodableMediaError, UnsupportedMediaError
from guard.media import decode
from guard.picture_file import open_picture
from guard.records import RGB8
from guard.suspect_media import decode_suspect

PHOTO: RGB8 = data.astronaut()[:256, :320]


def saved(picture: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def sixteen_bit_rgb(pixels: RGB8) -> bytes:
    """A PNG of 16 bits a channel; Pillow writes none in colour."""
    height, width = pixels.shape[:2]
    rows = b"".join(b"\0" + (row.astype(">u2") * 257).tobytes() for row in pixels)
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )


def animated(kind: str) -> bytes:
    frames = [Image.fromarray(PHOTO), Image.fromarray(PHOTO[::-1]), Image.fromarray(255 - PHOTO)]
    options = {"lossless": True} if kind == "WEBP" else {}
    return saved(frames[0], kind, save_all=True, append_images=frames[1:], **options)


ODD = {
    "CMYK": (saved(Image.fromarray(PHOTO).convert("CMYK"), "JPEG", quality=95), "CMYK", 6.0),
    "16-bit grey": (saved(Image.fromarray(PHOTO[..., 1].astype(np.uint16) * 257), "PNG"), "16 bits", 60.0),
    "16-bit colour": (sixteen_bit_rgb(PHOTO), "16 bits", 0.0),
    "float": (saved(Image.fromarray(PHOTO[..., 1].astype(np.float32) / 255), "TIFF"), "mode F", 60.0),
    "GIF": (animated("GIF"), "first of 3 frames", 8.0),
    "APNG": (animated("PNG"), "first of 3 frames", 0.0),
    "WebP": (animated("WEBP"), "first of 3 frames", 0.0),
    "pages": (animated("TIFF"), "first of 3 frames", 0.0),
}
"""What: (file, part of the note, largest mean difference from the photo in grey levels)."""


@pytest.mark.parametrize("what", ODD)
def test_odd_files_give_their_pixels_and_say_how(what: str) -> None:
    file, noted, tolerance = ODD[what]
    found = decode_suspect(file)
    assert found.decoded is not None
    assert found.without_pixels is None
    assert found.decoded.rgb.shape == PHOTO.shape
    assert np.abs(found.decoded.rgb.astype(int) - PHOTO).mean() <= tolerance
    (note,) = found.notes
    assert noted in note


@pytest.mark.parametrize("what", ODD)
def test_what_is_generated_from_or_signed_must_still_be_plain(what: str) -> None:
    for strict in (decode, open_picture):
        with pytest.raises(UnsupportedMediaError):
            strict(ODD[what][0])


def test_grey_of_sixteen_bits_keeps_its_high_byte() -> None:
    found = decode_suspect(ODD["16-bit grey"][0])
    assert found.decoded is not None
    assert np.array_equal(found.decoded.rgb[..., 0], PHOTO[..., 1])


def test_a_plain_file_decodes_as_ever_without_a_note() -> None:
    file = saved(Image.fromarray(PHOTO), "JPEG", quality=90)
    found, strict = decode_suspect(file, partial=True), decode(file)
    assert found.notes == ()
    assert found.decoded is not None
    assert np.array_equal(found.decoded.rgb, strict.rgb)


def test_a_small_picture_has_no_pixels_to_examine() -> None:
    file = saved(Image.fromarray(PHOTO[:16, :200]), "PNG")
    found = decode_suspect(file)
    assert found.decoded is None
    assert found.stored_size == (200, 16)
    assert "Too small" in (found.without_pixels or "")
    with pytest.raises(UnsupportedMediaError):
        decode(file)


def test_a_cut_jpeg_gives_its_upper_rows_where_that_is_allowed() -> None:
    whole = saved(Image.fromarray(PHOTO), "JPEG", quality=90)
    cut = whole[: len(whole) // 2]
    found = decode_suspect(cut, partial=True)
    assert found.decoded is not None
    rows = found.decoded.rgb.shape[0]
    assert 64 <= rows <= 200
    assert np.array_equal(found.decoded.rgb, decode(whole).rgb[:rows])  # nothing of the filling
    assert f"{rows} of 256" in found.notes[0]
    assert ImageFile.LOAD_TRUNCATED_IMAGES is False
    with pytest.raises(UndecodableMediaError):
        decode(cut)
    assert decode_suspect(cut).decoded is None  # not in a process that does other things


@pytest.mark.parametrize("kind", ["progressive JPEG", "PNG", "JPEG of few rows"])
def test_other_cut_files_have_no_pixels_to_examine(kind: str) -> None:
    picture = Image.fromarray(PHOTO)
    if kind == "progressive JPEG":
        file = saved(picture, "JPEG", progressive=True)
    else:
        file = saved(picture, kind.split()[0].upper())
    found = decode_suspect(file[: len(file) // (12 if "few" in kind else 2)], partial=True)
    assert found.decoded is None
    assert found.stored_size == (320, 256)
    assert "cut off or damaged" in (found.without_pixels or "")
    assert "metadata was read" in found.notes[0]


def test_a_turned_cut_jpeg_stands_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    whole = saved(Image.fromarray(PHOTO), "JPEG", exif=exif.tobytes(), quality=90)
    found = decode_suspect(whole[: len(whole) // 2], partial=True)
    assert found.decoded is not None
    assert found.decoded.rgb.shape[0] == 320
    assert np.array_equal(found.decoded.rgb, decode(whole).rgb[:, -found.decoded.rgb.shape[1] :])


def test_too_large_and_no_image_stay_refused() -> None:
    large = io.BytesIO()
    Image.new("1", (9000, 7000)).save(large, "PNG")
    with pytest.raises(MediaTooLargeError):
        decode_suspect(large.getvalue(), partial=True)
    for nothing in (b"", b"text, not a picture", b"\xff\xd8\xff\xe0"):
        with pytest.raises(UndecodableMediaError):
            decode_suspect(nothing, partial=True)


BROKEN_EXIF = b"Exif\0\0no TIFF header here"


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_broken_exif_does_not_hide_the_pixels(kind: str) -> None:
    options = {"lossless": True} if kind == "WEBP" else {}
    found = decode_suspect(saved(Image.fromarray(PHOTO), kind, exif=BROKEN_EXIF, **options))
    assert found.decoded is not None
    assert np.array_equal(found.decoded.rgb, PHOTO)
    assert found.notes == ()


def test_a_cut_jpeg_with_broken_exif_is_examined() -> None:
    file = saved(Image.fromarray(PHOTO), "JPEG", exif=BROKEN_EXIF, quality=90)
    found = decode_suspect(file[: len(file) // 2], partial=True)
    assert found.decoded is not None
    assert found.decoded.rgb.shape[1] == 320


def test_floats_over_their_whole_range_keep_their_picture() -> None:
    ramp = np.linspace(-3.4e38, 3.4e38, 64 * 64, dtype=np.float32).reshape(64, 64)
    found = decode_suspect(saved(Image.fromarray(ramp), "TIFF"))
    assert found.decoded is not None
    assert (found.decoded.rgb.min(), found.decoded.rgb.max()) == (0, 255)


def test_a_tiff_of_16_bits_a_channel_is_noted() -> None:
    deep = cv2.imencode(".tiff", PHOTO[..., ::-1].astype(np.uint16) * 257)[1].tobytes()
    found = decode_suspect(deep)
    assert found.decoded is not None
    assert np.array_equal(found.decoded.rgb, PHOTO)
    assert "16 bits" in found.notes[0]
    assert decode_suspect(saved(Image.fromarray(PHOTO), "TIFF")).notes == ()
