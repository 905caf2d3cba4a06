"""Files that must be answered with a clear error, each named by its defect; made here, nothing is stored."""

import io
import struct
import zlib

import numpy as np
from PIL import Image

SUSPECT = frozenset(
    {
        "truncated_png",
        "truncated_jpeg",
        "one_pixel",
        "animated_gif",
        "animated_png",
        "animated_webp",
        "cmyk_jpeg",
        "sixteen_bit_grey_png",
        "sixteen_bit_rgb_png",
        "float_tiff",
        "two_page_tiff",
    }
)
"""Those that detection examines nevertheless, as far as they can be read; everything else refuses them."""


def _saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _noise(width: int = 64, height: int = 64) -> Image.Image:
    return Image.fromarray(np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8))


def _png(width: int, height: int, depth: int, colour: int, rows: bytes) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def bad_images() -> dict[str, bytes]:
    """Return defect -> bytes."""
    whole = _saved(_noise(), "PNG")
    jpeg = _saved(_noise(), "JPEG")
    frames = [_noise(), _noise().rotate(90)]
    return {
        "empty": b"",
        "text": b"this is not an image, it only has a friendly name",
        "html": b"<!doctype html><title>no</title>",
        "random": np.random.default_rng(2).bytes(5000),
        "truncated_png": whole[: len(whole) // 2],
        "truncated_jpeg": jpeg[: len(jpeg) // 2],
        "header_only_png": whole[:33],
        "one_pixel": _saved(Image.new("RGB", (1, 1)), "PNG"),
        "bomb_50000_x_50000": _png(50_000, 50_000, 8, 2, b"\x00" * 1000),
        "long_side": _png(20_000, 40, 8, 0, b"\x00" * 1000),
        "animated_gif": _saved(frames[0], "GIF", save_all=True, append_images=frames[1:]),
        "animated_png": _saved(frames[0], "PNG", save_all=True, append_images=frames[1:]),
        "animated_webp": _saved(frames[0], "WEBP", save_all=True, append_images=frames[1:]),
        "cmyk_jpeg": _saved(_noise().convert("CMYK"), "JPEG"),
        "sixteen_bit_grey_png": _png(64, 64, 16, 0, b"".join(b"\x00" + b"\x12\x34" * 64 for _ in range(64))),
        "sixteen_bit_rgb_png": _png(64, 64, 16, 2, b"".join(b"\x00" + b"\x12\x34" * 192 for _ in range(64))),
        "float_tiff": _saved(Image.new("F", (64, 64)), "TIFF"),
        "two_page_tiff": _saved(frames[0], "TIFF", save_all=True, append_images=frames[1:]),
        "svg": b'<svg xmlns="http://www.w3.org/2000/svg" width="64" height="64"/>',
        "png_named_pdf": b"%PDF-1.7\n%%EOF",
    }
