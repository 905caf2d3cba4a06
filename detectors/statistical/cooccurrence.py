"""Co-occurrences of quantised residuals: which fine patterns follow one another, in luma and in colour."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from detectors.statistical.planes import Features, Plane, Planes

TRUNCATION = 2
"""Residuals are cut to -2..2 steps: five symbols."""
_SYMBOLS = 2 * TRUNCATION + 1
LUMA_STEP = 2.0
COLOUR_STEP = 1.5


@cache
def pattern_classes() -> NDArray[np.int64]:
    """Return (625,) the class of each pattern of four symbols: reversal and negation make no difference."""
    index = np.arange(_SYMBOLS**4).reshape((_SYMBOLS,) * 4)
    smallest = np.minimum(index, index.transpose(3, 2, 1, 0))
    smallest = np.minimum(smallest, smallest[::-1, ::-1, ::-1, ::-1])
    classes = np.unique(smallest.ravel(), return_inverse=True)[1].astype(np.int64)
    classes.flags.writeable = False
    return classes


def pattern_shares(residual: Plane, step: float) -> Features:
    """Return the log-share of every pattern class, rows and columns together.

    Source: Fridrich and Kodovsky 2012, "Rich models for steganalysis", section II-C (order 4, T = 2, symmetrised).
    """
    symbols = (np.clip(np.rint(residual / step), -TRUNCATION, TRUNCATION) + TRUNCATION).astype(np.int32)
    counts = np.zeros(_SYMBOLS**4, np.int64)
    for field in (symbols, symbols.T):
        code = (
            (field[:, :-3] * _SYMBOLS + field[:, 1:-2]) * _SYMBOLS**2 + field[:, 2:-1] * _SYMBOLS + field[:, 3:]
        )  # fmt: skip
        counts += np.bincount(code.ravel(), minlength=_SYMBOLS**4)
    shares = np.bincount(pattern_classes(), counts)
    return np.asarray(np.log(shares / counts.sum() * 1e4 + 1), np.float32)


def cooccurrence_features(planes: Planes) -> Features:
    """Return pattern shares of luma (fixed step), luma (step of its own noise) and colour differences."""
    own = max(float(np.median(np.abs(planes.kv))) + 0.15, 0.3)
    colour = planes.blue[:, 1:] - planes.blue[:, :-1]
    return np.concatenate(
        [
            pattern_shares(planes.kv, LUMA_STEP),
            pattern_shares(planes.kv, own),
            pattern_shares(colour, COLOUR_STEP),
        ]
    )
