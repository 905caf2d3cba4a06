"""Small files of every kind that can carry credentials, built here; signing needs no player of them."""

import io
import struct

from PIL import Image

from tests.guard.provenance.support import picture


def saved(name: str) -> bytes:
    """A photograph in a format of Pillow's."""
    buffer = io.BytesIO()
    Image.fromarray(picture()).save(buffer, name)
    return buffer.getvalue()


def box(kind: bytes, body: bytes) -> bytes:
    """An ISO base media box."""
    return struct.pack(">I", 8 + len(body)) + kind + body


def base_media(brand: bytes) -> bytes:
    """A file of the ISO base media family with an empty movie."""
    matrix = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
    rates = struct.pack(">IIIH", 1000, 0, 0x10000, 0x100)
    header = box(b"mvhd", bytes(12) + rates + bytes(10) + matrix + bytes(24) + struct.pack(">I", 1))
    return box(b"ftyp", brand + b"\0\0\2\0" + brand + b"isom") + box(b"moov", header) + box(b"mdat", bytes(64))


def wave() -> bytes:
    """A quarter of a second of silence."""
    header = struct.pack("<IHHIIHH", 16, 1, 1, 8000, 16000, 2, 16)
    return b"RIFF" + struct.pack("<I", 4036) + b"WAVEfmt " + header + b"data" + struct.pack("<I", 4000) + bytes(4000)


FILES = {
    "image/png": saved("PNG"),
    "image/jpeg": saved("JPEG"),
    "image/webp": saved("WEBP"),
    "image/avif": saved("AVIF"),
    "image/heic": base_media(b"heic"),
    "image/tiff": saved("TIFF"),
    "image/gif": saved("GIF"),
    "application/pdf": saved("PDF"),
    "video/mp4": base_media(b"isom"),
    "video/quicktime": base_media(b"qt  "),
    "audio/mp4": base_media(b"M4A "),
    "audio/wav": wave(),
    "audio/mpeg": b"ID3\x04\0\0\0\0\0\0" + (b"\xff\xfb\x90\x64" + bytes(413)) * 8,
    "audio/flac": b"fLaC\x80\0\0\x22\x10\0\x10\0" + bytes(6) + bytes.fromhex("0ac442f0") + bytes(20),
}
