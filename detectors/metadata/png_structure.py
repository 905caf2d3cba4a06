"""How a PNG file is put together: chunk order, colour kind, data chunk size, traces of encoders.

Source: W3C PNG specification, third edition, sections 5 and 11; private chunks as the named encoders write them.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from detectors.evidence import Observation
from detectors.metadata.readers.png import SIGNATURE, Chunk, walk_chunks

MAX_CHUNKS_SHOWN = 40
"""Chunk names in the order line; repeats are folded first."""
_COLOUR_KINDS: Mapping[int, str] = MappingProxyType({0: "grey", 2: "RGB", 3: "palette", 4: "grey and alpha", 6: "RGBA"})
_PRIVATE: Mapping[str, str] = MappingProxyType(
    {
        "iDOT": "Apple (macOS or iOS screenshot or export)",
        "CgBI": "Apple Xcode",
        "vpAg": "ImageMagick",
        "orNT": "ImageMagick",
        "mkBF": "Adobe Fireworks",
        "prVW": "Adobe Fireworks",
        "skMf": "Evernote Skitch",
        "caBX": "content credentials",
    }
)
_DATA_SIZES: Mapping[int, str] = MappingProxyType(
    {8192: "libpng default", 65536: "Pillow", 32768: "ImageMagick or Java", 16384: "Apple or OpenCV", 524288: "Windows"}
)
"""Size of full IDAT chunks -> encoders that write it; several share a size, so this is a hint."""
MAX_COMPARED = 8
"""Full IDAT chunks compared before their common size is believed."""


def describe_png(data: bytes) -> list[Observation]:
    """Return the structure of a PNG file as lines for people."""
    order: list[str] = []
    sizes: list[int] = []
    for chunk in walk_chunks(data):
        if chunk.kind == "IDAT":
            sizes.append(chunk.length)
        if not order or order[-1] != chunk.kind:
            order.append(chunk.kind)
    names = [name if name.isascii() and name.isalpha() else "????" for name in order[:MAX_CHUNKS_SHOWN]]
    lines = [Observation(name="chunk order", value=" ".join(names))]
    header = next(walk_chunks(data), None)
    if header is not None and header.kind == "IHDR" and header.length == 13:
        lines.append(_header_line(data, header))
    if len(sizes) > 2 and len(set(sizes[: min(len(sizes) - 1, MAX_COMPARED)])) == 1:
        hint = _DATA_SIZES.get(sizes[0])
        lines.append(
            Observation(name="data chunks", value=f"{sizes[0]} bytes each" + (f" (as {hint} writes)" if hint else ""))
        )
    private = dict.fromkeys(_PRIVATE[kind] for kind in order if kind in _PRIVATE)
    if private:
        lines.append(Observation(name="private chunks", value="; ".join(private)))
    trailing = _trailing(data)
    if trailing:
        lines.append(Observation(name="after the end chunk", value=f"{trailing} bytes"))
    return lines


def _header_line(data: bytes, header: Chunk) -> Observation:
    """Return size and colour kind from IHDR."""
    at = header.start
    width, height = int.from_bytes(data[at : at + 4], "big"), int.from_bytes(data[at + 4 : at + 8], "big")
    kind = _COLOUR_KINDS.get(data[at + 9], "unknown colour")
    woven = ", interlaced" if data[at + 12] else ""
    return Observation(name="header", value=f"{width}x{height}, {kind}, {data[at + 8]} bits{woven}")


def _trailing(data: bytes) -> int:
    """Return the number of bytes after IEND, 0 when there is no IEND."""
    end = len(SIGNATURE)
    for chunk in walk_chunks(data):
        end = chunk.start + chunk.length + 4
        if chunk.kind == "IEND":
            return max(0, len(data) - end)
    return 0
