"""TrustMark P, Q, B and C marks, with decoder weights that the operator supplies: 100 bits, BCH, schema bits.

Adobe's weights are not shipped. Convert ``decoder_<variant>.ckpt`` to ONNX once (input: (1, 3, N, N) in [-1, 1],
output: (1, 100), positive = 1) and pin its SHA-256. By itself TrustMark's presence test accepts 0.2 to 7 % of random
words (BCH_5 to BCH_3): only readings whose word is unlikely by chance count here, and they are hints, not proof.

Source: adobe/trustmark (MIT), python/trustmark/datalayer.py @0227423: schemas 0 to 3, BCH over GF(2^7).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb, log10
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

from guard.errors import WeightsError
from guard.inference import open_onnx
from guard.records import RGB8
from guard.watermark.bch import BCHCode
from guard.watermark.foreign import ForeignMark, hex_of
from guard.weights import WeightSpec, verify_file

PACKET_BITS: Final = 100
_VERSION_BITS: Final = 4
_MAX_ASPECT: Final = 2.0
"""Beyond this ratio of the sides TrustMark looks at the central square only (P always does)."""
LOG10_CHANCE: Final = -6.0
"""A reading counts when a random word would decode as well with at most this chance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """One way to divide the packet: name, payload bits, correctable bits."""

    name: str
    data_bits: int
    t: int


SCHEMAS: Final = {
    0: Schema(name="BCH_SUPER", data_bits=40, t=8),
    1: Schema(name="BCH_5", data_bits=61, t=5),
    2: Schema(name="BCH_4", data_bits=68, t=4),
    3: Schema(name="BCH_3", data_bits=75, t=3),
}
"""By the last two bits. BCH_SUPER carries signposts: 40 bits that say which other watermark a picture holds."""
_CODES: Final = {t: BCHCode(t) for t in (3, 4, 5, 8)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Packet:
    """A decoded packet.

    Attributes:
        schema: how it was divided.
        data: payload bits.
        corrected: bits that the code changed.
        log10_chance: log10 of the chance that a random packet of this schema decodes with so few changes.
    """

    schema: Schema
    data: tuple[int, ...]
    corrected: int
    log10_chance: float


def encode_packet(data: Sequence[int], version: int) -> tuple[int, ...]:
    """Return the 100 bits of a packet.

    Args:
        data: exactly the payload bits of the schema.
        version: 0 to 3.

    Raises:
        ValueError: unknown version, or another number of bits.
    """
    schema = SCHEMAS.get(version)
    if schema is None or len(data) != schema.data_bits:
        raise ValueError(f"TrustMark schema {version} does not take {len(data)} bits.")
    padded = [*data, *([0] * (-len(data) % 8))]
    packet = [*data, *_CODES[schema.t].checks(padded)]
    packet += [0] * (PACKET_BITS - _VERSION_BITS - len(packet))
    return (*packet, *(int(b) for b in f"{version:04b}"))


def decode_packet(bits: Sequence[int]) -> Packet | None:
    """Return the packet in 100 bits, or None when there are more errors than its code corrects."""
    schema = SCHEMAS[2 * int(bits[-2]) + int(bits[-1])]
    code = _CODES[schema.t]
    padding = -schema.data_bits % 8
    checks = bits[schema.data_bits : schema.data_bits + code.check_bits]
    found = code.correct([*bits[: schema.data_bits], *([0] * padding), *checks])
    if found is None or any(found[0][schema.data_bits : schema.data_bits + padding]):
        return None
    sent = schema.data_bits + code.check_bits
    chance = log10(sum(comb(sent, i) for i in range(found[1] + 1))) - code.check_bits * log10(2)
    return Packet(
        schema=schema,
        data=tuple(found[0][: schema.data_bits]),
        corrected=found[1],
        log10_chance=round(min(0.0, chance), 2),
    )


class TrustMarkReader:
    """Reads one TrustMark variant; implements ``ForeignMarkReader``.

    Args:
        path: the decoder as ONNX.
        spec: its pinned digest and size.
        variant: ``P``, ``Q``, ``B`` or ``C``.

    Raises:
        WeightsError: the file is missing, changed, does not load, or is no decoder of 100 bits.
        ConfigError: onnxruntime is not installed.
    """

    def __init__(self, path: Path, spec: WeightSpec, *, variant: str) -> None:
        self._variant = variant
        self._session: Any = open_onnx(verify_file(path, spec), name=f"The TrustMark {variant} decoder")
        shape = self._session.get_inputs()[0].shape
        if len(shape) != 4 or shape[1] != 3 or not isinstance(shape[2], int) or shape[2] != shape[3]:
            raise WeightsError(
                f"The TrustMark {variant} decoder {path} takes {shape}; expected (1, 3, N, N) with a fixed N.",
                next_step="Export the decoder with a fixed square input.",
            )
        self._side: int = shape[2]
        self._input: str = self._session.get_inputs()[0].name

    @property
    def scheme(self) -> str:
        """Name of the scheme, as in the C2PA soft-binding list."""
        return f"com.adobe.trustmark.{self._variant}"

    def read(self, pixels: RGB8) -> ForeignMark | None:
        """Return the mark, or None when no packet decodes that chance would not explain."""
        logits = np.asarray(self._session.run(None, {self._input: self._prepared(pixels)})[0]).reshape(-1)
        if len(logits) != PACKET_BITS or not np.isfinite(logits).all():
            return None
        packet = decode_packet([int(v > 0) for v in logits])
        if packet is None or packet.log10_chance > LOG10_CHANCE:
            return None
        return ForeignMark(
            scheme=f"{self.scheme} ({packet.schema.name})",
            writer=None,
            payload=hex_of(packet.data),
            bits=len(packet.data),
            wrong_bits=packet.corrected,
            log10_chance=packet.log10_chance,
        )

    def _prepared(self, pixels: RGB8) -> Any:
        """Return (1, 3, N, N) float32 in [-1, 1]: the whole picture, or its central square."""
        height, width = pixels.shape[:2]
        if self._variant == "P" or max(height, width) > _MAX_ASPECT * min(height, width):
            side = min(height, width)
            top, left = (height - side) // 2, (width - side) // 2
            pixels = pixels[top : top + side, left : left + side]
        reducing = min(pixels.shape[:2]) > self._side
        method = cv2.INTER_AREA if reducing else cv2.INTER_LINEAR
        small = cv2.resize(np.ascontiguousarray(pixels), (self._side, self._side), interpolation=method)
        return (small.astype(np.float32) / 127.5 - 1).transpose(2, 0, 1)[None]
