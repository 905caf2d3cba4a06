"""WebP (RIFF) chunks: EXIF, XMP and the C2PA box. Source: RFC 9649 sections 2.3-2.7."""

from __future__ import annotations

from collections.abc import Iterator

from detectors.metadata.fields import FieldCollector
from detectors.metadata.readers.exif import read_exif
from detectors.metadata.readers.jumbf import read_credential_names
from detectors.metadata.readers.xmp import read_xmp

MAX_CHUNKS = 4096
"""Chunks walked: a still WebP has fewer than ten, unknown ones may be added."""


def walk_riff(data: bytes) -> Iterator[tuple[str, bytes, bool]]:
    """Yield (type, payload as far as the file goes, whether it is complete) for each chunk."""
    at = 12
    for _ in range(MAX_CHUNKS):
        if at + 8 > len(data):
            return
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        kind = data[at : at + 4].decode("latin-1")
        yield kind, data[at + 8 : at + 8 + size], at + 8 + size <= len(data)
        at += 8 + size + size % 2


def read_webp(data: bytes, out: FieldCollector) -> None:
    """Collect the texts of a WebP file."""
    for kind, payload, complete in walk_riff(data):
        if kind not in ("EXIF", "XMP ", "C2PA"):
            continue
        if not complete:
            out.fail(f"WebP {kind.strip()}", "truncated chunk")
        elif kind == "EXIF":
            read_exif(payload, "WebP EXIF", out)
        elif kind == "XMP ":
            read_xmp(payload, "WebP XMP", out)
        else:
            read_credential_names(payload, "WebP C2PA", out)
