"""AVIF and HEIF: Exif, XMP and C2PA items of the ISO base media file format.

Walks ``meta`` -> ``iinf`` (which item is what) and ``iloc`` (where it lies); only items stored by file offset are read.
Source: ISO/IEC 14496-12 sections 8.11.1, 8.11.3, 8.11.6; ISO/IEC 23008-12 annex A (Exif item: 4-byte header offset).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from detectors.metadata.fields import MAX_TEXT_BYTES, FieldCollector
from detectors.metadata.readers.exif import read_exif
from detectors.metadata.readers.jumbf import read_credential_names
from detectors.metadata.readers.xmp import read_xmp

MAX_BOXES = 1024
"""Boxes per level: a tiled HEIC has about ten at the top and one infe box per tile."""
MAX_ITEMS = 1024
"""Items per file: a 48-megapixel HEIC has about 100 tiles."""
_C2PA_UUID = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
"""Box type of the C2PA store. Source: C2PA 2.x, "Embedding manifests into BMFF-based assets"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Box:
    """One box: type and the range of its payload."""

    kind: bytes
    start: int
    end: int


def _boxes(data: bytes, start: int, end: int) -> Iterator[_Box]:
    """Yield the boxes of a range; a box that does not fit ends the walk."""
    for _ in range(MAX_BOXES):
        if start + 8 > end:
            return
        size, head = int.from_bytes(data[start : start + 4], "big"), 8
        if size == 1:
            size, head = int.from_bytes(data[start + 8 : start + 16], "big"), 16
        elif size == 0:
            size = end - start
        if size < head or start + size > end:
            return
        yield _Box(kind=data[start + 4 : start + 8], start=start + head, end=start + size)
        start += size


def read_isobmff(data: bytes, out: FieldCollector) -> None:
    """Collect the texts of an AVIF or HEIF file."""
    for box in _boxes(data, 0, len(data)):
        if box.kind == b"uuid" and data[box.start : box.start + 16] == _C2PA_UUID:
            read_credential_names(data[box.start + 16 : box.end], "BMFF C2PA", out)
        elif box.kind == b"meta":
            try:
                _read_meta(data, box, out)
            except (struct.error, IndexError):
                out.fail("BMFF meta box", "truncated")


def _read_meta(data: bytes, meta: _Box, out: FieldCollector) -> None:
    """Match item types with item places and read the known ones."""
    types: dict[int, str] = {}
    places: dict[int, tuple[int, int]] = {}
    for box in _boxes(data, meta.start + 4, meta.end):
        if box.kind == b"iinf":
            types = _item_types(data, box)
        elif box.kind == b"iloc":
            places = _item_places(data[box.start : box.end])
    for item, kind in types.items():
        start, size = places.get(item, (0, 0))
        if size == 0:
            continue
        if start + size > len(data):
            out.fail(f"BMFF {kind} item", "truncated")
            continue
        body = data[start : start + min(size, 4 * MAX_TEXT_BYTES)]
        if kind == "Exif":
            read_exif(body[4 + int.from_bytes(body[:4], "big") :], "BMFF EXIF", out)
        else:
            read_xmp(body, "BMFF XMP", out)


def _item_types(data: bytes, iinf: _Box) -> dict[int, str]:
    """Return item id -> ``Exif`` or ``XMP`` for the items that are one of these."""
    wide = data[iinf.start] > 0
    found: dict[int, str] = {}
    for box in _boxes(data, iinf.start + (8 if wide else 6), iinf.end):
        body = data[box.start : min(box.end, box.start + 512)]
        if box.kind != b"infe" or len(body) < 12 or body[0] < 2:
            continue
        id_size = 2 if body[0] == 2 else 4
        item = int.from_bytes(body[4 : 4 + id_size], "big")
        kind_at = 4 + id_size + 2
        kind = body[kind_at : kind_at + 4]
        if kind == b"Exif":
            found[item] = "Exif"
        elif kind == b"mime" and b"application/rdf+xml" in body[kind_at + 4 :]:
            found[item] = "XMP"
    return found


def _item_places(iloc: bytes) -> dict[int, tuple[int, int]]:
    """Return item id -> (file offset, length) of items with one extent at a file offset."""
    version, sizes = iloc[0], int.from_bytes(iloc[4:6], "big")
    offset_size, length_size, base_size = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15
    index_size = sizes & 15 if version in (1, 2) else 0
    at = 6
    id_size = 4 if version == 2 else 2
    count = int.from_bytes(iloc[at : at + id_size], "big")
    at += id_size
    places: dict[int, tuple[int, int]] = {}
    for _ in range(min(count, MAX_ITEMS)):
        if at + id_size > len(iloc):
            break
        item = int.from_bytes(iloc[at : at + id_size], "big")
        at += id_size
        method = 0
        if version in (1, 2):
            method = int.from_bytes(iloc[at : at + 2], "big") & 15
            at += 2
        at += 2
        base = int.from_bytes(iloc[at : at + base_size], "big")
        at += base_size
        extents = int.from_bytes(iloc[at : at + 2], "big")
        at += 2
        first = at + index_size
        offset = int.from_bytes(iloc[first : first + offset_size], "big")
        length = int.from_bytes(iloc[first + offset_size : first + offset_size + length_size], "big")
        at += extents * (index_size + offset_size + length_size)
        if method == 0 and extents == 1:
            places[item] = (base + offset, length)
    return places
