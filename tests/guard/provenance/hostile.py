"""Hostile files: mutations of signed files of every kind, and valid structures that are expensive to parse.

Shared by the tests and by benchmarks/credential_fuzz.py. Everything is seeded, so a finding can be made again from its
seed and number.
"""

import random
import struct
import zlib
from collections.abc import Callable, Iterator

from guard.provenance.manifest import ManifestKind
from guard.records import ImageFormat
from tests.guard.provenance.media_files import FILES, box
from tests.guard.provenance.support import Identity, encoded, facts

Mutation = Callable[[random.Random, bytes, bytes], bytes]
"""(source of chance, file, another file) -> mutated file."""
_INTERESTING = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def signed_files(identity: Identity) -> dict[str, bytes]:
    """One signed file of every kind, and an edited picture with a signed parent."""
    made = {kind: identity.signer.sign_bytes(facts(), data, kind).data for kind, data in FILES.items()}
    made["edited"] = identity.signer.sign_bytes(
        facts(ManifestKind.EDITED), encoded(ImageFormat.JPEG), "image/jpeg", parent=made["image/png"]
    ).data
    return made


# --- mutations -------------------------------------------------------------------------------------------------------


def flip_bits(chance: random.Random, data: bytes, other: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 4, 32))):
        changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def flip_in_store(chance: random.Random, data: bytes, other: bytes) -> bytes:
    """Flip where the manifest is; most of a picture's bytes are its pixels."""
    at = data.find(b"jumb")
    if at < 0:
        return flip_bits(chance, data, other)
    changed = bytearray(data)
    for _ in range(chance.choice((1, 2, 8))):
        place = at - 4 + chance.randrange(min(6000, len(data) - at))
        changed[place] = chance.choice((changed[place] ^ (1 << chance.randrange(8)), 0, 0xFF, chance.randrange(256)))
    return bytes(changed)


def set_length(chance: random.Random, data: bytes, other: bytes) -> bytes:
    """Overwrite four bytes before a box, chunk or marker name with a length that does not fit."""
    names = [n for n in (b"jumb", b"jumd", b"cbor", b"caBX", b"C2PA", b"uuid", b"mdat", b"IDAT", b"bfdb") if n in data]
    at = data.find(chance.choice(names)) - 4 if names else chance.randrange(len(data))
    value = chance.choice((*_INTERESTING, len(data), len(data) * 2, chance.randrange(1 << 32)))
    order = chance.choice((">I", "<I"))
    return data[: max(at, 0)] + struct.pack(order, value & 0xFFFFFFFF) + data[max(at, 0) + 4 :]


def truncate(chance: random.Random, data: bytes, other: bytes) -> bytes:
    return data[: chance.randrange(len(data))]


def remove_span(chance: random.Random, data: bytes, other: bytes) -> bytes:
    at = chance.randrange(len(data))
    return data[:at] + data[at + chance.choice((1, 4, 64, 1024)) :]


def repeat_span(chance: random.Random, data: bytes, other: bytes) -> bytes:
    at = chance.randrange(len(data))
    span = data[at : at + chance.choice((1, 16, 512, 4096))]
    return data[:at] + span * chance.choice((2, 3, 50)) + data[at:]


def fill_span(chance: random.Random, data: bytes, other: bytes) -> bytes:
    at, size = chance.randrange(len(data)), chance.choice((4, 64, 2048))
    return data[:at] + bytes([chance.choice((0, 0xFF, 0x41))]) * size + data[at + size :]


def splice(chance: random.Random, data: bytes, other: bytes) -> bytes:
    """Begin as one file, go on as another."""
    return data[: chance.randrange(len(data))] + other[chance.randrange(len(other)) :]


def move_store(chance: random.Random, data: bytes, other: bytes) -> bytes:
    """Put a span of another file's manifest over this one's."""
    here, there = data.find(b"jumb"), other.find(b"jumb")
    if here < 0 or there < 0:
        return splice(chance, data, other)
    size = chance.choice((200, 1000, 4000))
    return data[: here - 4] + other[there - 4 : there + size] + data[here + size :]


def break_cbor(chance: random.Random, data: bytes, other: bytes) -> bytes:
    """Write CBOR heads of huge or endless items, tags and surrogates into the claim."""
    at = data.rfind(b"cbor")
    heads = (b"\x9b" + b"\xff" * 8, b"\xbf" * 64, b"\x9f" * 512, b"\xda\xff\xff\xff\xff", b"\x63\xed\xa0\x80", b"\xff")
    place = (at if at > 0 else 0) + chance.randrange(600)
    return data[:place] + chance.choice(heads) + data[place:]


