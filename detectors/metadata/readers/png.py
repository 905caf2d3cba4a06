"""PNG chunks: tEXt, zTXt, iTXt, eXIf, ImageMagick raw profiles and the C2PA box.

Source: W3C PNG specification, third edition, sections 5.3, 11.3.3 and 11.3.4; ImageMagick coders/png.c for
``Raw profile type``; C2PA 2.x section "Embedding manifests into PNG" for caBX.
"""

from __future__ import annotations

import binascii
from collections.abc import Iterator
from dataclasses import dataclass

from detectors.metadata.fields import MAX_TEXT_BYTES, FieldCollector, Layer
from detectors.metadata.readers.exif import read_exif
from detectors.metadata.readers.iptc import read_iim, read_photoshop
from detectors.metadata.readers.jumbf import read_credential_names
from detectors.metadata.readers.xmp import read_xmp
from detectors.metadata.text import decode_text, inflate

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MAX_CHUNKS = 65_536
"""Chunks walked: 40 MB in 8 kB IDAT chunks (libpng's default) are 5,000."""
_XMP_KEYWORD = "XML:com.adobe.xmp"
_RAW_PROFILE = "Raw profile type "


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """One chunk: type as four Latin-1 characters, position of its data, length as far as the file goes."""

    kind: str
    start: int
    length: int
    complete: bool


def walk_chunks(data: bytes) -> Iterator[Chunk]:
    """Yield the chunks of a PNG up to IEND, the end of the bytes or MAX_CHUNKS."""
    at = len(SIGNATURE)
    for _ in range(MAX_CHUNKS):
        if at + 8 > len(data):
            return
        length = int.from_bytes(data[at : at + 4], "big")
        kind = data[at + 4 : at + 8].decode("latin-1")
        start = at + 8
        available = max(0, min(length, len(data) - start))
        yield Chunk(kind=kind, start=start, length=available, complete=start + length + 4 <= len(data))
        if kind == "IEND":
            return
        at = start + length + 4


def read_png(data: bytes, out: FieldCollector) -> None:
    """Collect the texts of a PNG file."""
    for chunk in walk_chunks(data):
        if chunk.kind not in ("tEXt", "zTXt", "iTXt", "eXIf", "caBX"):
            continue
        if not chunk.complete:
            out.fail(f"PNG {chunk.kind}", "truncated chunk")
            continue
        body = data[chunk.start : chunk.start + chunk.length]
        if chunk.kind == "eXIf":
            read_exif(body, "PNG EXIF", out)
        elif chunk.kind == "caBX":
            read_credential_names(body, "PNG C2PA", out)
        else:
            _read_text(chunk.kind, body, out)


def _read_text(kind: str, body: bytes, out: FieldCollector) -> None:
    """Collect one text chunk, or what a known keyword wraps."""
    keyword_bytes, found, rest = body.partition(b"\x00")
    keyword = keyword_bytes[:79].decode("latin-1")
    where = f"PNG {kind}"
    if not out.admit(Layer.TEXT_CHUNK, where):
        return
    if not found:
        out.fail(where, "no keyword")
        return
    raw = _text_bytes(kind, rest)
    if raw is None:
        out.fail(where, "damaged compressed text")
    elif keyword == _XMP_KEYWORD:
        read_xmp(raw, "PNG XMP", out)
    elif keyword.startswith(_RAW_PROFILE):
        _read_raw_profile(keyword.removeprefix(_RAW_PROFILE), raw, out)
    else:
        out.add(Layer.TEXT_CHUNK, keyword, decode_text(raw), f"{where} {keyword}")


def _text_bytes(kind: str, rest: bytes) -> bytes | None:
    """Return the text bytes after the keyword, inflated when compressed, or None when that fails."""
    if kind == "tEXt":
        return rest[: MAX_TEXT_BYTES + 1]
    if kind == "zTXt":
        return inflate(rest[1:]) if rest[:1] == b"\x00" else None
    if len(rest) < 2:
        return None
    compressed = rest[0] == 1
    parts = rest[2:].split(b"\x00", 2)
    if len(parts) < 3:
        return None
    return inflate(parts[2]) if compressed else parts[2][: MAX_TEXT_BYTES + 1]


def _read_raw_profile(name: str, raw: bytes, out: FieldCollector) -> None:
    """Collect a hex profile as ImageMagick writes it: newline, name, newline, length, newline, hex digits."""
    where = f"PNG raw profile {name}"
    lines = raw.strip().split(b"\n", 2)
    if len(lines) < 3:
        out.fail(where, "no hex digits")
        return
    try:
        blob = binascii.unhexlify(b"".join(lines[2].split()))
    except (binascii.Error, ValueError):
        out.fail(where, "damaged hex digits")
        return
    if blob.startswith(b"http://ns.adobe.com/xap/1.0/\x00"):
        read_xmp(blob.partition(b"\x00")[2], where, out)
    elif name == "xmp":
        read_xmp(blob, where, out)
    elif name in ("exif", "APP1"):
        read_exif(blob, where, out)
    elif name in ("iptc", "8bim"):
        if blob.startswith(b"8BIM"):
            read_photoshop(blob, where, out)
        else:
            read_iim(blob, where, out)
