"""The ``rivaGan`` scheme of ``invisible-watermark``: 32 bits, read with the ONNX decoder that the package carries.

The network answers 32 bits for every picture, so a reading counts only when it equals a payload that the operator
lists, with at most one wrong bit (33 of 2^32 random words, 10^-8.1 a payload).
"""

from __future__ import annotations

from math import log10
from pathlib import Path
from typing import Any, Final

import numpy as np

from guard.inference import open_onnx
from guard.records import RGB8
from guard.watermark.foreign import ForeignMark, hex_of
from guard.watermark.invisible_watermark import KnownPayload
from guard.weights import WeightSpec, verify_file

BITS: Final = 32
_THRESHOLD: Final = 0.52
"""Source: ShieldMnt/invisible-watermark 0.2.0, imwatermark/rivaGan.py."""
_MOST_WRONG: Final = 1
_MAX_SIDE: Final = 1024
"""Larger pictures are left unread: the network works at full size and would take minutes."""


class RivaGANReader:
    """Looks for listed payloads; implements ``ForeignMarkReader``.

    Args:
        path: ``rivagan_decoder.onnx``.
        spec: its pinned digest and size.
        known: payloads of 32 bits that the operator wants to recognise.

    Raises:
        WeightsError: the file is missing, changed or does not load.
        ConfigError: onnxruntime is not installed.
    """

    def __init__(self, path: Path, spec: WeightSpec, *, known: tuple[KnownPayload, ...]) -> None:
        self._session: Any = open_onnx(verify_file(path, spec), name="The RivaGAN decoder")
        self._known = tuple(payload for payload in known if len(payload.bits) == BITS)

    @property
    def scheme(self) -> str:
        """Name of the scheme."""
        return "invisible-watermark rivaGan"

    def read(self, pixels: RGB8) -> ForeignMark | None:
        """Return the listed payload that the picture carries, or None."""
        if not self._known or max(pixels.shape[:2]) > _MAX_SIDE:
            return None
        frame = pixels[:, :, ::-1].astype(np.float32) / 127.5 - 1  # the original works on BGR
        answer = np.asarray(self._session.run(None, {"frame": frame.transpose(2, 0, 1)[None, :, None]})[0]).reshape(-1)
        if len(answer) != BITS:
            return None
        bits = (answer > _THRESHOLD).astype(np.int64)
        for payload in self._known:
            wrong = int((bits != np.array(payload.bits)).sum())
            if wrong <= _MOST_WRONG:
                chance = log10(len(self._known) * (1 + wrong * BITS)) - BITS * log10(2)
                return ForeignMark(
                    scheme=self.scheme,
                    writer=payload.writer,
                    payload=hex_of(bits.tolist()),
                    bits=BITS,
                    wrong_bits=wrong,
                    log10_chance=round(chance, 2),
                )
        return None
