"""The pilot statistic, its proven false-accept bound, and the search for the shift.

Theorem (docs/watermark.md). Let the values F_k on the pilot lines be anything that does not depend on the pilot phases
p_k. With p_k independent and uniform in {1, i, -1, -i} (times a common phase), ::

    z = sum Re(F_k conj p_k) / sqrt(sum |F_k|**2 / 2)    has    P(z > t) <= exp(-t**2 / 2)    for every picture.

Everything before the statistic (whitening, geometry search, weights by radius) sees the picture and the *set* of lit
lines only, never a pilot phase, so the theorem applies to each trial; a union bound covers all trials of all keys.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from guard.watermark.canonical import LineGrid
from guard.watermark.lattice import GRID, R_MIN, TILE, ChipKey, Lattice
from guard.watermark.payload import CRC_BITS

MAX_LOG10_FALSE_ACCEPT: Final = -9.0
"""A mark is accepted only when its CRC matches and the joint bound over all trials and keys is at most 1e-9."""
SHIFT_GRID = 256
"""Shifts are tried at half a canonical px: at radius 32 the worst rounding turns a line by 0.39 rad."""
NEARBY_SHIFTS = 5
_NOISE_NEAR = 5
_NOISE_FAR = 11
_NOISE_FAR_SHARE = 0.1
_LIMIT = 0.5
"""Soft limiter |F| / (|F| + 0.5): a line that the host picture owns cannot shout. Measured: docs/watermark.md."""
_RADIUS_WINDOW = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LineValues:
    """What a picture says on the lit lines under one hypothesis of geometry.

    Attributes:
        lit: (n,) complex64, limited and weighted by the strength seen at each radius; order of ``Lattice.lit``.
    """

    lit: NDArray[np.complex64] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShiftPeak:
    """The best shift of one hypothesis: statistic, shift in canonical px, and whether the picture is upside down."""

    z: float
    dx: float
    dy: float
    half_turn: bool


class LineReader:
    """Turns a grid of Fourier values into whitened values of the lit lines; one for each lattice, immutable."""

    def __init__(self, lattice: Lattice) -> None:
        self._row, self._column = lattice.lit[:, 1] + GRID, lattice.lit[:, 0]
        dark = np.zeros((2 * GRID + 1, 2 * GRID + 1), np.float32)
        for sign in (1, -1):
            dark[sign * lattice.dark[:, 1] + GRID, sign * lattice.dark[:, 0] + GRID] = 1.0
        self._dark = dark
        self._share = np.maximum(_around(dark), 1e-6)
        distance = lattice.radius[:, None] - np.arange(R_MIN, lattice.radius.max() + 1.0)[None, :]
        self._kernel = np.exp(-0.5 * (distance / _RADIUS_WINDOW) ** 2).astype(np.float32)  # (n, radii)
        self._kernel_sum = self._kernel.sum(axis=0)
        self._radii = np.arange(R_MIN, lattice.radius.max() + 1.0)
        self._lit_radius = lattice.radius

    def read(self, grid: LineGrid) -> LineValues:
        """Return the limited values of the lit lines.

        The noise at a line is the mean power of the unlit lines around it; the weight of a radius is the square root of
        the power that lit lines have in excess of it. Both use magnitudes only, as the theorem demands.
        """
        half = grid.real**2 + grid.imag**2
        power = np.concatenate([half[::-1, :0:-1], half], axis=1)  # Hermitian: F(-u, -v) = conj F(u, v)
        noise = _around(power * self._dark) / self._share
        scale = np.sqrt(noise[self._row, self._column + GRID]) + 1e-12
        values = grid[self._row, self._column] / scale
        magnitude = np.abs(values)
        limited = values / (magnitude + _LIMIT)
        excess = self._kernel.T @ np.minimum(magnitude**2, 9.0) / self._kernel_sum - 1.0
        weight = np.sqrt(np.maximum(np.interp(self._lit_radius, self._radii, excess), 0.02))
        return LineValues(lit=(limited * weight).astype(np.complex64))


def _around(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a mean of each place's surroundings: the near ones, and a little of the far where near ones lack."""
    near = cv2.blur(values, (_NOISE_NEAR, _NOISE_NEAR), borderType=cv2.BORDER_CONSTANT)
    far = cv2.blur(values, (_NOISE_FAR, _NOISE_FAR), borderType=cv2.BORDER_CONSTANT)
    return np.asarray(near + _NOISE_FAR_SHARE * far, dtype=np.float32)


