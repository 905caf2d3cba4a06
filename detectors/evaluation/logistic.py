"""Regularised logistic regression in plain numpy: for the control, for calibration and for linear probes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detectors.evaluation.metrics import Labels, Scores

Matrix = NDArray[np.float32]
"""(N, D) float32."""
CLIP = 6.0
"""Standardised features are cut here: six standard deviations, so that one odd picture cannot decide."""
MAX_STEPS = 400
_TOLERANCE = 1e-5


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearModel:
    """Standardise, cut at CLIP, weigh, add.

    Attributes:
        mean, scale, weights: (D,) float64; ``scale`` is at least 1e-6.
        bias: score when every feature is at its mean.
    """

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    weights: NDArray[np.float64]
    bias: float

    def scores(self, features: Matrix) -> Scores:
        """Return (N,) log-odds."""
        return np.asarray(_standardised(features, self.mean, self.scale) @ self.weights + self.bias, np.float64)


def fit_linear(features: Matrix, labels: Labels, weights: Scores, *, penalty: float) -> LinearModel:
    """Fit by accelerated gradient descent; deterministic.

    Args:
        features: (N, D).
        labels: (N,), both classes present.
        weights: (N,) importance of each picture, any scale.
        penalty: L2 penalty per feature on the mean loss, > 0.

    Source: Nesterov 1983; step 1/L with L from the largest eigenvalue by power iteration.
    """
    share = weights / weights.sum()
    mean = share @ features.astype(np.float64)
    scale = np.maximum(np.sqrt(share @ (features.astype(np.float64) - mean) ** 2), 1e-6)
    inputs = _standardised(features, mean, scale)
    target = labels.astype(np.float64)
    step = 1.0 / (0.25 * _largest_eigenvalue(inputs, share) + penalty + 0.25)
    point = np.zeros(inputs.shape[1] + 1)
    ahead, momentum = point.copy(), 1.0
    for _ in range(MAX_STEPS):
        # float32 vectors on both sides: a float64 one would convert the whole matrix in every step
        logits = inputs @ ahead[:-1].astype(np.float32) + ahead[-1]
        error = share * (_sigmoid(logits) - target)
        gradient = np.append(error.astype(np.float32) @ inputs + penalty * ahead[:-1], error.sum())
        following = ahead - step * gradient
        grown = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
        ahead = following + (momentum - 1) / grown * (following - point)
        moved = float(np.abs(following - point).max())
        point, momentum = following, grown
        if moved < _TOLERANCE:
            break
    return LinearModel(mean=mean, scale=scale, weights=point[:-1], bias=float(point[-1]))


def balanced_weights(labels: Labels, groups: list[str]) -> Scores:
    """Return (N,) weights that give both classes the same sum, and every source group of a class the same share."""
    names = np.asarray(groups)
    weights = np.zeros(len(labels))
    for label in (False, True):
        members = labels == label
        sources = np.unique(names[members])
        for source in sources:
            inside = members & (names == source)
            weights[inside] = 1.0 / (len(sources) * inside.sum())
    return weights


def _standardised(features: Matrix, mean: NDArray[np.float64], scale: NDArray[np.float64]) -> NDArray[np.float32]:
    return np.clip((features - mean) / scale, -CLIP, CLIP).astype(np.float32)


def _sigmoid(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(1 / (1 + np.exp(-np.clip(values, -50, 50))))


def _largest_eigenvalue(inputs: NDArray[np.float32], share: Scores) -> float:
    vector = np.ones(inputs.shape[1], np.float32)
    weights = share.astype(np.float32)
    value = 1.0
    for _ in range(20):
        vector = (weights * (inputs @ vector)) @ inputs
        value = float(np.linalg.norm(vector)) or 1.0
        vector = vector / value
    return value
