"""JPEG marker segments before the first scan: EXIF, XMP (also extended), Photoshop IPTC, comments, JUMBF.

Source: ISO/IEC 10918-1 annex B; Exif 3.0 section 4.7; XMP part 3 section 1.1.3; C2PA "Embedding manifests into JPEG".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from detectors.metadata.fields import FieldCollector, Layer
from detectors.metadata.readers.exif import read_exif
from detectors.metadata.readers.iptc import read_photoshop
from detectors.metadata.readers.jumbf import read_credential_names
from detectors.metadata.readers.xmp import MAX_XMP_BYTES, read_xmp
from detectors.metadata.text import decode_text

MAX_SEGMENTS = 4096
"""Segments before the scan: a 40 MB manifest in 64 kB segments is 640."""
_FILL = re.compile(rb"\xff{2,}")
"""Fill bytes before a marker. Source: ISO/IEC 10918-1 B.1.1.2."""
_EXIF = b"Exif\x00\x00"
_XMP = b"http://ns.adobe.com/xap/1.0/\x00"
_LABEL_XMP = b"XMP\x00"
"""Header under which writers of China's AIGC label put their packet. Source: GB 45438-2025 practice guide as public
writers and checkers implement it (``XMP`` and a zero byte, repeated or padded)."""
_EXTENDED_XMP = b"http://ns.adobe.com/xmp/extension/\x00"
_PHOTOSHOP = b"Photoshop 3.0\x00"
_EXTENDED_HEADER = 32 + 4 + 4
"""GUID, full length and offset of an extended XMP portion."""
_JUMBF_HEADER = 8
"""CI, En, Z of a JPEG XT box segment. Source: ISO/IEC 18477-3 annex B."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One marker segment: marker byte (0xE1 = APP1) and its payload."""

    marker: int
    payload: bytes


def walk_segments(data: bytes) -> Iterator[Segment]:
    """Yield the segments between SOI and the first SOS, which is yielded last, as far as the bytes go."""
    at = 2
    for _ in range(MAX_SEGMENTS):
        fill = _FILL.match(data, at)
        if fill is not None:
            at = fill.end() - 1
        if at + 4 > len(data) or data[at] != 0xFF:
            return
        marker = data[at + 1]
        if marker in (0x01, *range(0xD0, 0xD9)):
            at += 2
            continue
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == 0xD9 or length < 2:
            return
        yield Segment(marker=marker, payload=data[at + 4 : at + 2 + length])
        if marker == 0xDA:
            return
        at += 2 + length


def read_jpeg(data: bytes, out: FieldCollector) -> None:
    """Collect the texts of a JPEG file."""
    extended: dict[int, bytes] = {}
    jumbf: list[bytes] = []
    photoshop: list[bytes] = []
    for segment in walk_segments(data):
        payload = segment.payload
        if segment.marker == 0xE1 and payload.startswith(_EXIF):
            read_exif(payload, "JPEG EXIF", out)
        elif segment.marker == 0xE1 and payload.startswith(_XMP):
            read_xmp(payload[len(_XMP) :], "JPEG XMP", out)
        elif segment.marker == 0xE1 and payload.startswith(_LABEL_XMP) and b"<" in payload[:64]:
            read_xmp(payload[payload.index(b"<") :], "JPEG XMP", out)
        elif segment.marker == 0xE1 and payload.startswith(_EXTENDED_XMP):
            body = payload[len(_EXTENDED_XMP) :]
            extended[int.from_bytes(body[36:40], "big")] = body[_EXTENDED_HEADER:]
        elif segment.marker == 0xED and payload.startswith(_PHOTOSHOP):
            photoshop.append(payload[len(_PHOTOSHOP) :])
        elif segment.marker == 0xEB:
            jumbf.append(payload[_JUMBF_HEADER:])
        elif segment.marker == 0xFE and out.admit(Layer.COMMENT, "JPEG comment"):
            out.add(Layer.COMMENT, "Comment", decode_text(payload).strip("\x00"), "JPEG comment")
    if photoshop:
        read_photoshop(b"".join(photoshop), "JPEG Photoshop", out)
    if extended:
        _read_extended(extended, out)
    if jumbf:
        read_credential_names(b"".join(jumbf), "JPEG C2PA", out)


def _read_extended(portions: dict[int, bytes], out: FieldCollector) -> None:
    """Join extended XMP portions by offset and read them when they fit together."""
    where = "JPEG extended XMP"
    packet = b""
    for offset in sorted(portions):
        if offset != len(packet):
            out.fail(where, "portions are missing or overlap")
            return
        packet += portions[offset]
        if len(packet) > MAX_XMP_BYTES:
            out.fail(where, f"longer than {MAX_XMP_BYTES} bytes")
            return
    read_xmp(packet, where, out)