def centred_z(values: LineValues, lattice: Lattice, key: ChipKey) -> tuple[float, float]:
    """Return z of the unshifted pattern: upright, and turned by 180 degrees."""
    pilots = values.lit[lattice.pilots]
    scale = float(np.sqrt((np.abs(pilots) ** 2).sum() / 2)) + 1e-12
    upright = float((pilots * key.pilots.conj()).real.sum()) / scale
    turned = float((pilots.conj() * key.pilots.conj()).real.sum()) / scale
    return upright, turned


def best_shift(values: LineValues, lattice: Lattice, key: ChipKey) -> ShiftPeak:
    """Return the largest z over SHIFT_GRID**2 cyclic shifts of the tile and both half-turns."""
    lines = lattice.lit[lattice.pilots]
    pilots = values.lit[lattice.pilots]
    scale = float(np.sqrt((np.abs(pilots) ** 2).sum() / 2)) + 1e-12
    upright, turned = pilots * key.pilots.conj(), pilots.conj() * key.pilots.conj()
    # only real parts are wanted, so one complex transform gives both: Hermitian parts of the one, i times the other
    plane = np.zeros((SHIFT_GRID, SHIFT_GRID), np.complex64)
    plane[lines[:, 1] % SHIFT_GRID, lines[:, 0]] = (upright + 1j * turned) / 2
    plane[-lines[:, 1] % SHIFT_GRID, -lines[:, 0] % SHIFT_GRID] += (upright.conj() + 1j * turned.conj()) / 2
    maps = cv2.dft(plane.view(np.float32).reshape(SHIFT_GRID, SHIFT_GRID, 2), flags=cv2.DFT_INVERSE)
    best = ShiftPeak(z=-1.0, dx=0.0, dy=0.0, half_turn=False)
    for half_turn in (False, True):
        real = maps[..., int(half_turn)]
        index = int(real.argmax())
        z = float(real[divmod(index, SHIFT_GRID)]) / scale
        if z > best.z:
            step = TILE / SHIFT_GRID
            row, column = divmod(index, SHIFT_GRID)
            best = ShiftPeak(z=z, dx=column * step, dy=row * step, half_turn=half_turn)
    return best


def unshifted(values: LineValues, lattice: Lattice, peak: ShiftPeak) -> NDArray[np.complex64]:
    """Return the lit lines with shift and half-turn undone, so that their phases are those that were embedded."""
    lit = values.lit.conj() if peak.half_turn else values.lit
    turn = 2j * np.pi * (lattice.lit[:, 0] * peak.dx + lattice.lit[:, 1] * peak.dy) / TILE
    return (lit * np.exp(turn)).astype(np.complex64)


def log10_bound(z: float, *, trials: float, with_crc: bool) -> float:
    """Return log10 of the union bound on P(some trial reaches z), at most 0.

    Args:
        z: largest pilot statistic.
        trials: trials of all keys, divided by the share of the error that the stage may spend.
        with_crc: multiply by 2**-24, the probability that the CRC of a false word passes.
    """
    bound = float(np.log10(trials)) - max(z, 0.0) ** 2 / 2 / float(np.log(10))
    return min(0.0, bound - (CRC_BITS * float(np.log10(2)) if with_crc else 0.0))


def best_nearby(values: LineValues, lattice: Lattice, key: ChipKey, peak: ShiftPeak) -> ShiftPeak:
    """Return the largest z over NEARBY_SHIFTS**2 shifts within one canonical px of a peak, the same way up."""
    lines = lattice.lit[lattice.pilots]
    pilots = values.lit[lattice.pilots]
    scale = float(np.sqrt((np.abs(pilots) ** 2).sum() / 2)) + 1e-12
    turned = (pilots.conj() if peak.half_turn else pilots) * key.pilots.conj()
    offsets = np.linspace(-1.0, 1.0, NEARBY_SHIFTS)
    across = np.exp(2j * np.pi / TILE * lines[:, 0] * (peak.dx + offsets)[:, None])
    down = np.exp(2j * np.pi / TILE * lines[:, 1] * (peak.dy + offsets)[:, None])
    score = ((down * turned) @ across.T).real / scale
    row, column = divmod(int(score.argmax()), NEARBY_SHIFTS)
    return ShiftPeak(
        z=float(score[row, column]),
        dx=peak.dx + float(offsets[column]),
        dy=peak.dy + float(offsets[row]),
        half_turn=peak.half_turn,
    )
