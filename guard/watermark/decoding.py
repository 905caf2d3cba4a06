"""From line values at a known geometry to the id: gains from the pilots, soft chips, Viterbi, CRC."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from guard.records import ImageID
from guard.watermark.convolutional import TailBitingCode
from guard.watermark.lattice import ChipKey, Lattice
from guard.watermark.payload import id_of

_RADIUS_WINDOW = 4.0
_LEAST_GAIN = 0.02


class WordDecoder:
    """Decodes the data lines of one lattice; immutable."""

    def __init__(self, lattice: Lattice, code: TailBitingCode) -> None:
        self._lattice = lattice
        self._code = code
        data, pilots = lattice.radius[lattice.data], lattice.radius[lattice.pilots]
        kernel = np.exp(-0.5 * ((data[:, None] - pilots[None, :]) / _RADIUS_WINDOW) ** 2)
        self._kernel = (kernel / kernel.sum(axis=1, keepdims=True)).astype(np.float32)

    def decode(self, lines: NDArray[np.complex64], key: ChipKey) -> ImageID | None:
        """Return the id, or None when the CRC of the most likely word does not match.

        Args:
            lines: (n,) complex64 values of the lit lines with shift and half-turn undone.
            key: whose chips to expect.
        """
        agreement = (lines[self._lattice.pilots] * key.pilots.conj()).real
        gain = np.maximum(self._kernel @ agreement, _LEAST_GAIN)
        soft = key.soft_bits((lines[self._lattice.data] * gain).astype(np.complex64))
        return id_of(self._code.decode(soft), key.pad)
