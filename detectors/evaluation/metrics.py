"""Figures of the protocol: pure functions over scores, labels and groups. Higher scores mean "generated"."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Scores: TypeAlias = NDArray[np.float64]
"""(N,) float64, finite."""
Labels: TypeAlias = NDArray[np.bool_]
"""(N,) bool, True for generated."""

BOOTSTRAP_ROUNDS = 300
INTERVAL = (0.025, 0.975)
"""Two-sided 95 % interval."""
RELIABILITY_BINS = 10


def auc(labels: Labels, scores: Scores) -> float:
    """Return the area under the ROC curve: P(generated scores above real), ties counting half; NaN without both."""
    positive, negative = scores[labels], scores[~labels]
    if not len(positive) or not len(negative):
        return math.nan
    ordered = np.sort(negative)
    below = np.searchsorted(ordered, positive, "left")
    at_most = np.searchsorted(ordered, positive, "right")
    return float((below + at_most).sum() / (2 * len(positive) * len(negative)))


def threshold_at(labels: Labels, scores: Scores, false_positive_rate: float) -> float:
    """Return the smallest threshold that at most this share of real pictures exceeds; +inf without real pictures.

    Scores must be strictly greater than the threshold to count as generated.
    """
    real = np.sort(scores[~labels])
    if not len(real):
        return math.inf
    allowed = math.floor(false_positive_rate * len(real))
    return float(real[len(real) - 1 - allowed])


def rate_above(scores: Scores, threshold: float) -> float:
    """Return the share of scores above a threshold; NaN without scores."""
    return float((scores > threshold).mean()) if len(scores) else math.nan


def cllr(labels: Labels, llr_nats: Scores) -> float:
    """Return the log-likelihood-ratio cost in bits: 0 is perfect, 1 is what "no opinion" costs.

    Source: Brummer and du Preez 2006, equation 3 (Application-independent evaluation of speaker detection).
    """
    positive, negative = llr_nats[labels], llr_nats[~labels]
    if not len(positive) or not len(negative):
        return math.nan
    cost = np.logaddexp(0, -positive).mean() + np.logaddexp(0, negative).mean()
    return float(cost / (2 * math.log(2)))


def roc(labels: Labels, scores: Scores) -> tuple[Scores, Scores]:
    """Return false and true positive rates of every threshold, both from 0 to 1 and increasing."""
    order = np.argsort(-scores, kind="stable")
    hits, ranked = labels[order], scores[order]
    last_of_ties = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)
    true = np.cumsum(hits)[last_of_ties] / max(1, int(labels.sum()))
    false = np.cumsum(~hits)[last_of_ties] / max(1, int((~labels).sum()))
    return np.concatenate([[0.0], false]), np.concatenate([[0.0], true])


@dataclass(frozen=True, slots=True, kw_only=True)
class ReliabilityBin:
    """Pictures whose predicted probability (even prior) falls into one bin."""

    predicted: float
    observed: float
    pictures: int


def reliability(labels: Labels, llr_nats: Scores) -> tuple[ReliabilityBin, ...]:
    """Return predicted against observed shares of generated pictures, both classes weighted as if equally frequent."""
    predicted = 1 / (1 + np.exp(-np.clip(llr_nats, -50, 50)))
    weights = np.where(labels, 0.5 / max(1, labels.sum()), 0.5 / max(1, (~labels).sum()))
    which = np.minimum((predicted * RELIABILITY_BINS).astype(int), RELIABILITY_BINS - 1)
    found = []
    for index in range(RELIABILITY_BINS):
        inside = which == index
        if inside.any():
            weight = weights[inside]
            found.append(
                ReliabilityBin(
                    predicted=float(np.average(predicted[inside], weights=weight)),
                    observed=float(np.average(labels[inside], weights=weight)),
                    pictures=int(inside.sum()),
                )
            )
    return tuple(found)


def group_bootstrap(
    groups: Sequence[str],
    figure: Callable[[NDArray[np.int64]], float],
    *,
    seed: int,
    rounds: int = BOOTSTRAP_ROUNDS,
) -> tuple[float, float]:
    """Return the 95 % interval of a figure when whole source groups are drawn with replacement.

    Pictures of one source are alike; drawing pictures one by one would give intervals that are far too narrow.

    Args:
        groups: source group of each picture.
        figure: indices -> value; NaN values (a draw with one class only) are left out.
        seed: of the draws.
        rounds: number of draws.
    """
    names, inverse = np.unique(np.asarray(groups), return_inverse=True)
    members = [np.flatnonzero(inverse == index) for index in range(len(names))]
    rng = np.random.default_rng(seed)
    values = []
    for _ in range(rounds):
        drawn = np.concatenate([members[index] for index in rng.integers(len(names), size=len(names))])
        value = figure(drawn)
        if math.isfinite(value):
            values.append(value)
    if not values:
        return (math.nan, math.nan)
    low, high = np.quantile(values, INTERVAL)
    return float(low), float(high)
