"""Energies in 8x8 transforms and the traces of an 8-pixel grid: compression, and decoders that work in blocks of 8."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from detectors.statistical.noise import BLOCK, blocks
from detectors.statistical.planes import Features, Planes

_SMALL = 0.5
"""Coefficients below half a grey level count as zero."""


@cache
def _transform() -> NDArray[np.float32]:
    """Return the orthonormal 8x8 DCT-II as a (64, 64) matrix on flattened blocks (ISO/IEC 10918-1 A.3.3)."""
    n = np.arange(BLOCK)
    basis = np.sqrt(2 / BLOCK) * np.cos(np.pi * (2 * n[None] + 1) * n[:, None] / (2 * BLOCK))
    basis[0] /= np.sqrt(2)
    matrix = np.kron(basis, basis).astype(np.float32)
    matrix.flags.writeable = False
    return matrix


def transform_energies(planes: Planes) -> Features:
    """Return (70,) mean magnitudes and shares of zeros by frequency, averaged over transposition, without DC."""
    coefficients = np.abs((blocks(planes.luma) - 128) @ _transform().T)
    magnitude = np.log(coefficients.mean(axis=0) + 1e-2).reshape(BLOCK, BLOCK)
    zeros = (coefficients < _SMALL).mean(axis=0).reshape(BLOCK, BLOCK)
    upper = np.triu_indices(BLOCK)
    energy = ((magnitude + magnitude.T) / 2)[upper][1:] - magnitude[0, 1]
    return np.concatenate([energy, ((zeros + zeros.T) / 2)[upper][1:]]).astype(np.float32)


def phase_features(planes: Planes) -> Features:
    """Return (15,) how unevenly the residual is spread over the 8x8 positions, whatever the grid's offset."""
    strength = np.minimum(np.abs(planes.kv), 6)
    phase = blocks(strength).mean(axis=0).reshape(BLOCK, BLOCK)
    phase = phase / (phase.mean() + 1e-6)
    lines = np.abs(np.fft.fft2(phase)) / (BLOCK * BLOCK)
    ordered = np.sort(np.concatenate([lines[0, 1:5], lines[1:5, 0]]))
    single = [lines[4, 4], lines[2, 2], lines[0, 4], lines[4, 0], lines[0, 2] + lines[2, 0]]
    return np.array([phase.std(), phase.max() - phase.min(), *ordered, *single], np.float32)


def block_features(planes: Planes) -> Features:
    """Return (85,) transform energies and grid phase."""
    return np.concatenate([transform_energies(planes), phase_features(planes)])
