"""Image id <-> the 88-bit word that is coded into the picture.

``word = (64 id bits || CRC-24 of the id) XOR pad``. The pad comes from the key and is used for nothing else, so for any
fixed picture the CRC of a falsely decoded word passes with probability exactly ``2**-24`` over the key: whatever word
the decoder produces, the unmasked word is uniform. This is the second, independent factor of the false-accept bound
(docs/watermark.md, "Theorem").
"""

from __future__ import annotations

import re
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from guard.errors import WatermarkError
from guard.records import ImageID

Bits: TypeAlias = NDArray[np.uint8]
"""(n,) uint8 of 0 and 1, most significant bit first."""

ID_BITS = 64
CRC_BITS = 24
WORD_BITS = ID_BITS + CRC_BITS
_CRC_POLYNOMIAL = 0x864CFB
_CRC_INIT = 0xB704CE
"""CRC-24 of OpenPGP. Source: RFC 9580 section 6.1.1."""
_ID_PATTERN = re.compile(r"[0-9a-f]{16}\Z")


def crc24(data: bytes) -> int:
    """Return the 24-bit CRC of ``data``.

    Source: RFC 9580 section 6.1.1 (polynomial 0x864CFB, initial value 0xB704CE, not reflected).
    """
    register = _CRC_INIT
    for byte in data:
        register ^= byte << 16
        for _ in range(8):
            register <<= 1
            if register & 0x1000000:
                register ^= 0x1000000 | _CRC_POLYNOMIAL
    return register


def word_of(image_id: str, pad: Bits) -> Bits:
    """Return the masked 88-bit word of an id.

    Args:
        image_id: 16 lower-case hex digits.
        pad: (88,) bits from the key.

    Raises:
        WatermarkError: the id has another form.
    """
    if not _ID_PATTERN.match(image_id):
        raise WatermarkError(
            f"The image id {image_id!r} cannot be embedded: expected 16 lower-case hexadecimal digits (64 bits).",
            next_step="Pass the id that the pipeline drew, or one of the same form.",
        )
    data = bytes.fromhex(image_id)
    plain = np.unpackbits(np.frombuffer(data + crc24(data).to_bytes(3, "big"), np.uint8))
    return np.bitwise_xor(plain, pad)


def id_of(word: Bits, pad: Bits) -> ImageID | None:
    """Return the id of a decoded (88,) bit word, or None when its CRC does not match."""
    data = np.packbits(np.bitwise_xor(word.astype(np.uint8), pad)).tobytes()
    identity, check = data[: ID_BITS // 8], data[ID_BITS // 8 :]
    if crc24(identity).to_bytes(3, "big") != check:
        return None
    return ImageID(identity.hex())
