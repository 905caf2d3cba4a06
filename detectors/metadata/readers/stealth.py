"""Text hidden in the lowest bits of a picture ("stealth pnginfo"), as NovelAI and WebUI extensions write it.

Layout, column by column from the top left: 120 bits of magic, 32 bits big-endian length in bits, then the text,
gzipped in the ``comp`` forms. Alpha forms use one bit per pixel, colour forms three (R, G, B).
Source: NovelAI novelai-image-metadata (MIT) and sd_webui_stealth_pnginfo, format only.
"""

from __future__ import annotations

import json

import numpy as np
from numpy.typing import NDArray

from detectors.metadata.fields import MAX_TEXT_BYTES, FieldCollector, Layer
from detectors.metadata.text import decode_text, inflate
from guard.records import RGB8

_MAGIC_BYTES = 15
_HEADER_BYTES = _MAGIC_BYTES + 4
_MAGICS = {
    b"stealth_pnginfo": ("alpha", False),
    b"stealth_pngcomp": ("alpha", True),
    b"stealth_rgbinfo": ("colour", False),
    b"stealth_rgbcomp": ("colour", True),
}
_CHUNK_KEYS = {"Comment", "Software", "parameters", "workflow", "sd-metadata", "invokeai_metadata"}
"""Keys by which a hidden JSON object is known to be a set of text chunks rather than one tool's own record."""


def read_stealth(rgb: RGB8, alpha: NDArray[np.uint8] | None, out: FieldCollector) -> None:
    """Collect text hidden in the lowest bits.

    Args:
        rgb: (H, W, 3) uint8 as stored; colour forms are lost where transparency was composited.
        alpha: (H, W) uint8, or None.
        out: receives the text; JSON objects of texts are spread over their keys.
    """
    planes: list[tuple[str, NDArray[np.uint8]]] = [("colour", rgb)]
    if alpha is not None:
        planes.insert(0, ("alpha", alpha[:, :, None]))
    for name, plane in planes:
        magic = _bytes(plane, 0, _MAGIC_BYTES)
        kind = _MAGICS.get(magic)
        if kind is None or kind[0] != name:
            continue
        where = f"hidden text in the lowest {name} bits"
        length_bits = int.from_bytes(_bytes(plane, _MAGIC_BYTES, 4), "big")
        if length_bits % 8 or not 0 < length_bits // 8 <= MAX_TEXT_BYTES:
            out.fail(where, f"impossible length of {length_bits} bits")
            continue
        raw: bytes | None = _bytes(plane, _HEADER_BYTES, length_bits // 8)
        if raw is not None and kind[1]:
            raw = inflate(raw, gzip=True)
        if not raw:
            out.fail(where, "damaged or truncated")
            continue
        _collect(decode_text(raw), where, out)


def _bytes(plane: NDArray[np.uint8], start: int, count: int) -> bytes:
    """Return ``count`` bytes from byte ``start`` of the bit stream, fewer at the end of the picture.

    Only the columns that hold them are touched, so a look at the magic costs nothing on a large picture.
    """
    height, _, channels = plane.shape
    first_bit, last_bit = 8 * start, 8 * (start + count)
    per_column = height * channels
    left, right = first_bit // per_column, -(-last_bit // per_column)
    bits = (plane[:, left:right] & 1).transpose(1, 0, 2).reshape(-1)
    wanted = bits[first_bit - left * per_column : last_bit - left * per_column]
    return np.packbits(wanted).tobytes()[:count]


def _collect(text: str, where: str, out: FieldCollector) -> None:
    """File the text: an object of text chunks key by key (NovelAI, ComfyUI), anything else as ``parameters``."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    texts = {k: v for k, v in value.items() if isinstance(v, str)} if isinstance(value, dict) else {}
    if _CHUNK_KEYS & texts.keys() or texts.get("prompt", "").startswith("{"):
        for key, item in texts.items():
            out.add(Layer.HIDDEN, key, item, f"{where} {key[:40]}")
    else:
        out.add(Layer.HIDDEN, "parameters", text, where)
