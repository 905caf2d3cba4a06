"""Manifest stores as bytes: taking one manifest out of a store. JUMBF boxes only; nothing is decoded or validated.

Source: ISO 19566-5 (JUMBF): a box is length (4 bytes, big endian), type (4 bytes), content; a superbox (``jumb``) opens
with its description (``jumd``). C2PA 2.4 section 11.1.4: the active manifest is the last one of a store.
"""

from __future__ import annotations

import struct

from guard.errors import UndecodableMediaError


def active_manifest_alone(store: bytes) -> bytes:
    """Return a store that holds only the active manifest of ``store``.

    Raises:
        UndecodableMediaError: the bytes are no manifest store.
    """
    outer = _boxes(store)
    if len(outer) != 1 or outer[0][:4] != b"jumb":
        raise UndecodableMediaError("The bytes are no C2PA manifest store.")
    parts = _boxes(store[8:])
    if len(parts) < 2 or parts[0][:4] != b"jumd" or any(part[:4] != b"jumb" for part in parts[1:]):
        raise UndecodableMediaError("The C2PA manifest store holds no manifest.")
    body = b"".join(struct.pack(">I", len(part) + 4) + part for part in (parts[0], parts[-1]))
    return struct.pack(">I", len(body) + 8) + b"jumb" + body


def _boxes(data: bytes) -> list[bytes]:
    """Return type and content of consecutive boxes; raises UndecodableMediaError when they do not fill ``data``."""
    found, at = [], 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        if size < 8 or at + size > len(data):
            raise UndecodableMediaError("The bytes are no C2PA manifest store.")
        found.append(data[at + 4 : at + size])
        at += size
    return found
