"""A picture file taken apart, so that it can be marked and written again with nothing lost that says where it is from.

::

    picture = open_picture(data)                               # pixels as seen, transparency, kept metadata
    data = write_picture(marked, picture, "image/png")         # the same file with other pixels

Kept: EXIF, XMP (with IPTC's digital source type and AIGC labels), IPTC-IIM records of JPEG, PNG texts. Laws and the
Code of Practice (measure 1.2) ask that marks of an input survive. Content credentials are not copied: they are
bound to the old bytes and go into the new manifest as an ingredient.
"""

from __future__ import annotations

import io
import struct
import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin

from guard.errors import RequestError, UnsupportedMediaError
from guard.kept_metadata import KeptMetadata
from guard.media import READABLE, decode
from guard.records import RGB8, ImageFormat

WRITABLE = {
    "image/png": "PNG",
    "image/jpeg": "JPEG",
    "image/webp": "WEBP",
    "image/tiff": "TIFF",
    "image/avif": "AVIF",
}
"""Media types that can be written again after marking, with Pillow's names."""
_OPAQUE = frozenset({"image/jpeg"})
_QUALITY = 95
_ORIENTATION = 0x0112
_XMP_KEY = "XML:com.adobe.xmp"


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureFile:
    """A still picture and its metadata.

    Attributes:
        rgb: (H, W, 3) uint8 sRGB as seen: upright, transparent parts over white.
        alpha: (H, W) uint8, or None when nothing is transparent.
        media_type: what the bytes are.
        kept: metadata to carry over.
    """

    rgb: RGB8
    alpha: NDArray[np.uint8] | None
    media_type: str
    kept: KeptMetadata = field(default_factory=KeptMetadata)


def open_picture(data: bytes) -> PictureFile:
    """Take a picture file apart; meant to run in a killable worker.

    Raises:
        MediaError: not a still picture within the limits of ``guard.media``.
    """
    decoded = decode(data)
    alpha = decoded.alpha
    if alpha is not None and bool((alpha == 255).all()):
        alpha = None
    return PictureFile(rgb=decoded.rgb, alpha=alpha, media_type=decoded.media_type, kept=_kept(data))


def write_with_metadata(pixels: RGB8, kept: KeptMetadata, image_format: ImageFormat) -> bytes:
    """Encode (H, W, 3) uint8 without transparency, with metadata. Raises RequestError when that does not fit."""
    whole = PictureFile(rgb=pixels, alpha=None, media_type=image_format.media_type, kept=kept)
    return write_picture(pixels, whole, image_format.media_type)


def write_picture(pixels: RGB8, picture: PictureFile, media_type: str) -> bytes:
    """Encode other pixels with a picture's transparency and metadata.

    Args:
        pixels: (H, W, 3) uint8 sRGB as seen, of the picture's size.
        picture: where transparency and metadata come from.
        media_type: one of WRITABLE; JPEG drops transparency (white shows instead), other formats than JPEG drop
            IPTC-IIM records, other formats than PNG drop PNG texts.

    Raises:
        UnsupportedMediaError: another media type.
        RequestError: the metadata does not fit into the format.
    """
    name = WRITABLE.get(media_type)
    if name is None:
        raise UnsupportedMediaError(
            f"{media_type} cannot be written; expected one of {', '.join(sorted(WRITABLE))}.",
            next_step="Name an output file that ends in .png, .jpg, .webp, .tif or .avif.",
        )
    if picture.alpha is None or media_type in _OPAQUE:
        image = Image.fromarray(pixels)
    else:
        image = Image.fromarray(np.dstack([_straight(pixels, picture.alpha), picture.alpha]))
    buffer = io.BytesIO()
    try:
        image.save(buffer, name, **_options(name, picture.kept))
    except (ValueError, OSError, struct.error) as exc:
        raise RequestError(
            f"The metadata of the picture does not fit into {name}: {exc}.", next_step="Write a PNG instead."
        ) from exc
    return buffer.getvalue()


