"""Which way a picture may have been turned, mirrored, scaled or stretched: hypotheses, best first.

Only *which* lines are lit is used, never a phase, so the false-accept bound is untouched by the search. On a log-polar
map of the spectrum, rotation and scale of the lattice are a plain shift; one FFT correlation tries them all.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from guard.watermark.lattice import R_MAX, R_MIN, Lattice
from guard.watermark.spectrum import BINS, SIZE, Spectrum

SCALE_MIN = 0.45
SCALE_MAX = 3.3
"""Size of the pattern in the picture's canonical frame: 0.45 = on a canvas 2.2 times as wide, 3 = a third is left."""
_LOG_STEP = 0.005
_ANGLES = 600
"""Cells of the log-polar map: 0.5 % of scale, 0.3 degrees."""
_ROWS = int(np.log(R_MAX / R_MIN * SCALE_MAX / SCALE_MIN) / _LOG_STEP)
_REFINEMENTS = ((0.0025, 0.0026), (0.001, 0.001))
"""(relative scale, radians) a step, five steps each way of each: first half a cell, then a fifth."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hypothesis:
    """One geometry: mirrored top to bottom (or not), then turned, then scaled along the picture's sides.

    Attributes:
        flipped: the pattern's v axis is reversed.
        scale: size of the pattern, 1 = as in a picture that was only resized.
        angle: radians, from x to y (clockwise on the screen).
        stretch: width over height of the picture relative to the picture that was marked.
    """

    flipped: bool = False
    scale: float = 1.0
    angle: float = 0.0
    stretch: float = 1.0

    def matrix(self) -> NDArray[np.float64]:
        """Return (2, 2): where line (u, v) lies in the picture's canonical frame, in cycles a tile."""
        cos, sin = np.cos(self.angle) / self.scale, np.sin(self.angle) / self.scale
        handed = -1.0 if self.flipped else 1.0
        root = np.sqrt(self.stretch)
        across = 1.0 / root
        return np.array([[across * cos, -handed * across * sin], [root * sin, handed * root * cos]])


class LatticeSearch:
    """Finds rotation and scale of a lattice in a spectrum; built once for each lattice, immutable."""

    def __init__(self, lattice: Lattice) -> None:
        self._lines = np.concatenate([lattice.lit, lattice.dark]).astype(np.float64)
        self._signs = np.concatenate(
            [np.full(len(lattice.lit), 1 / len(lattice.lit)), np.full(len(lattice.dark), -1 / len(lattice.dark))]
        ).astype(np.float32)
        log_first = np.log(R_MIN / SCALE_MAX)
        rows = cv2.getOptimalDFTSize(_ROWS + int(np.log(R_MAX / R_MIN) / _LOG_STEP))
        template = np.zeros((rows, _ANGLES), np.float32)
        radius, angle = np.hypot(*self._lines.T), np.arctan2(self._lines[:, 1], self._lines[:, 0])
        row = np.rint((np.log(radius) - np.log(R_MIN)) / _LOG_STEP).astype(int)
        column = np.rint(angle / np.pi * _ANGLES).astype(int) % _ANGLES
        np.add.at(template, (row, column), np.sign(self._signs))
        template[template != 0] -= template[template != 0].mean()
        mirrored = np.ascontiguousarray(template[:, -np.arange(_ANGLES) % _ANGLES])
        self._templates = (cv2.dft(template), cv2.dft(mirrored))
        shift = np.arange(rows)
        self._scales = np.exp(-(shift * _LOG_STEP + log_first - np.log(R_MIN)))
        self._allowed = (self._scales >= SCALE_MIN) & (self._scales <= SCALE_MAX)
        self._dft_rows = rows
        radii = BINS * np.exp(log_first + np.arange(_ROWS) * _LOG_STEP)[:, None]
        angles = np.arange(_ANGLES)[None, :] * np.pi / _ANGLES
        angles = np.where(angles > np.pi / 2, angles - np.pi, angles)
        self._map_x = (radii * np.cos(angles)).astype(np.float32)
        self._map_y = (radii * np.sin(angles) + SIZE / 2).astype(np.float32)

    def candidates(self, spectrum: Spectrum, *, count: int) -> list[Hypothesis]:
        """Return ``count`` refined hypotheses of each handedness, most likely first."""
        polar = np.zeros((self._dft_rows, _ANGLES), np.float32)
        polar[:_ROWS] = cv2.remap(spectrum.power, self._map_x, self._map_y, cv2.INTER_LINEAR)
        polar[:_ROWS] -= polar[:_ROWS].mean(axis=1, keepdims=True)
        transformed = cv2.dft(polar, nonzeroRows=_ROWS)
        found: list[tuple[float, Hypothesis]] = []
        for flipped, template in enumerate(self._templates):
            product = cv2.mulSpectrums(transformed, template, 0, conjB=True)
            score = cv2.dft(product, flags=cv2.DFT_INVERSE | cv2.DFT_SCALE)
            score /= score[self._allowed].std() + 1e-12
            score[~self._allowed] = -np.inf
            for _ in range(count):
                row, column = divmod(int(score.argmax()), _ANGLES)
                guess = Hypothesis(
                    flipped=bool(flipped), scale=float(self._scales[row]), angle=column * np.pi / _ANGLES
                )
                found.append((float(score[row, column]), guess))
                near = np.arange(column - 2, column + 3) % _ANGLES
                score[max(0, row - 2) : row + 3, near] = -np.inf
        found.sort(key=lambda item: -item[0])
        return [self._refined(spectrum, guess) for _, guess in found]

    def _refined(self, spectrum: Spectrum, guess: Hypothesis) -> Hypothesis:
        """Return the neighbour on two ever finer grids whose lit lines outshine its dark lines most."""
        steps = np.arange(-2, 3)
        for scale_step, angle_step in _REFINEMENTS:
            options = [
                Hypothesis(
                    flipped=guess.flipped,
                    scale=guess.scale * (1 + float(i) * scale_step),
                    angle=guess.angle + float(j) * angle_step,
                )
                for i in steps
                for j in steps
            ]
            guess = options[int(self._contrast(spectrum, options).argmax())]
        return guess

    def _contrast(self, spectrum: Spectrum, options: list[Hypothesis]) -> NDArray[np.float32]:
        """Return (len(options),) mean power on lit lines less that on dark lines."""
        matrices = np.stack([option.matrix() for option in options])
        places = (matrices.reshape(-1, 2) @ self._lines.T).reshape(len(options), 2, -1) * BINS
        x, y = places[:, 0] * spectrum.pitch_x, places[:, 1] * spectrum.pitch_y
        sign = np.where(x < 0, -1.0, 1.0)
        power = cv2.remap(
            spectrum.power,
            (x * sign).astype(np.float32),
            (y * sign + SIZE / 2).astype(np.float32),
            cv2.INTER_LINEAR,
        )
        return np.asarray(power @ self._signs, dtype=np.float32)
