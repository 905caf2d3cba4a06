"""Untrusted bytes -> text, and untrusted text -> something that is safe to look at.

``visible`` is the only door from a file's text into a report: control, bidirectional and invisible characters appear as
escapes, and the length is cut. HTML escaping stays the job of whoever renders HTML.
"""

from __future__ import annotations

import unicodedata
import zlib

from detectors.metadata.fields import MAX_TEXT_BYTES

MAX_SHOWN = 2_000
"""Characters of one value in a report: longer than 99 % of prompts, short enough to read."""
_HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""General categories without a glyph of their own: control, format (bidi, zero width), surrogate, private, unassigned,
line and paragraph separator. Source: Unicode Standard 16.0, table 4-4; Trojan Source, CVE-2021-42574."""


def visible(text: str, *, limit: int = MAX_SHOWN) -> str:
    r"""Return a text fit for display: invisible characters as ``\n``, ``\t`` or ``\u202e``, cut to ``limit``."""
    shown = "".join(_glyph(char) for char in text[:limit])
    rest = len(text) - limit
    return f"{shown} ... ({rest} more characters)" if rest > 0 else shown


def _glyph(char: str) -> str:
    """Return a character, or its escape when it has no glyph."""
    if char == "\n":
        return "\\n"
    if char == "\t":
        return "\\t"
    if unicodedata.category(char) not in _HIDDEN_CATEGORIES:
        return char
    code = ord(char)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def decode_text(data: bytes) -> str:
    """Return UTF-8 text, or the bytes read as Latin-1 where they are not UTF-8; never fails."""
    data = data[: MAX_TEXT_BYTES + 1]
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def decode_utf16(data: bytes, *, big_endian: bool) -> str:
    """Return UTF-16 text; a byte-order mark, then the position of zero bytes, then ``big_endian`` decide the order.

    The position of zeros matters because common writers ignore the byte order of the EXIF block around the text.
    """
    data = data[: 2 * MAX_TEXT_BYTES + 2]
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        big_endian = data[:2] == b"\xfe\xff"
        data = data[2:]
    else:
        sample = data[:512]
        even, odd = sample[0::2].count(0), sample[1::2].count(0)
        if even != odd:
            big_endian = even > odd
    return data.decode("utf-16-be" if big_endian else "utf-16-le", errors="replace").rstrip("\x00")


def inflate(data: bytes, *, gzip: bool = False) -> bytes | None:
    """Return at most MAX_TEXT_BYTES + 1 decompressed bytes, or None when the stream is broken.

    A result longer than MAX_TEXT_BYTES says that there is more; the collector notes it.
    """
    engine = zlib.decompressobj(wbits=31 if gzip else 15)
    try:
        return engine.decompress(data, MAX_TEXT_BYTES + 1)
    except zlib.error:
        return None