def _straight(pixels: RGB8, alpha: NDArray[np.uint8]) -> RGB8:
    """Return the colours that show ``pixels`` when laid over white with ``alpha``; white where nothing shows."""
    share = alpha[..., None].astype(np.float32) / 255
    colours = (pixels - 255 * (1 - share)) / np.maximum(share, 1 / 255)
    return np.where(share > 0, np.clip(np.rint(colours), 0, 255), 255).astype(np.uint8)


def _options(name: str, kept: KeptMetadata) -> dict[str, Any]:
    """Return Pillow's options for one format."""
    common: dict[str, Any] = {"exif": kept.exif} if kept.exif else {}
    if name == "PNG":
        chunks = PngImagePlugin.PngInfo()
        for key, value in kept.texts:
            chunks.add_itxt(key, value)
        if kept.xmp:
            chunks.add_itxt(_XMP_KEY, kept.xmp.decode("utf-8", "replace"))
        return {**common, "pnginfo": chunks, "compress_level": 1}
    if name == "TIFF":
        tags = {700: kept.xmp} if kept.xmp else {}
        return {"tiffinfo": tags, "compression": "tiff_deflate"}
    if kept.xmp:
        common["xmp"] = kept.xmp
    if name == "JPEG":
        return {**common, "quality": _QUALITY, "subsampling": 0, "extra": _resource_segment(kept.resources)}
    return {**common, "quality": _QUALITY, "method": 4} if name == "WEBP" else {**common, "quality": _QUALITY}


def _resource_segment(resources: tuple[tuple[int, bytes], ...]) -> bytes:
    """Return the APP13 segment of Photoshop image resources, or nothing.

    Source: Adobe Photoshop File Formats Specification, "Image Resource Blocks": 8BIM, number, empty name, size, data.
    """
    if not resources:
        return b""
    blocks = b"".join(
        struct.pack(">4sHHI", b"8BIM", number, 0, len(value)) + value + b"\0" * (len(value) % 2)
        for number, value in resources
    )
    body = b"Photoshop 3.0\0" + blocks
    return b"\xff\xed" + struct.pack(">H", len(body) + 2) + body


def _kept(data: bytes) -> KeptMetadata:
    """Read the metadata of a file that was decoded before."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns about odd EXIF; it is kept as it is
        with Image.open(io.BytesIO(data), formats=READABLE) as image:
            image.load()  # PNG texts may follow the pixels
            info = dict(image.info)
    xmp = info.get("xmp", b"")
    texts = tuple(
        (key, str(value))
        for key, value in info.items()
        if isinstance(value, PngImagePlugin.iTXt | str) and isinstance(key, str) and _is_text(key, image.format)
    )
    found = info.get("photoshop")
    resources = found.items() if isinstance(found, dict) else ()
    return KeptMetadata(
        exif=_upright(info.get("exif", b"")),
        xmp=xmp if isinstance(xmp, bytes) else str(xmp).encode(),
        resources=tuple((n, value) for n, value in resources if isinstance(n, int) and isinstance(value, bytes)),
        texts=texts,
    )


def _is_text(key: str, image_format: str | None) -> bool:
    """Return whether an entry of Pillow's ``info`` is a text chunk of a PNG."""
    return image_format == "PNG" and key != _XMP_KEY and 0 < len(key) < 80


def _upright(exif: bytes) -> bytes:
    """Return an EXIF block whose orientation is 1: the pixels are turned already. Source: TIFF 6.0 section 2."""
    start = 6 if exif.startswith(b"Exif\0\0") else 0
    order = {b"II": "<", b"MM": ">"}.get(exif[start : start + 2])
    if order is None or len(exif) < start + 8:
        return exif
    changed = bytearray(exif)
    at = start + int(struct.unpack_from(order + "I", exif, start + 4)[0])
    if at + 2 > len(exif):
        return exif
    (count,) = struct.unpack_from(order + "H", exif, at)
    for entry in range(at + 2, min(at + 2 + 12 * count, len(exif) - 11), 12):
        if struct.unpack_from(order + "H", exif, entry)[0] == _ORIENTATION:
            struct.pack_into(order + "HIHH", changed, entry + 2, 3, 1, 1, 0)
    return bytes(changed)
