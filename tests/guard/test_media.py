"""Decoding under limits: what is accepted comes out right, everything else is refused with advice."""

import io

import numpy as np
import pytest
from PIL import Image, ImageCms

from guard import media
from guard.errors import MediaError, MediaTooLargeError, UndecodableMediaError, UnsupportedMediaError
from guard.media import decode, encode, luma, sniff_media_type
from guard.records import ImageFormat
from tests.vectors.bad_images import bad_images

BAD = bad_images()
EXPECTED = {
    "bomb_50000_x_50000": MediaTooLargeError,
    "long_side": MediaTooLargeError,
    "one_pixel": UnsupportedMediaError,
    "animated_gif": UnsupportedMediaError,
    "animated_png": UnsupportedMediaError,
    "animated_webp": UnsupportedMediaError,
    "cmyk_jpeg": UnsupportedMediaError,
    "sixteen_bit_grey_png": UnsupportedMediaError,
    "sixteen_bit_rgb_png": UnsupportedMediaError,
    "float_tiff": UnsupportedMediaError,
    "two_page_tiff": UnsupportedMediaError,
}


@pytest.mark.parametrize("defect", sorted(BAD))
def test_bad_images_are_refused_with_advice(defect: str) -> None:
    with pytest.raises(EXPECTED.get(defect, UndecodableMediaError)) as caught:
        decode(BAD[defect])
    assert str(caught.value).endswith(".")
    assert caught.value.diagnostics()


def test_too_many_bytes_are_refused_before_parsing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(media, "MAX_BYTES", 100)
    with pytest.raises(MediaTooLargeError, match="at most 100"):
        decode(BAD["truncated_png"])


def picture(width: int = 80, height: int = 48) -> np.ndarray:
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([x * 255 // width, y * 255 // height, (x + y) % 256], axis=2).astype(np.uint8)


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("image_format", list(ImageFormat))
def test_encode_and_decode(image_format: ImageFormat) -> None:
    pixels = picture()
    data = encode(pixels, image_format)
    found = decode(data)
    assert found.media_type == image_format.media_type == sniff_media_type(data)
    assert found.rgb.shape == pixels.shape
    error = np.abs(found.rgb.astype(int) - pixels).mean()
    assert error == 0 if image_format is ImageFormat.PNG else error < 6


def test_orientation_is_applied_and_the_stored_size_kept() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate 90 degrees clockwise to view
    found = decode(saved(Image.fromarray(picture(80, 48)), "PNG", exif=exif))
    assert found.rgb.shape == (80, 48, 3)
    assert found.stored_size == (80, 48)


def test_alpha_is_composited_on_white_and_kept() -> None:
    image = Image.new("RGBA", (40, 40), (255, 0, 0, 0))
    found = decode(saved(image, "PNG"))
    assert (found.rgb == 255).all()
    assert found.alpha is not None
    assert (found.alpha == 0).all()


@pytest.mark.parametrize("mode", ["L", "P", "1", "LA"])
def test_other_modes_become_rgb(mode: str) -> None:
    found = decode(saved(Image.fromarray(picture()).convert("L").convert(mode), "PNG"))
    assert found.rgb.shape == (48, 80, 3)
    assert (found.rgb[..., 0] == found.rgb[..., 1]).all()


def test_a_wide_gamut_profile_is_converted() -> None:
    swapped = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
    plain = decode(saved(Image.fromarray(picture()), "PNG", icc_profile=b"broken profile"))
    assert (plain.rgb == picture()).all(), "a broken profile is ignored"
    assert decode(saved(Image.fromarray(picture()), "PNG", icc_profile=swapped.tobytes())).rgb.shape == (48, 80, 3)


def test_luma_weights_are_rec_601() -> None:
    primaries = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8)
    assert luma(primaries)[0] == pytest.approx([76.245, 149.685, 29.07], abs=0.01)


@pytest.mark.parametrize("cut", range(0, 3900, 97))
def test_truncation_anywhere_is_a_media_error(cut: int) -> None:
    data = saved(Image.fromarray(picture(200, 200)), "JPEG", quality=90)[:cut]
    with pytest.raises(MediaError) as caught:
        decode(data)
    assert caught.value.diagnostics()
