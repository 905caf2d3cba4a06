"""GIF comment extensions and the XMP application extension.

Source: GIF89a specification sections 23-26; XMP part 3 section 1.1.2 (XMP as raw bytes with a magic trailer).
"""

from __future__ import annotations

from detectors.metadata.fields import MAX_TEXT_BYTES, FieldCollector, Layer
from detectors.metadata.readers.xmp import read_xmp
from detectors.metadata.text import decode_text

MAX_BLOCKS = 65_536
"""Blocks and sub-blocks walked; sub-blocks hold at most 255 bytes, so this covers 16 MB."""
_XMP_APPLICATION = b"XMP DataXMP"
_XMP_TRAILER = 258
"""Magic trailer after an XMP packet: 0x01, 0xFF..0x00, 0x00."""


def read_gif(data: bytes, out: FieldCollector) -> None:
    """Collect the comments and XMP of a GIF file, as far as its blocks can be followed."""
    if len(data) < 13:
        return
    at = 13 + (3 << ((data[10] & 7) + 1) if data[10] & 0x80 else 0)
    for _ in range(MAX_BLOCKS):
        kind = data[at : at + 1]
        if kind == b"\x21":
            at = _extension(data, at, out)
        elif kind == b"\x2c" and at + 10 < len(data):
            flags = data[at + 9]
            at += 10 + (3 << ((flags & 7) + 1) if flags & 0x80 else 0) + 1
            at = _skip(data, at)[0]
        else:
            return


def _extension(data: bytes, at: int, out: FieldCollector) -> int:
    """Collect one extension and return the position after it."""
    label = data[at + 1 : at + 2]
    start = at + 2
    if label == b"\xff" and data[start + 1 : start + 12] == _XMP_APPLICATION:
        end, _ = _skip(data, start + 12)
        read_xmp(data[start + 12 : max(start + 12, end - _XMP_TRAILER)], "GIF XMP", out)
        return end
    end, body = _skip(data, start, keep=label == b"\xfe")
    if label == b"\xfe":
        out.add(Layer.COMMENT, "Comment", decode_text(body).strip("\x00"), "GIF comment")
    return end


def _skip(data: bytes, at: int, *, keep: bool = False) -> tuple[int, bytes]:
    """Follow sub-blocks to their end; returns the position after them and, when asked, their joined bytes."""
    parts: list[bytes] = []
    kept = 0
    while at < len(data) and data[at]:
        if keep and kept <= MAX_TEXT_BYTES:
            parts.append(data[at + 1 : at + 1 + data[at]])
            kept += data[at]
        at += 1 + data[at]
    return at + 1, b"".join(parts)
