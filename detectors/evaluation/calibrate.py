"""Fit calibration mappings and fill cards; shared by the models in the box and by probes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from detectors.calibration.card import Dataset, Mapping, Measured, Source, files_digest
from detectors.evaluation.logistic import Matrix, balanced_weights, fit_linear
from detectors.evaluation.metrics import Labels, Scores, auc, cllr, group_bootstrap, rate_above, threshold_at

PENALTY = 1e-3
LEAST_WEIGHT = 0.01
"""Nats a standard deviation: what a detector keeps that adds nothing on the calibration sources."""
TABLED_NATS = (-2.0, -1.0, 0.0, 0.5, 1.0, 1.5, 2.0, 2.303, 3.0)
"""Ratios whose false-positive rates are written into the card."""
MIN_LISTED = 20
_SEED = 1


def fit_mappings(scores: Matrix, labels: Labels, groups: list[str]) -> list[Mapping]:
    """Return one mapping a column of scores, fitted together, so that the sum of the ratios is calibrated.

    Both classes weigh the same (the mapping holds no prior), and every source within its class. The constant is shared
    out by weight. No ratio exceeds what the number of pictures supports, ln(N) of the rarer class.
    """
    model = fit_linear(scores, labels, balanced_weights(labels, groups), penalty=PENALTY)
    weights = np.maximum(model.weights, LEAST_WEIGHT)
    shares = weights / weights.sum()
    limit = math.log(min(int(labels.sum()), int((~labels).sum())))
    return [
        Mapping(
            slope=float(weight / scale),
            offset=float(share * model.bias - weight * mean / scale),
            lowest=-limit,
            highest=limit,
        )
        for weight, share, mean, scale in zip(weights, shares, model.mean, model.scale, strict=True)
    ]


def false_positive_table(labels: Labels, llr_nats: Scores) -> dict[str, float]:
    """Return the share of real pictures at or above each of TABLED_NATS."""
    real = llr_nats[~labels]
    return {f"{nats:g}": round(float((real >= nats).mean()), 4) for nats in TABLED_NATS}


def measure(
    mode: str,
    labels: Labels,
    llr_nats: Scores,
    groups: Sequence[str],
    generators: Sequence[str | None],
    *,
    thresholds: tuple[float, float],
) -> Measured:
    """Return a card's figures on test pictures.

    Args:
        mode: treatment of the protocol.
        labels: truth of the test pictures.
        llr_nats: their ratios.
        groups: their sources.
        generators: their generators, None for real pictures.
        thresholds: ratios fixed on the calibration pictures at 5 % and 1 % false positives.
    """
    at_5, at_1 = thresholds
    by_source = [
        (rate_above(llr_nats[members], at_5), name)
        for name, members in _members(groups, ~labels)
        if members.sum() >= MIN_LISTED
    ]
    by_generator = [
        (auc(labels[members | ~labels], llr_nats[members | ~labels]), name)
        for name, members in _members(generators, labels)
        if members.sum() >= MIN_LISTED
    ]
    interval = group_bootstrap(groups, lambda drawn: auc(labels[drawn], llr_nats[drawn]), seed=_SEED)
    worst_source = max(by_source, default=(math.nan, ""))
    worst_generator = min(by_generator, default=(math.nan, ""))
    return Measured(
        mode=mode,
        auc=_rounded(auc(labels, llr_nats)),
        auc_interval=(_rounded(interval[0]), _rounded(interval[1])),
        tpr_at_5=_rounded(rate_above(llr_nats[labels], at_5)),
        tpr_at_1=_rounded(rate_above(llr_nats[labels], at_1)),
        fpr_at_5=_rounded(rate_above(llr_nats[~labels], at_5)),
        cllr=_rounded(cllr(labels, llr_nats)),
        worst_real_source=worst_source[1],
        worst_real_fpr=_rounded(worst_source[0]),
        worst_generator=worst_generator[1],
        worst_generator_auc=_rounded(worst_generator[0]),
    )


def frozen_thresholds(labels: Labels, llr_nats: Scores) -> tuple[float, float]:
    """Return the ratios that 5 % and 1 % of these real pictures exceed."""
    return threshold_at(labels, llr_nats, 0.05), threshold_at(labels, llr_nats, 0.01)


def dataset(digests: Sequence[str], labels: Labels, groups: Sequence[str], licences: Sequence[str]) -> Dataset:
    """Return the card's description of some pictures."""
    names = np.asarray(groups)
    licence_of = dict(zip(groups, licences, strict=True))
    sources = tuple(
        Source(
            group=name,
            licence=licence_of[name],
            generated=bool(labels[names == name].any()),
            pictures=int((names == name).sum()),
        )
        for name in sorted(set(groups))
    )
    return Dataset(
        digest=files_digest(list(digests)),
        real=int((~labels).sum()),
        generated=int(labels.sum()),
        sources=sources,
    )


def _members(names: Sequence[str | None], among: Labels) -> list[tuple[str, NDArray[np.bool_]]]:
    table = np.array([name or "" for name in names])
    return [(name, among & (table == name)) for name in sorted(set(table[among].tolist())) if name]


def _rounded(value: float) -> float:
    """Return the value with four digits; 0 where there was nothing to measure (the name beside it is empty)."""
    return round(value, 4) if math.isfinite(value) else 0.0
