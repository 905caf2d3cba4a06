"""Limits on uploads that are checked before the native parser runs.

Validation time grows with structure, not only with bytes (measured with c2pa-rs 0.91.3 on one core): it is quadratic in
the assertions of a store (1 000: 0.27 s, 5 000 in 0.9 MB: 18.7 s) and in the boxes of an MP4 (10 000: 0.53 s, 20 000 in
0.16 MB: 1.7 s), and linear but slow in other container chunks, as each is several Python callbacks (PNG 10 000: 0.28 s,
1 000 000 in 14 MB: 50 s). The worker's deadline is the backstop; these counts, taken in milliseconds, keep ordinary
hostile files from costing a worker at all.
"""

from __future__ import annotations

from dataclasses import dataclass

from guard.media import MAX_BYTES

MAX_CHUNKS = 10_000
"""Most container chunks: 0.1 to 0.5 s to verify; a 40 MB PNG in 8 KiB IDAT chunks, the libpng default, has 5 000."""
MAX_JUMBF_BOXES = 1_000
"""Most JUMBF superboxes: 0.27 s to verify; a chain of 60 ingredients has about 500, editors' files 20 to 150."""

_CONTAINERS = frozenset(b"moov trak mdia minf stbl dinf edts udta moof traf mvex mfra meco iprp ipco meta".split())
"""Boxes of boxes. Source: ISO 14496-12 table 1; "meta" begins with a version, but not in QuickTime files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Excess:
    """A limit that a file passes.

    Attributes:
        code: ``signet.limit.bytes``, ``signet.limit.chunks`` or ``signet.limit.assertions``.
        detail: what was counted and the limit, for people.
    """

    code: str
    detail: str


def find_excess(data: bytes) -> Excess | None:
    """Return the first limit that ``data`` passes, or None; reads structure only, never decodes."""
    if len(data) > MAX_BYTES:
        return Excess(code="signet.limit.bytes", detail=f"{len(data)} bytes; at most {MAX_BYTES} are examined")
    chunks, boxes = count_structure(data)
    if chunks > MAX_CHUNKS:
        return Excess(code="signet.limit.chunks", detail=f"more than {MAX_CHUNKS} container chunks")
    if boxes > MAX_JUMBF_BOXES:
        return Excess(code="signet.limit.assertions", detail=f"{boxes} JUMBF boxes; at most {MAX_JUMBF_BOXES}")
    return None


def count_structure(data: bytes) -> tuple[int, int]:
    """Return (container chunks, JUMBF superboxes).

    Chunks of PNG, RIFF (WebP, WAV), JPEG, GIF and ISO base media (MP4, AVIF, HEIC) are counted up to MAX_CHUNKS + 1,
    and boxes in the chunks where manifests live; in anything else, a bare manifest store included, there are 0 chunks
    and boxes are counted everywhere. Every superbox opens with "jumb"; by chance that occurs once in a hundred random
    files of 40 MB.
    """
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return _count_png(data)
    if data[:4] == b"RIFF":
        return _count_riff(data)
    if data[4:8] == b"ftyp":
        return _count_base_media(data), data.count(b"jumb")
    if data[:6] in (b"GIF87a", b"GIF89a"):
        return _count_gif(data), data.count(b"jumb")
    if data.startswith(b"\xff\xd8"):
        return _count_jpeg(data)
    return 0, data.count(b"jumb")


def _count_png(data: bytes) -> tuple[int, int]:
    """Walk length-type-data-CRC (PNG 3rd ed. section 5.3); manifests live in caBX (C2PA 2.4 appendix A.3.3)."""
    at, chunks, boxes = 8, 0, 0
    while at + 12 <= len(data) and chunks <= MAX_CHUNKS:
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        if data[at + 4 : at + 8] == b"caBX":
            boxes += data.count(b"jumb", at, end)
        at, chunks = end, chunks + 1
    return chunks, boxes


def _count_riff(data: bytes) -> tuple[int, int]:
    """Walk FourCC-length-data-pad (RFC 9649 section 2.3); manifests live in C2PA chunks (C2PA 2.4 appendix A.3.5)."""
    at, chunks, boxes = 12, 0, 0
    while at + 8 <= len(data) and chunks <= MAX_CHUNKS:
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        end = at + 8 + size + (size & 1)
        if data[at : at + 4] == b"C2PA":
            boxes += data.count(b"jumb", at, end)
        at, chunks = end, chunks + 1
    return chunks, boxes


def _count_jpeg(data: bytes) -> tuple[int, int]:
    """Walk marker segments up to the first scan (ISO 10918-1 B.1.1.4); manifests live in APP11 (ISO 19566-5 D.2)."""
    at, chunks, boxes = 2, 0, 0
    while at + 4 <= len(data) and data[at] == 0xFF and chunks <= MAX_CHUNKS:
        marker = data[at + 1]
        if marker == 0xDA:
            break
        size = int.from_bytes(data[at + 2 : at + 4], "big") if _has_length(marker) else 0
        end = at + (1 if marker == 0xFF else 2 + size)
        if marker == 0xEB:
            boxes += data.count(b"jumb", at, end)
        at, chunks = end, chunks + 1
    return chunks, boxes


def _count_base_media(data: bytes) -> int:
    """Walk boxes and the containers among them (ISO 14496-12 section 4.2); c2pa-rs lists every box before all else."""
    spans, boxes = [(0, len(data))], 0
    while spans and boxes <= MAX_CHUNKS:
        at, end = spans.pop()
        while at + 8 <= end and boxes <= MAX_CHUNKS:
            size, kind, header = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8], 8
            if size == 1:
                size, header = int.from_bytes(data[at + 8 : at + 16], "big"), 16
            if size == 0:  # to the end of its container
                size = end - at
            elif size < header:  # broken; c2pa-rs says so
                break
            if kind in _CONTAINERS:
                version = 4 if kind == b"meta" and not any(data[at + header : at + header + 4]) else 0
                spans.append((at + header + version, min(at + size, end)))
            at, boxes = at + size, boxes + 1
    return boxes


def _count_gif(data: bytes) -> int:
    """Walk blocks (GIF89a, sections 15 to 26): extensions and pictures, each with its sub-blocks."""
    at, blocks = 13 + _colours(data[10:11]), 0
    while at < len(data) and blocks <= MAX_CHUNKS and data[at] in (0x21, 0x2C):
        at += 2 if data[at] == 0x21 else 11 + _colours(data[at + 9 : at + 10])
        while at < len(data) and data[at]:
            at += 1 + data[at]
        at, blocks = at + 1, blocks + 1
    return blocks


def _colours(flags: bytes) -> int:
    """Return the bytes of a GIF colour table (sections 18 and 20)."""
    return 3 << ((flags[0] & 7) + 1) if flags and flags[0] & 0x80 else 0


def _has_length(marker: int) -> bool:
    """Return whether a JPEG marker is followed by a length (fill bytes, TEM, RSTn, SOI and EOI are not)."""
    return marker not in (0x01, 0xFF) and not 0xD0 <= marker <= 0xD9
