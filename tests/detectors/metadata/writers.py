"""Small writers for the containers and blocks that the readers take apart; written from the specifications."""

import io
import struct
import zlib
from collections.abc import Sequence

import numpy as np
from PIL import Image

from detectors.upload import Upload, load_upload

SIDE = 64


def pixels(side: int = SIDE) -> np.ndarray:
    """A gradient: (side, side, 3) uint8."""
    ramp = np.arange(side, dtype=np.uint8)
    return np.stack(
        [np.tile(ramp, (side, 1)), np.tile(ramp[:, None], (1, side)), np.full((side, side), 90, np.uint8)], -1
    )


def plain(kind: str, array: np.ndarray | None = None) -> bytes:
    """A picture without any metadata, encoded by Pillow."""
    buffer = io.BytesIO()
    Image.fromarray(pixels() if array is None else array).save(buffer, kind)
    return buffer.getvalue()


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def text_chunk(key: str, text: str | bytes) -> bytes:
    return chunk(b"tEXt", key.encode("latin-1") + b"\0" + (text if isinstance(text, bytes) else text.encode()))


def ztext_chunk(key: str, text: bytes) -> bytes:
    return chunk(b"zTXt", key.encode("latin-1") + b"\0\0" + zlib.compress(text, 9))


def itext_chunk(key: str, text: str, *, compressed: bool = False) -> bytes:
    body = text.encode()
    return chunk(
        b"iTXt",
        key.encode("latin-1")
        + b"\0"
        + bytes([compressed, 0])
        + b"\0\0"
        + (zlib.compress(body) if compressed else body),
    )


def png(*chunks: bytes, array: np.ndarray | None = None) -> bytes:
    """A PNG with chunks after IHDR."""
    base = plain("PNG", array)
    return base[:33] + b"".join(chunks) + base[33:]


def png_texts(**texts: str) -> bytes:
    return png(*(itext_chunk(key.replace("_DASH_", "-"), text) for key, text in texts.items()))


def segment(marker: int, payload: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(payload) + 2) + payload


def jpeg(*segments: bytes) -> bytes:
    """A JPEG with segments after SOI."""
    base = plain("JPEG")
    return base[:2] + b"".join(segments) + base[2:]


def webp(*chunks: tuple[bytes, bytes]) -> bytes:
    """A WebP with RIFF chunks at the end."""
    body = plain("WEBP")[8:]
    for kind, payload in chunks:
        body += kind + struct.pack("<I", len(payload)) + payload + b"\0" * (len(payload) % 2)
    return b"RIFF" + struct.pack("<I", len(body)) + body


Entry = tuple[int, int, bytes]
"""(tag, type, value bytes)."""
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 7: 1}


def ascii_entry(tag: int, text: str) -> Entry:
    return tag, 2, text.encode() + b"\0"


def user_comment(text: str, *, code: bytes = b"UNICODE\0", encoding: str = "utf-16-be") -> Entry:
    return 0x9286, 7, code + text.encode(encoding)


def tiff(ifd0: Sequence[Entry] = (), exif: Sequence[Entry] = (), *, order: str = ">") -> bytes:
    """An EXIF block with IFD0 and, when it has entries, an Exif IFD."""
    head = (b"MM\0*" if order == ">" else b"II*\0") + struct.pack(order + "I", 8)
    entries = list(ifd0)
    size = 2 + 12 * (len(entries) + bool(exif)) + 4
    first, tail = _directory(entries, 8 + size, order)
    if exif:
        at = 8 + size + len(tail)
        first += struct.pack(order + "HHII", 0x8769, 4, 1, at)
        body, more = _directory(list(exif), at + 2 + 12 * len(exif) + 4, order)
        tail += struct.pack(order + "H", len(exif)) + body + bytes(4) + more
    return head + struct.pack(order + "H", len(entries) + bool(exif)) + first + bytes(4) + tail


def _directory(entries: list[Entry], data_at: int, order: str) -> tuple[bytes, bytes]:
    body = data = b""
    for tag, kind, value in sorted(entries):
        body += struct.pack(order + "HHI", tag, kind, len(value) // _SIZES[kind])
        if len(value) <= 4:
            body += value.ljust(4, b"\0")
        else:
            body += struct.pack(order + "I", data_at + len(data))
            data += value + b"\0" * (len(value) % 2)
    return body, data


def jpeg_exif(*ifd0: Entry, exif: Sequence[Entry] = (), order: str = ">") -> bytes:
    return jpeg(segment(0xE1, b"Exif\0\0" + tiff(ifd0, exif, order=order)))


def xmp(properties: str, *, namespaces: str = "") -> str:
    """An XMP packet around property elements or attributes-free descriptions."""
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
        'xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xmp="http://ns.adobe.com/xap/1.0/" '
        'xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/" xmlns:exif="http://ns.adobe.com/exif/1.0/" '
        'xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" '
        f'xmlns:TC260="http://www.tc260.org.cn/ns/AIGC/1.0/" {namespaces}>{properties}</rdf:Description></rdf:RDF>'
        '</x:xmpmeta><?xpacket end="w"?>'
    )


