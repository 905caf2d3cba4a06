"""EXIF / TIFF image file directories: named tags as text, bounded, each directory once.

``read_exif`` walks IFD0, the Exif IFD and IFD1 (thumbnail facts). GPS and maker notes that are not plain text are left
alone: location is personal data and nothing here needs it.
Source: TIFF 6.0 section 2; CIPA DC-008-2023 (Exif 3.0) section 4.6.
"""

from __future__ import annotations

import struct
from collections import deque
from dataclasses import dataclass

from detectors.metadata.fields import MAX_TEXT_BYTES, FieldCollector, Layer
from detectors.metadata.readers.iptc import read_iim
from detectors.metadata.readers.xmp import read_xmp
from detectors.metadata.text import decode_text, decode_utf16

MAX_ENTRIES = 512
"""Entries per directory: cameras write 20-70."""
MAX_DIRECTORIES = 4
"""IFD0, Exif IFD, IFD1 and one spare; a longer chain is a loop or an attack."""
MAX_NUMBERS = 4
"""Numbers kept per tag: LensSpecification has four, nothing that is read has more."""

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 129: 1}
"""Bytes per value by TIFF type; 129 is UTF-8 (Exif 3.0)."""
_FORMATS = {3: "H", 4: "I", 5: "II", 8: "h", 9: "i", 10: "ii", 11: "f", 12: "d"}
_EXIF_IFD = 0x8769
_MAIN, _EXIF, _THUMBNAIL = "IFD0", "Exif IFD", "IFD1"
_XMP_TAG = 700
_IPTC_TAG = 33723
_USER_COMMENT = 0x9286
_MAKER_NOTE = 0x927C
_WINDOWS_TEXT = {0x9C9B: "XPTitle", 0x9C9C: "XPComment", 0x9C9D: "XPAuthor", 0x9C9E: "XPKeywords", 0x9C9F: "XPSubject"}
TAGS = {
    0x000B: "ProcessingSoftware",
    0x0100: "ImageWidth",
    0x0101: "ImageLength",
    0x0103: "Compression",
    0x010D: "DocumentName",
    0x010E: "ImageDescription",
    0x010F: "Make",
    0x0110: "Model",
    0x0112: "Orientation",
    0x0131: "Software",
    0x0132: "DateTime",
    0x013B: "Artist",
    0x013C: "HostComputer",
    0x0201: "ThumbnailOffset",
    0x0202: "ThumbnailLength",
    0x8298: "Copyright",
    0x829A: "ExposureTime",
    0x829D: "FNumber",
    0x8827: "ISO",
    0x9000: "ExifVersion",
    0x9003: "DateTimeOriginal",
    0x920A: "FocalLength",
    _MAKER_NOTE: "MakerNote",
    _USER_COMMENT: "UserComment",
    0xA002: "PixelXDimension",
    0xA003: "PixelYDimension",
    0xA300: "FileSource",
    0xA433: "LensMake",
    0xA434: "LensModel",
    0xA436: "ImageTitle",
    0xA437: "Photographer",
    0xA438: "ImageEditor",
    0xA439: "CameraFirmware",
    0xA43A: "RAWDevelopingSoftware",
    0xA43B: "ImageEditingSoftware",
    0xA43C: "MetadataEditingSoftware",
    **_WINDOWS_TEXT,
}
"""Tags that are read, all others are skipped. Source: Exif 3.0 tables 4-11; Windows property tags 0x9C9B-0x9C9F."""
_PREFIXES = {
    b"ASCII\x00\x00\x00": "ascii",
    b"UNICODE\x00": "utf16",
    b"JIS\x00\x00\x00\x00\x00": "jis",
    bytes(8): "ascii",
}
"""Character codes of UserComment. Source: Exif 3.0 table 9."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Block:
    """A TIFF structure: its bytes, byte order and what to call it."""

    data: bytes
    order: str
    where: str

    def number(self, offset: int, code: str) -> int:
        """Return one unsigned number; raises struct.error outside the block."""
        value: int = struct.unpack_from(self.order + code, self.data, offset)[0]
        return value


def read_exif(blob: bytes, where: str, out: FieldCollector) -> None:
    """Collect the known tags of an EXIF block.

    Args:
        blob: TIFF structure, with or without the six bytes ``Exif`` NUL NUL before it.
        where: block name for people, e.g. ``JPEG EXIF``.
        out: receives texts, and notes for what cannot be read.
    """
    if not out.admit(Layer.EXIF, where):
        return
    blob = blob.removeprefix(b"Exif\x00\x00")
    if len(blob) < 8 or blob[:4] not in (b"II*\x00", b"MM\x00*"):
        out.fail(where, "no TIFF header")
        return
    block = _Block(data=blob, order="<" if blob[:2] == b"II" else ">", where=where)
    pending = deque([(block.number(4, "I"), _MAIN)])
    seen: set[int] = set()
    while pending and len(seen) < MAX_DIRECTORIES:
        offset, directory = pending.popleft()
        if offset == 0 or offset in seen:
            continue
        seen.add(offset)
        try:
            pending.extend(_read_directory(block, offset, directory, out))
        except struct.error:
            _fail(block, directory, "truncated directory", out)


def _fail(block: _Block, directory: str, reason: str, out: FieldCollector) -> None:
    """Note a broken directory; a broken thumbnail directory is too common in real photos to mention (1 % of them)."""
    if directory != _THUMBNAIL:
        out.fail(block.where, reason)


def _read_directory(block: _Block, offset: int, directory: str, out: FieldCollector) -> list[tuple[int, str]]:
    """Collect one directory and return the directories it points at; only IFD0 has a next one that matters."""
    prefix = "Thumbnail" if directory == _THUMBNAIL else ""
    count = block.number(offset, "H")
    if count > MAX_ENTRIES:
        _fail(block, directory, f"{count} entries in one directory", out)
        return []
    further: list[tuple[int, str]] = []
    read: set[int] = set()
    for index in range(count):
        at = offset + 2 + 12 * index
        tag, kind = block.number(at, "H"), block.number(at + 2, "H")
        if tag == _EXIF_IFD:
            further.append((block.number(at + 8, "I"), _EXIF))
        elif (tag in TAGS or tag in (_XMP_TAG, _IPTC_TAG)) and tag not in read:
            read.add(tag)  # repeated tags that share one long text would multiply the work
            raw = _value_bytes(block, at, kind)
            if raw is None:
                out.fail(f"{block.where} {TAGS.get(tag, str(tag))}", "points outside the block")
            else:
                _collect(block, tag, kind, raw, prefix, out)
    if directory == _MAIN:
        following = offset + 2 + 12 * count
        if following + 4 <= len(block.data):
            further.append((block.number(following, "I"), _THUMBNAIL))
    return further


def _value_bytes(block: _Block, at: int, kind: int) -> bytes | None:
    """Return an entry's bytes, at most 2 * MAX_TEXT_BYTES, or None when they lie outside the block."""
    size = _SIZES.get(kind, 0) * block.number(at + 4, "I")
    if size == 0:
        return b""
    start = at + 8 if size <= 4 else block.number(at + 8, "I")
    if start + size > len(block.data):
        return None
    return block.data[start : start + min(size, 2 * MAX_TEXT_BYTES)]


