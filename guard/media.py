"""Bytes <-> RGB arrays under limits: sniff, decode, encode, digest.

``decode(data)`` accepts exactly what can be examined as a still image and says what to do about everything else.
Limits are checked on the header, before any pixel is decoded. Uploads under suspicion go through
``guard.suspect_media`` under the same limits: asking for a converted copy would destroy evidence.
"""

from __future__ import annotations

import hashlib
import io
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from guard.errors import MediaTooLargeError, UndecodableMediaError, UnsupportedMediaError
from guard.records import RGB8, ImageFormat

Luma32: TypeAlias = NDArray[np.float32]
"""(H, W) float32, Rec. 601 luma in [0, 255]."""

MAX_BYTES = 40 * 1024 * 1024
"""Largest upload: a 16 Mpx 8-bit PNG of a photo is about 30 MB (measured); OpenAI's moderation endpoint takes 20 MB."""
MAX_PIXELS = 40_000_000
"""40 Mpx = 120 MB as RGB8: current phone cameras give 12-24 Mpx, full-frame cameras up to 61 Mpx (reduce those)."""
MAX_SIDE = 16_384
"""WebP's own limit per side (RFC 9649 section 2.7: 14 bits), the smallest of the accepted formats."""
MIN_SIDE = 32
"""Below this no detector, checker or mark has anything to look at; icons are outside Article 50(2) marking."""
READABLE = ("PNG", "JPEG", "WEBP", "AVIF", "TIFF", "BMP", "GIF", "MPO")
"""Pillow decoders that are allowed to run; all others stay off."""
DIRECT_MODES = ("RGB", "RGBA", "L", "LA", "P", "1")
"""Pillow modes whose pixels are used as they are."""
MEDIA_TYPES = {
    "PNG": "image/png",
    "JPEG": "image/jpeg",
    "MPO": "image/jpeg",
    "WEBP": "image/webp",
    "AVIF": "image/avif",
    "TIFF": "image/tiff",
    "BMP": "image/bmp",
    "GIF": "image/gif",
}
"""Media type by the name of Pillow's decoder."""
DAMAGED = (OSError, SyntaxError, EOFError, LookupError, TypeError, OverflowError, struct.error)
"""What Pillow's plug-ins raise on damaged files, beside ValueError; every one means "cannot be decoded"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodedImage:
    """A decoded still image.

    Attributes:
        rgb: (H, W, 3) uint8 sRGB, EXIF orientation applied, alpha composited on white.
        alpha: (H, W) uint8, or None when the file has no transparency.
        media_type: what the bytes are, by content, not by name.
        stored_size: (width, height) as stored, before orientation.
    """

    rgb: RGB8
    alpha: NDArray[np.uint8] | None
    media_type: str
    stored_size: tuple[int, int]


def sha256_hex(data: bytes) -> str:
    """Return the SHA-256 of ``data`` as 64 lower-case hex digits."""
    return hashlib.sha256(data).hexdigest()


def sniff_media_type(data: bytes) -> str | None:
    """Return the media type told by the leading bytes, or None.

    Source: PNG 3rd ed. 5.2, ISO 10918-1 B.1, RFC 9649 2.4, ISO 23008-12 brands, GIF89a 17, TIFF 6.0 2, BMP header.
    """
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    if data[4:8] == b"ftyp":
        brand = data[8:12]
        if brand in (b"avif", b"avis"):
            return "image/avif"
        if brand in (b"heic", b"heix", b"mif1", b"msf1", b"hevc"):
            return "image/heic"
    if data[:6] in (b"GIF87a", b"GIF89a"):
        return "image/gif"
    if data[:4] in (b"II*\x00", b"MM\x00*"):
        return "image/tiff"
    if data[:2] == b"BM":
        return "image/bmp"
    return None


def _check_limits(image: Image.Image) -> None:
    """Refuse what is too large before any pixel is decoded."""
    width, height = image.size
    if max(width, height) > MAX_SIDE or width * height > MAX_PIXELS:
        raise MediaTooLargeError(
            f"The image is {width} x {height} pixels; at most {MAX_PIXELS / 1e6:.0f} megapixels and "
            f"{MAX_SIDE} pixels a side are accepted."
        )


def _check_plain(image: Image.Image, data: bytes) -> None:
    """Refuse by smallest size, frames, mode and depth before any pixel is decoded."""
    width, height = image.size
    if min(width, height) < MIN_SIDE:
        raise UnsupportedMediaError(
            f"The image is {width} x {height} pixels; at least {MIN_SIDE} pixels a side are needed.",
            next_step="Send the original picture, not an icon or a tracking pixel.",
        )
    if image.format != "MPO" and getattr(image, "n_frames", 1) > 1:
        raise UnsupportedMediaError(
            "The file is animated or holds several pages.", next_step="Send one frame as a still PNG, JPEG or WebP."
        )
    if image.mode == "CMYK":
        raise UnsupportedMediaError(
            "The image is in CMYK, a print colour space.", next_step="Convert it to sRGB and send it again."
        )
    if is_sixteen_bit_png(data):
        raise UnsupportedMediaError(
            "The PNG has 16 bits a channel.", next_step="Convert it to 8 bits a channel and send it again."
        )
    if image.mode not in DIRECT_MODES:
        raise UnsupportedMediaError(
            f"The image has pixel mode {image.mode} (for instance 16 bits a channel).",
            next_step="Convert it to 8 bits a channel sRGB and send it again.",
        )


def is_sixteen_bit_png(data: bytes) -> bool:
    """Return whether a PNG declares 16 bits a channel (Pillow would silently reduce RGB ones); IHDR is at byte 24."""
    return data.startswith(b"\x89PNG\r\n\x1a\n") and len(data) > 25 and data[24] == 16


def _to_srgb(image: Image.Image) -> Image.Image:
    """Convert through an embedded ICC profile; a broken profile is ignored, as browsers do."""
    profile = image.info.get("icc_profile")
    if not profile or image.mode not in ("RGB", "RGBA", "CMYK"):
        return image
    target = "RGB" if image.mode == "CMYK" else image.mode
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode=target)
    except (ImageCms.PyCMSError, OSError, ValueError):
        return image
    return converted if converted is not None else image


@contextmanager
def open_limited(data: bytes) -> Iterator[Image.Image]:
    """Open a file with the accepted decoders, within the limits of size; Pillow's errors become ours.

    Args:
        data: the file's bytes; 1..MAX_BYTES.

    Raises:
        UndecodableMediaError: empty, not an image, truncated or damaged; also while the caller decodes.
        MediaTooLargeError: over MAX_BYTES, MAX_PIXELS or MAX_SIDE.
    """
    if not data:
        raise UndecodableMediaError("The file is empty.")
    if len(data) > MAX_BYTES:
        raise MediaTooLargeError(f"The file has {len(data)} bytes; at most {MAX_BYTES} are accepted.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns about EXIF and bomb sizes; _check_limits decides on sizes
            with Image.open(io.BytesIO(data), formats=READABLE) as image:
                _check_limits(image)
                yield image
    except UnidentifiedImageError as exc:
        kind = sniff_media_type(data)
        raise UndecodableMediaError(
            f"The file looks like {kind} but cannot be read." if kind else "The file is not an image."
        ) from exc
    except Image.DecompressionBombError as exc:
        raise MediaTooLargeError(f"The image declares more than {MAX_PIXELS} pixels.") from exc
    except ValueError as exc:
        if "MAX_TEXT_CHUNK" in str(exc) or "MAX_TEXT_MEMORY" in str(exc):
            raise MediaTooLargeError(
                "A text field of the PNG unpacks to more than is accepted.",
                next_step="Send the picture without that field; its other metadata can stay.",
            ) from exc
        raise UndecodableMediaError("The image is truncated or damaged.") from exc
    except DAMAGED as exc:
        raise UndecodableMediaError("The image is truncated or damaged.") from exc


def decode(data: bytes) -> DecodedImage:
    """Decode a still image.

    Args:
        data: the file's bytes; 1..MAX_BYTES.

    Raises:
        UndecodableMediaError: empty, not an image, truncated or damaged.
        MediaTooLargeError: over MAX_BYTES, MAX_PIXELS or MAX_SIDE.
        UnsupportedMediaError: animated, CMYK, 16-bit, smaller than MIN_SIDE, or a format that is not accepted.
    """
    with open_limited(data) as image:
        _check_plain(image, data)
        image.load()
        return flatten(image, media_type=MEDIA_TYPES[image.format or ""], stored_size=image.size)


def flatten(image: Image.Image, *, media_type: str, stored_size: tuple[int, int]) -> DecodedImage:
    """Orient loaded pixels of 8 bits a channel, convert them to sRGB and split off alpha.

    Args:
        image: one of DIRECT_MODES, or CMYK.
        media_type: of the file.
        stored_size: (width, height) in the file.
    """
    oriented = ImageOps.exif_transpose(image)
    if oriented.mode in ("P", "LA", "1"):
        oriented = oriented.convert("RGBA" if "transparency" in oriented.info or oriented.mode == "LA" else "RGB")
    if oriented.mode == "L":
        oriented = oriented.convert("RGB")
    oriented = _to_srgb(oriented)
    alpha: NDArray[np.uint8] | None = None
    if oriented.mode == "RGBA":
        alpha = np.asarray(oriented.getchannel("A"))
        white = Image.new("RGBA", oriented.size, (255, 255, 255, 255))
        oriented = Image.alpha_composite(white, oriented).convert("RGB")
    rgb = np.ascontiguousarray(np.asarray(oriented.convert("RGB")))
    return DecodedImage(rgb=rgb, alpha=alpha, media_type=media_type, stored_size=stored_size)


def encode(pixels: RGB8, image_format: ImageFormat, *, quality: int = 95) -> bytes:
    """Encode (H, W, 3) uint8 without metadata.

    Args:
        pixels: sRGB picture.
        image_format: target container.
        quality: 1..100, JPEG and WebP; PNG is lossless at zlib level 1 (twice as fast as 6, 6-13 % larger: measured).
    """
    buffer = io.BytesIO()
    image = Image.fromarray(pixels)
    if image_format is ImageFormat.PNG:
        image.save(buffer, "PNG", compress_level=1)
    elif image_format is ImageFormat.JPEG:
        image.save(buffer, "JPEG", quality=quality, subsampling=0)
    else:
        image.save(buffer, "WEBP", quality=quality, method=4)
    return buffer.getvalue()


def luma(pixels: RGB8) -> Luma32:
    """Return Rec. 601 luma (0.299 R + 0.587 G + 0.114 B) of (H, W, 3) uint8 as (H, W) float32 in [0, 255]."""
    weights = np.array([0.299, 0.587, 0.114], np.float32)
    return np.asarray(pixels.astype(np.float32) @ weights, dtype=np.float32)