def png_xmp(packet: str) -> bytes:
    return png(itext_chunk("XML:com.adobe.xmp", packet))


def jpeg_xmp(packet: str) -> bytes:
    return jpeg(segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + packet.encode()))


def iim(**datasets: str) -> bytes:
    """IPTC record 2 datasets by number: ``d110='credit'``."""
    return b"".join(
        b"\x1c\x02" + bytes([int(key[1:])]) + struct.pack(">H", len(text.encode())) + text.encode()
        for key, text in datasets.items()
    )


def jpeg_iptc(record: bytes) -> bytes:
    resource = b"8BIM\x04\x04\0\0" + struct.pack(">I", len(record)) + record + b"\0" * (len(record) % 2)
    return jpeg(segment(0xED, b"Photoshop 3.0\0" + resource))


def gif(comment: bytes) -> bytes:
    base = plain("GIF")
    start = 13 + 3 * 2 ** ((base[10] & 7) + 1)
    blocks = b"".join(bytes([len(part)]) + part for part in (comment[i : i + 255] for i in range(0, len(comment), 255)))
    return base[:start] + b"\x21\xfe" + blocks + b"\0" + base[start:]


def hidden_alpha(payload: bytes, magic: bytes = b"stealth_pngcomp", side: int = 256) -> np.ndarray:
    """(side, side, 4) with a payload in the lowest alpha bits, column by column."""
    stream = np.unpackbits(np.frombuffer(magic + struct.pack(">I", 8 * len(payload)) + payload, np.uint8))
    alpha = np.full(side * side, 255, np.uint8)
    alpha[: len(stream)] = 254 | stream
    return np.dstack([pixels(side), alpha.reshape(side, side).T])


def hidden_colour(payload: bytes, magic: bytes = b"stealth_rgbinfo", side: int = 128) -> np.ndarray:
    """(side, side, 3) with a payload in the lowest colour bits, column by column, R then G then B."""
    stream = np.unpackbits(np.frombuffer(magic + struct.pack(">I", 8 * len(payload)) + payload, np.uint8))
    columns = pixels(side).transpose(1, 0, 2).reshape(-1).copy()
    columns[: len(stream)] = (columns[: len(stream)] & 254) | stream
    return np.ascontiguousarray(columns.reshape(side, side, 3).transpose(1, 0, 2))


def upload(data: bytes) -> Upload:
    return load_upload(data)


SIGNATURE = b"\x89PNG\r\n\x1a\n"


def shared_text_tiff(entries: int, size: int) -> bytes:
    """An EXIF block whose entries all point at one long text."""
    at = 8 + 2 + 12 * entries + 4
    directory = b"".join(struct.pack(">HHII", 0x010E + index % 4, 2, size, at) for index in range(entries))
    return b"MM\0*\0\0\0\x08" + struct.pack(">H", entries) + directory + bytes(4) + b"\xe9" * size


def box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body) + 8) + kind + body


def avif_exif(exif: bytes, packet: str) -> bytes:
    """The metadata part of an AVIF file: an Exif item and an XMP item, no picture."""
    items = (bytes(4) + exif, packet.encode())
    infe = box(b"infe", b"\x02\0\0\0\0\x01\0\0Exif\0") + box(
        b"infe", b"\x02\0\0\0\0\x02\0\0mime\0application/rdf+xml\0"
    )
    ftyp = box(b"ftyp", b"avif\0\0\0\0avifmif1")
    iinf = box(b"iinf", bytes(4) + struct.pack(">H", 2) + infe)
    start = len(ftyp) + 12 + len(iinf) + 8 + 8 + 2 * 14 + 8

    def iloc() -> bytes:
        rows, at = b"", start
        for number, item in enumerate(items, 1):
            rows += struct.pack(">HHHII", number, 0, 1, at, len(item))
            at += len(item)
        return box(b"iloc", bytes(4) + b"\x44\x00" + struct.pack(">H", len(items)) + rows)

    return ftyp + box(b"meta", bytes(4) + iinf + iloc()) + box(b"mdat", b"".join(items))
