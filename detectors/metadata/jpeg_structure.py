"""How a JPEG file is put together: marker order, tables, sampling, traces of encoders and platforms.

Source: ISO/IEC 10918-1 annex B; JFIF 1.02; encoder comments and segments as the named encoders write them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from detectors.evidence import Observation
from detectors.metadata.quantisation import ZIGZAG, Table, identify
from detectors.metadata.readers.jpeg import Segment, walk_segments

MAX_MARKERS_SHOWN = 40
"""Markers named in the order line; repeats are folded first."""
_MARKER_NAMES: Mapping[int, str] = MappingProxyType(
    {0xDB: "DQT", 0xC4: "DHT", 0xDD: "DRI", 0xDA: "SOS", 0xFE: "COM"}
    | {0xE0 + index: f"APP{index}" for index in range(16)}
    | {0xC0 + index: f"SOF{index}" for index in (0, 1, 2, 3, 5, 6, 7, 9, 10, 11, 13, 14, 15)}
)
_FRAMES: Mapping[int, str] = MappingProxyType({0xC0: "baseline", 0xC1: "extended", 0xC2: "progressive"})
_STANDARD_HUFFMAN_BYTES = 28 + 178 + 28 + 178 + 4
"""Size of the four typical Huffman tables of annex K.3 with their class bytes: 4 x (1 + 16) + 12 + 162 + 12 + 162."""
_IDENTIFIERS: tuple[tuple[int, bytes, str], ...] = (
    (0xEC, b"Ducky", "Photoshop, saved for web"),
    (0xED, b"Photoshop 3.0", "Photoshop image resources (also written by other editors and platforms)"),
    (0xEE, b"Adobe", "Adobe colour transform marker"),
    (0xE2, b"MPF\x00", "several pictures in one file (phones: preview, depth or gain map)"),
    (0xE0, b"JFIF", "JFIF header"),
    (0xE1, b"Exif", "EXIF"),
    (0xE1, b"http://ns.adobe.com/xap/1.0/", "XMP"),
    (0xE2, b"ICC_PROFILE", "ICC profile"),
    (0xEB, b"JP", "JUMBF (content credentials)"),
)
_COMMENTS: tuple[tuple[bytes, str], ...] = (
    (b"CREATOR: gd-jpeg", "PHP GD library"),
    (b"Lavc", "FFmpeg"),
    (b"File written by Adobe Photoshop", "Adobe Photoshop"),
    (b"LEAD Technologies", "LEADTOOLS"),
    (b"Optimized by JPEGmini", "JPEGmini"),
    (b"Compressed by jpeg-recompress", "jpeg-recompress"),
    (b"Intel(R) JPEG Library", "Intel JPEG Library"),
    (b"Created with GIMP", "GIMP"),
    (b"Handmade Software", "Handmade Software Image Alchemy"),
    (b"ACD Systems", "ACDSee"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class JPEGFacts:
    """What the segments before the first scan say.

    Attributes:
        order: marker names in file order, repeats folded.
        width, height: of the frame in pixels, 0 when there is no frame.
        tables: quantisation tables by slot in row order.
        components: (quantisation slot, horizontal and vertical sampling) per component.
        blocks: what the application segments are.
        trailing: bytes after the end marker, 0 when there is none.
    """

    order: tuple[str, ...]
    frame: str
    width: int
    height: int
    tables: Mapping[int, Table]
    components: tuple[tuple[int, int, int], ...]
    huffman_bytes: int
    blocks: tuple[str, ...]
    encoders: tuple[str, ...]
    trailing: int


def read_structure(data: bytes) -> JPEGFacts:
    """Return the facts of a JPEG file; damaged parts are left out."""
    segments = list(walk_segments(data))
    frames = [segment for segment in segments if segment.marker in _FRAMES and len(segment.payload) >= 6]
    frame = frames[0] if frames else None
    end = data.rfind(b"\xff\xd9")
    blocks = dict.fromkeys(
        text
        for segment in segments
        for marker, head, text in _IDENTIFIERS
        if segment.marker == marker and segment.payload.startswith(head)
    )
    encoders = dict.fromkeys(
        text
        for segment in segments
        for head, text in _COMMENTS
        if segment.marker == 0xFE and segment.payload.startswith(head)
    )
    return JPEGFacts(
        order=_order(segments),
        frame=_FRAMES[frame.marker] if frame else "unknown",
        width=int.from_bytes(frame.payload[3:5], "big") if frame else 0,
        height=int.from_bytes(frame.payload[1:3], "big") if frame else 0,
        tables=_tables(segments),
        components=_components(frame.payload) if frame else (),
        huffman_bytes=sum(len(segment.payload) for segment in segments if segment.marker == 0xC4),
        blocks=tuple(blocks),
        encoders=tuple(encoders),
        trailing=len(data) - end - 2 if end >= 0 else 0,
    )


def _order(segments: list[Segment]) -> tuple[str, ...]:
    """Return marker names with repeats in a row folded."""
    names: list[str] = []
    for segment in segments:
        name = _MARKER_NAMES.get(segment.marker, f"0x{segment.marker:02X}")
        if not names or names[-1] != name:
            names.append(name)
    return tuple(names[:MAX_MARKERS_SHOWN])


def _tables(segments: list[Segment]) -> dict[int, Table]:
    """Return the quantisation tables by slot, in row order."""
    tables: dict[int, Table] = {}
    for segment in segments:
        if segment.marker != 0xDB:
            continue
        body, at = segment.payload, 0
        while at < len(body):
            wide, slot = body[at] >> 4, body[at] & 15
            size = 128 if wide else 64
            steps = body[at + 1 : at + 1 + size]
            if len(steps) < size or slot > 3:
                break
            stored = [int.from_bytes(steps[i : i + 2], "big") for i in range(0, 128, 2)] if wide else list(steps)
            row = [0] * 64
            for index, step in zip(ZIGZAG, stored, strict=True):
                row[index] = step
            tables[slot] = tuple(row)
            at += 1 + size
    return tables


def _components(frame: bytes) -> tuple[tuple[int, int, int], ...]:
    """Return (quantisation slot, horizontal sampling, vertical sampling) per component of a frame header."""
    found = [frame[6 + 3 * index : 9 + 3 * index] for index in range(min(frame[5], 4))]
    return tuple((part[2], part[1] >> 4, part[1] & 15) for part in found if len(part) == 3)


def describe(facts: JPEGFacts) -> list[Observation]:
    """Return the facts as lines for people."""
    lines = [
        Observation(name="marker order", value=" ".join(facts.order)),
        Observation(name="frame", value=f"{facts.frame}, {facts.width}x{facts.height}, {sampling(facts)}"),
    ]
    tables = describe_tables(facts)
    if tables:
        lines.append(Observation(name="quantisation tables", value=tables))
    if facts.huffman_bytes and facts.frame == "baseline":
        standard = facts.huffman_bytes == _STANDARD_HUFFMAN_BYTES and len(facts.components) == 3
        lines.append(Observation(name="Huffman tables", value="typical (annex K)" if standard else "optimised or own"))
    if facts.blocks:
        lines.append(Observation(name="segments", value="; ".join(facts.blocks)))
    lines += [Observation(name="encoder comment", value=text) for text in facts.encoders]
    if facts.trailing:
        lines.append(Observation(name="after the end marker", value=f"{facts.trailing} bytes"))
    return lines


def sampling(facts: JPEGFacts) -> str:
    """Return the chroma sampling in the usual notation, or the factors where there is none."""
    factors = [(h, v) for _, h, v in facts.components]
    if len(factors) == 1:
        return "grey"
    if len(factors) != 3 or factors[1] != factors[2]:
        return f"{len(factors)} components"
    names = {((1, 1), (1, 1)): "4:4:4", ((2, 1), (1, 1)): "4:2:2", ((2, 2), (1, 1)): "4:2:0", ((1, 2), (1, 1)): "4:4:0"}
    return names.get((factors[0], factors[1]), f"sampling {factors[0]}, {factors[1]}")


def describe_tables(facts: JPEGFacts) -> str | None:
    """Return family and quality of the tables in words, or None without tables."""
    slots = [slot for slot, _, _ in facts.components]
    luma = facts.tables.get(slots[0]) if slots else None
    if luma is None:
        return None
    chroma = facts.tables.get(slots[1]) if len(slots) > 1 else None
    match = identify(luma, chroma)
    if match.family is None:
        return f"own tables (cameras, Photoshop), close to libjpeg quality {match.quality}"
    extra = f" for luma, {match.chroma_quality} for chroma" if match.chroma_quality is not None else ""
    return f"{match.family} quality {match.quality}{extra}"