MUTATIONS: tuple[Mutation, ...] = (
    flip_bits,
    flip_in_store,
    set_length,
    truncate,
    remove_span,
    repeat_span,
    fill_span,
    splice,
    move_store,
    break_cbor,
)


def mutated_files(files: dict[str, bytes], *, seed: int, count: int) -> Iterator[tuple[str, bytes]]:
    """Yield ``count`` times (what was done, file); one to three mutations of one file each."""
    kinds = sorted(files)
    for number in range(count):
        chance = random.Random(f"{seed}/{number}")
        kind = kinds[number % len(kinds)]
        data, steps = files[kind], []
        for _ in range(chance.choice((1, 1, 2, 3))):
            mutation = chance.choice(MUTATIONS)
            data = mutation(chance, data or b"\0", files[chance.choice(kinds)])
            steps.append(mutation.__name__)
        yield f"{seed}/{number} {kind} {'+'.join(steps)}", data


# --- expensive structures --------------------------------------------------------------------------------------------


def _png(chunks: int, kind: bytes = b"tEXt", body: bytes = b"k\0v") -> bytes:
    whole = encoded(ImageFormat.PNG)
    chunk = struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    return whole[:33] + chunk * chunks + whole[33:]


def _riff(kind: bytes, chunks: int, start: bytes) -> bytes:
    body = kind + start + (b"JUNK" + struct.pack("<I", 2) + b"xx") * chunks
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _tiff(entries: int) -> bytes:
    """A chain of directories that ends in itself."""
    directory = struct.pack("<H", 1) + struct.pack("<HHII", 256, 4, 1, 8)
    size = len(directory) + 4
    parts = [b"II*\0" + struct.pack("<I", 8)]
    parts += [directory + struct.pack("<I", 8 + size * (i + 1) if i < entries - 1 else 8) for i in range(entries)]
    return b"".join(parts)


def _gif(blocks: int) -> bytes:
    whole = FILES["image/gif"]
    return whole[:-1] + b"\x21\xfe\x01c\0" * blocks + b"\x3b"


def _nested(depth: int) -> bytes:
    """Boxes in boxes, from the inside."""
    body = b""
    for _ in range(depth):
        body = box(b"moov", body)
    return box(b"ftyp", b"isom\0\0\2\0isom") + body


def bombs() -> dict[str, bytes]:
    """Files of valid structure whose cost grows faster than their size, by name."""
    jumbf = box(b"jumb", box(b"jumd", b"c2pa\0\x11\0\x10\x80\0\0\xaa\0\x38\x9b\x71\x03c2pa\0"))
    return {
        "PNG, 1 000 000 chunks": _png(1_000_000),
        "PNG, 9 990 chunks": _png(9_990),
        "WebP, 200 000 chunks": _riff(b"WEBP", 200_000, encoded(ImageFormat.WEBP)[12:]),
        "WAV, 1 000 000 chunks": _riff(b"WAVE", 1_000_000, FILES["audio/wav"][12:36]),
        "WAV, 100 000 chunks": _riff(b"WAVE", 100_000, FILES["audio/wav"][12:36]),
        "MP4, 1 000 000 boxes": FILES["video/mp4"] + box(b"free", b"") * 1_000_000,
        "MP4, 100 000 boxes": FILES["video/mp4"] + box(b"free", b"") * 100_000,
        "MP4, 20 000 levels": _nested(20_000),
        "TIFF, 100 000 directories": _tiff(100_000),
        "GIF, 1 000 000 blocks": _gif(1_000_000),
        "JPEG, 200 000 segments": encoded(ImageFormat.JPEG)[:2]
        + b"\xff\xfe\0\3c" * 200_000
        + encoded(ImageFormat.JPEG)[2:],
        "PDF, 200 000 objects": b"%PDF-1.7\n" + b"1 0 obj<</A 1 0 R>>endobj\n" * 200_000 + b"%%EOF",
        "SVG, 100 000 levels": b'<svg xmlns="http://www.w3.org/2000/svg">' + b"<g>" * 100_000,
        "PNG, manifest of 5 000 boxes": _png(1, b"caBX", box(b"jumb", jumbf[8:] + jumbf * 5_000)),
        "JUMBF, 100 000 boxes": jumbf * 100_000,
        "MP3, 300 000 ID3 frames": b"ID3\4\0\0\0\x7f\x7f\x7f" + b"PRIV\0\0\0\1\0\0x" * 300_000,
        "40 MB of nothing": bytes(40_000_000),
    }
