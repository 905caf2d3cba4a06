"""Radial power spectra of luma and chroma: generators and resizing shape the fall-off towards high frequencies."""

from __future__ import annotations

from functools import cache
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from detectors.statistical.planes import Features, Plane, Planes, power

_Number = TypeVar("_Number", bound=np.generic)
BINS = 28
"""Rings from zero frequency to the corner (0.707 cycles a pixel)."""
_REFERENCE = slice(3, 8)
"""Rings that serve as the reference level: below the artefacts, above the content."""


def radial_features(planes: Planes) -> Features:
    """Return (3 * BINS,) log-power of luma, blue and red difference by ring, relative to the low rings.

    Source: Durall et al. 2020, section 3 (arXiv 2003.01826). Differs: Hann window, ratio to a reference band, chroma.
    """
    side = planes.luma.shape[0]
    weights = _window(side)
    rings, counts = ring_index(side), ring_sizes(side)
    parts = []
    for plane in (planes.luma, planes.blue, planes.red):
        total = np.bincount(rings.ravel(), power((plane - plane.mean()) * weights).ravel(), BINS)
        level = np.log(total / counts + 1e-3)
        parts.append(level - level[_REFERENCE].mean())
    return np.concatenate(parts).astype(np.float32)


@cache
def _window(side: int) -> Plane:
    """Return the (side, side) Hann window."""
    row = np.hanning(side).astype(np.float32)
    return _fixed(np.outer(row, row))


@cache
def ring_index(side: int) -> NDArray[np.int64]:
    """Return the ring, 0..BINS-1, of every coefficient of a side x side transform."""
    frequencies = np.fft.fftfreq(side)
    radius = np.hypot(frequencies[:, None], frequencies[None])
    return _fixed(np.minimum((radius / 0.7072 * BINS).astype(np.int64), BINS - 1))


@cache
def ring_sizes(side: int) -> NDArray[np.int64]:
    """Return (BINS,) the number of coefficients of every ring."""
    return _fixed(np.bincount(ring_index(side).ravel(), minlength=BINS))


def _fixed(values: NDArray[_Number]) -> NDArray[_Number]:
    """Return an array that is kept and shared, so nobody may write into it; there are seven crop sides at most."""
    values.flags.writeable = False
    return values


def centred_log_spectrum(spectrum: Plane) -> Plane:
    """Return the log-power with zero frequency in the middle, for showing."""
    return np.fft.fftshift(np.log(spectrum + np.float32(1e-3))).astype(np.float32)
