"""The lattice: which spectral lines of a 128-px tile are lit, which of them are pilots, and what each one says.

A tile that repeats over the picture has a line spectrum; the key lights half of the lines between radius 6 and 32
(cycles a tile). *Which* lines are lit shows rotation, scale and mirroring; the phases of the *pilots* (known) show the
shift and carry the false-accept bound; the phases of the rest carry the coded word, two chips a line.

The tile is 128 px of the *canonical frame*: the picture scaled to an area of 512 x 512 px, origin at its centre. So the
mark scales with the picture, and resizing, central cropping, mirroring and turning leave the pattern centred.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from guard.watermark.convolutional import RATE, TailBitingCode
from guard.watermark.key_schedule import KeyName, KeySchedule, KeyStream
from guard.watermark.payload import WORD_BITS, Bits

CANONICAL_SIDE = 512
"""Side of the canonical frame, in px; every size below is in these px. Measured: docs/watermark.md, "Choices"."""
TILE = 128
R_MIN = 6
R_MAX = 32
"""Radii of the lines in cycles a tile: 0.047 to 0.25 cycles per canonical px."""
GRID = 34
"""Lines are read for |u|, |v| <= GRID, two beyond R_MAX, so that local noise estimates have neighbours."""
RING = 2
"""Width of the rings within which lines and pilots are drawn, so that every radius gets its share."""
LIT_SHARE = 0.5
LOW_BAND_RADIUS = 14.0
PILOT_SHARE_LOW = 0.30
PILOT_SHARE_HIGH = 0.17
"""Share of pilots inside and outside LOW_BAND_RADIUS; small or much reduced pictures keep the inside only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lattice:
    """The lines of one master secret, sorted by radius.

    Attributes:
        lit: (n, 2) int, (u, v) cycles a tile along x and y; u > 0, or u = 0 and v > 0.
        dark: (m, 2) int, the unlit lines of the same annulus: they show the noise.
        radius: (n,) float, of the lit lines.
        pilots, data: indices into ``lit``.
    """

    lit: NDArray[np.int64] = field(repr=False)
    dark: NDArray[np.int64] = field(repr=False)
    radius: NDArray[np.float64] = field(repr=False)
    pilots: NDArray[np.int64] = field(repr=False)
    data: NDArray[np.int64] = field(repr=False)

    @classmethod
    def draw(cls, stream: KeyStream) -> Lattice:
        """Draw lit lines and pilots, ring by ring, from a key stream.

        All order and membership is decided on squared integer radii: the last bit of a square root, which differs
        between platforms, must not decide where a chip lies.
        """
        side = np.arange(-R_MAX, R_MAX + 1)
        v, u = (axis.reshape(-1) for axis in np.meshgrid(side, side[side >= 0], indexing="ij"))
        square = u**2 + v**2
        plane = np.stack([u, v], axis=1)[(square >= R_MIN**2) & (square <= R_MAX**2) & ((u > 0) | (v > 0))]
        edges = np.arange(R_MIN + RING, R_MAX, RING) ** 2
        ring = np.searchsorted(edges, (plane**2).sum(axis=1), side="right")
        lit, dark, is_pilot = [], [], []
        for index in range(len(edges) + 1):
            members = plane[ring == index]
            members = members[stream.permutation(len(members))]
            count = round(len(members) * LIT_SHARE)
            share = PILOT_SHARE_LOW if R_MIN + index * RING < LOW_BAND_RADIUS else PILOT_SHARE_HIGH
            lit.append(members[:count])
            dark.append(members[count:])
            is_pilot.append(np.arange(count) < round(count * share))
        lines, pilot = np.concatenate(lit), np.concatenate(is_pilot)
        square = (lines**2).sum(axis=1)
        order = np.lexsort((lines[:, 1], lines[:, 0], square))
        return cls(
            lit=lines[order],
            dark=np.concatenate(dark),
            radius=np.sqrt(square[order]),
            pilots=np.flatnonzero(pilot[order]),
            data=np.flatnonzero(~pilot[order]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ChipKey:
    """What the lines of a lattice say under one tenant's period key.

    Attributes:
        pilots: (len(lattice.pilots),) complex64, unit, uniform in {1, i, -1, -i} * exp(i pi/4).
        coded_bit: (2 * len(lattice.data),) which of the 352 coded bits a chip repeats.
        sign: same length, +1 or -1.
        pad: (88,) bits that mask the word.
    """

    name: KeyName
    pilots: NDArray[np.complex64] = field(repr=False)
    coded_bit: NDArray[np.int64] = field(repr=False)
    sign: NDArray[np.float32] = field(repr=False)
    pad: Bits = field(repr=False)

    @classmethod
    def derive(cls, schedule: KeySchedule, name: KeyName, lattice: Lattice) -> ChipKey:
        """Derive one key of the pool; chips go by radius, and each run of 352 covers every coded bit once."""
        stream = schedule.chip_stream(name)
        coded, chips = RATE * WORD_BITS, 2 * len(lattice.data)
        runs = [stream.permutation(coded) for _ in range(-(-chips // coded))]
        quadrant = stream.quadrants(len(lattice.pilots))
        return cls(
            name=name,
            pilots=np.exp(0.5j * np.pi * (quadrant + 0.5)).astype(np.complex64),
            coded_bit=np.concatenate(runs)[:chips],
            sign=(1.0 - 2.0 * stream.bits(chips)).astype(np.float32),
            pad=stream.bits(WORD_BITS),
        )

    def lines_of(self, word: Bits, lattice: Lattice, code: TailBitingCode) -> NDArray[np.complex64]:
        """Return the (n,) unit complex values of all lit lines for a masked word."""
        chips = code.encode(word)[self.coded_bit] * self.sign
        lines = np.empty(len(lattice.lit), np.complex64)
        lines[lattice.pilots] = self.pilots
        lines[lattice.data] = (chips[0::2] + 1j * chips[1::2]) / np.sqrt(2.0)
        return lines

    def soft_bits(self, values: NDArray[np.complex64]) -> NDArray[np.float32]:
        """Return (352,) soft coded bits from the (len(data),) complex values of the data lines, weighted by trust."""
        chips = np.empty(2 * len(values), np.float32)
        chips[0::2], chips[1::2] = values.real, values.imag
        return np.bincount(self.coded_bit, chips * self.sign, RATE * WORD_BITS).astype(np.float32)
