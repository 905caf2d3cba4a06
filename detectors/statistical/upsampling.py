"""Traces of up-sampling: spectral peaks at 1/2, 1/4, 1/8, 1/16, periodic autocorrelation, 2x2 neighbour relations."""

from __future__ import annotations

import cv2
import numpy as np

from detectors.statistical.planes import Features, Plane, Planes, log_power

PERIODS = (2, 4, 8, 16)
"""Pixel periods that decoders with factor-2 stages leave. Source: Odena et al. 2016; Corvi et al. 2023, section 4."""
_LAGS = 16
_DIAGONAL_LAGS = 8


def grid_peaks(planes: Planes) -> Features:
    """Return (20,) heights (nats above the local mean) of the residual spectrum on the lines of each period."""
    level = log_power(planes.spectrum)
    height = level - _local_mean(level)
    side = level.shape[0]
    found = []
    for period in PERIODS:
        step = side // period
        lines = np.arange(1, period) * step
        axis = np.concatenate([height[0, lines], height[lines, 0]])
        rows, columns = np.meshgrid(lines, lines, indexing="ij")
        inner = (period <= 4) | (rows % (2 * step) != 0) | (columns % (2 * step) != 0)
        cross = height[rows[inner], columns[inner]]
        found += [axis.mean(), axis.max(), cross.mean(), cross.max()]
    found += [(height[0, k * side // 8] + height[k * side // 8, 0]) / 2 for k in range(1, 5)]
    return np.array(found, np.float32)


def _local_mean(level: Plane) -> Plane:
    wrapped = cv2.copyMakeBorder(level, 4, 4, 4, 4, cv2.BORDER_WRAP)
    return np.asarray(cv2.blur(wrapped, (9, 9))[4:-4, 4:-4], np.float32)


def autocorrelation(planes: Planes) -> Features:
    """Return (28,) normalised autocorrelation of the residual: 16 axis lags, 8 diagonal, 4 horizontal-vertical."""
    # Wiener-Khinchin: the inverse transform of the power spectrum
    field = cv2.dft(planes.spectrum, flags=cv2.DFT_INVERSE | cv2.DFT_REAL_OUTPUT | cv2.DFT_SCALE)
    field = field / max(float(field[0, 0]), 1e-6)
    lags = np.arange(1, _LAGS + 1)
    diagonal = np.arange(1, _DIAGONAL_LAGS + 1)
    uneven = np.array([1, 2, 4, 8])
    return np.concatenate(
        [
            (field[0, lags] + field[lags, 0]) / 2,
            (field[diagonal, diagonal] + field[diagonal, -diagonal]) / 2,
            field[uneven, 0] - field[0, uneven],
        ]
    ).astype(np.float32)


def neighbour_relations(planes: Planes) -> Features:
    """Return (6,) differences inside 2x2 cells, averaged over the four phases, and their spread over the phases.

    Source: Tan et al. 2024, "Rethinking up-sampling" (NPR), section 3. Differs: summary statistics, no network.
    """
    luma = planes.luma
    found = []
    for dy in (0, 1):
        for dx in (0, 1):
            part = luma[dy:, dx:]
            part = part[: part.shape[0] // 2 * 2, : part.shape[1] // 2 * 2]
            first = part[::2, ::2]
            gaps = np.abs(np.stack([part[::2, 1::2] - first, part[1::2, ::2] - first, part[1::2, 1::2] - first]))
            found.append([np.minimum(gaps, 8).mean(), (gaps < 0.5).mean(), (gaps < 2).mean()])
    table = np.array(found, np.float32)
    return np.concatenate([table.mean(axis=0), table.max(axis=0) - table.min(axis=0)])


def upsampling_features(planes: Planes) -> Features:
    """Return (54,) grid peaks, autocorrelation and neighbour relations."""
    return np.concatenate([grid_peaks(planes), autocorrelation(planes), neighbour_relations(planes)])