def _collect(block: _Block, tag: int, kind: int, raw: bytes, prefix: str, out: FieldCollector) -> None:
    """Turn one entry into text."""
    if tag == _XMP_TAG:
        read_xmp(raw, f"{block.where} XMP", out)
        return
    if tag == _IPTC_TAG:
        read_iim(raw, f"{block.where} IPTC", out)
        return
    name = TAGS[tag]
    if tag == _USER_COMMENT:
        text = decode_user_comment(raw, big_endian=block.order == ">")
    elif tag in _WINDOWS_TEXT:
        text = decode_utf16(raw, big_endian=False)
    elif kind in _FORMATS:
        text = _numbers(raw, kind, block.order)
    elif tag == _MAKER_NOTE:
        text = _plain_or_nothing(raw)
    else:
        text = decode_text(raw).strip("\x00 \t\r\n")
    out.add(Layer.EXIF, prefix + name, text, f"{block.where} {prefix}{name}")


def decode_user_comment(raw: bytes, *, big_endian: bool) -> str:
    """Return the text of an EXIF UserComment: its 8-byte character code first, then what the bytes look like."""
    kind = _PREFIXES.get(raw[:8])
    if kind == "jis":
        return raw[8:].decode("iso2022_jp", errors="replace").rstrip("\x00")
    if kind == "utf16":
        return decode_utf16(raw[8:], big_endian=big_endian)
    body = raw[8:] if kind == "ascii" else raw
    sample = body[:512]
    if len(sample) >= 16 and sample.count(0) * 3 > len(sample):
        return decode_utf16(body, big_endian=big_endian)
    return decode_text(body).strip("\x00 ")


def _plain_or_nothing(raw: bytes) -> str:
    """Return a maker note only when it is plain text (some tools sign there); binary ones are not decoded."""
    body = raw.rstrip(b"\x00")
    printable = bool(body) and all(32 <= byte < 127 or byte in (9, 10, 13) for byte in body[:4096])
    return decode_text(body) if printable else ""


def _numbers(raw: bytes, kind: int, order: str) -> str:
    """Return up to MAX_NUMBERS numbers; rationals as ``n/d``."""
    size, code = _SIZES[kind], _FORMATS[kind]
    shown: list[str] = []
    for start in range(0, min(len(raw), size * MAX_NUMBERS) - size + 1, size):
        values = struct.unpack_from(order + code, raw, start)
        shown.append("/".join(f"{value:g}" if isinstance(value, float) else str(value) for value in values))
    return " ".join(shown)
