"""GIF comment extensions and the XMP application extension.

Source: GIF89a specification sections 23-26; XMP part 3 section 1.1.2 (XMP as raw bytes with a magic trailer).
"""

from __future__ import annotations

from detectors.metadata.fields import FieldCollector, Layer
from detectors.metadata.readers.xmp import read_xmp
from detectors.metadata.text import decode_text

MAX_BLOCKS = 64
"""Extensions before the picture: writers put one or two."""
MAX_SUB_BLOCKS = 8_500
"""Sub-blocks per extension: 2 MiB at 255 bytes each, the longest text that is read anyway."""
_XMP_APPLICATION = b"XMP DataXMP"
_XMP_TRAILER = 258
"""Magic trailer after an XMP packet: 0x01, 0xFF..0x00, 0x00."""


def read_gif(data: bytes, out: FieldCollector) -> None:
    """Collect the comments and XMP that stand before the first picture of a GIF file."""
    if len(data) < 13:
        return
    at = 13 + (3 << ((data[10] & 7) + 1) if data[10] & 0x80 else 0)
    for _ in range(MAX_BLOCKS):
        if data[at : at + 1] != b"\x21":
            return
        following = _extension(data, at, out)
        if following is None:
            out.fail("GIF extension", f"more than {MAX_SUB_BLOCKS} sub-blocks, or truncated")
            return
        at = following


def _extension(data: bytes, at: int, out: FieldCollector) -> int | None:
    """Collect one extension and return the position after it, or None when its end is not found."""
    label = data[at + 1 : at + 2]
    start = at + 2
    if label == b"\xff" and data[start + 1 : start + 12] == _XMP_APPLICATION:
        found = _sub_blocks(data, start + 12)
        if found is None:
            return None
        read_xmp(data[start + 12 : max(start + 12, found[0] - _XMP_TRAILER)], "GIF XMP", out)
        return found[0]
    found = _sub_blocks(data, start)
    if found is None:
        return None
    if label == b"\xfe" and out.admit(Layer.COMMENT, "GIF comment"):
        out.add(Layer.COMMENT, "Comment", decode_text(found[1]).strip("\x00"), "GIF comment")
    return found[0]


def _sub_blocks(data: bytes, at: int) -> tuple[int, bytes] | None:
    """Return the position after a chain of sub-blocks and their joined bytes, or None without its end."""
    parts: list[bytes] = []
    for _ in range(MAX_SUB_BLOCKS):
        if at >= len(data):
            return None
        if data[at] == 0:
            return at + 1, b"".join(parts)
        parts.append(data[at + 1 : at + 1 + data[at]])
        at += 1 + data[at]
    return None
