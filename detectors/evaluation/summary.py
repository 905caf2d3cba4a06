"""Rows of the protocol -> figures: overall, by generator, by real source, against what the file alone gives away."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.evaluation.logistic import balanced_weights, fit_linear
from detectors.evaluation.metrics import (
    Labels,
    Scores,
    auc,
    cllr,
    group_bootstrap,
    rate_above,
    reliability,
    roc,
    threshold_at,
)
from detectors.evaluation.protocol import Row

FOLDS = 4
MIN_LISTED = 20
"""Sources and generators with fewer pictures are listed, but are not the "worst" of anything."""
RATES = (0.05, 0.01)
"""False-positive rates at which true-positive rates are given."""
_CONTROL_PENALTY = 1e-3


def summarise(rows: Sequence[Row], *, seed: int) -> dict[str, Any]:
    """Return the figures of every mode, JSON-ready (NaN becomes None)."""
    modes = list(dict.fromkeys(row.mode for row in rows))
    figures = {mode: _mode([row for row in rows if row.mode == mode], seed=seed) for mode in modes}
    gap = None
    if "naive" in figures and "history" in figures:
        gap = figures["naive"]["auc"] - figures["history"]["auc"]
    ready: dict[str, Any] = _json_ready({"seed": seed, "naive_minus_history_auc": gap, "modes": figures})
    return ready


def folds_by_group(labels: Labels, groups: Sequence[str]) -> NDArray[np.int64]:
    """Return (N,) fold 0..FOLDS-1; a source is in one fold, and each class is spread evenly over the folds."""
    names = np.asarray(groups)
    fold = np.zeros(len(labels), np.int64)
    for label in (False, True):
        sizes = Counter(names[labels == label].tolist())
        load = np.zeros(FOLDS)
        for name, count in sorted(sizes.items(), key=lambda item: (-item[1], item[0])):
            target = int(load.argmin())
            load[target] += count
            fold[(labels == label) & (names == name)] = target
    return fold


def crossed_thresholds(labels: Labels, scores: Scores, fold: NDArray[np.int64], rate: float) -> Scores:
    """Return (N,) the threshold for each picture, fixed on the real pictures of all other folds."""
    found = np.full(len(scores), math.inf)
    for index in np.unique(fold):
        found[fold == index] = threshold_at(labels[fold != index], scores[fold != index], rate)
    return found


def _mode(rows: Sequence[Row], *, seed: int) -> dict[str, Any]:
    judged = [row for row in rows if row.llr_nats is not None]
    labels = np.array([row.generated for row in judged], bool)
    scores = np.array([row.llr_nats for row in judged], np.float64)
    groups = [row.group for row in judged]
    fold = folds_by_group(labels, groups)
    result: dict[str, Any] = {
        "real": int((~labels).sum()),
        "generated": int(labels.sum()),
        "skipped": dict(Counter(row.reason for row in rows if row.llr_nats is None)),
    }
    if not labels.any() or labels.all():
        return {**result, "auc": math.nan}
    thresholds = {rate: crossed_thresholds(labels, scores, fold, rate) for rate in RATES}
    false, true = roc(labels, scores)
    at = np.unique(np.linspace(0, len(false) - 1, 200).astype(int))
    result |= {
        "auc": auc(labels, scores),
        "auc_interval": group_bootstrap(groups, lambda i: auc(labels[i], scores[i]), seed=seed),
        "cllr": cllr(labels, scores),
        "reliability": [
            {"predicted": b.predicted, "observed": b.observed, "pictures": b.pictures}
            for b in reliability(labels, scores)
        ],
        "roc": {"false_positive_rate": false[at].tolist(), "true_positive_rate": true[at].tolist()},
        "generators": _by_generator(judged, labels, scores, thresholds),
        "real_sources": _by_source(judged, labels, scores, thresholds),
        "control": _control(judged, labels, groups, fold, scores, seed=seed),
    }
    for rate, limit in thresholds.items():
        above = scores > limit
        name = f"{rate:g}"
        result[f"tpr_at_{name}"] = float(above[labels].mean())
        result[f"fpr_at_{name}"] = float(above[~labels].mean())
        result[f"tpr_at_{name}_interval"] = _interval_of_hits(labels, above, groups, seed=seed)
    return {**result, **_worst(result)}


def _interval_of_hits(labels: Labels, above: Labels, groups: Sequence[str], *, seed: int) -> tuple[float, float]:
    def hits(drawn: NDArray[np.int64]) -> float:
        generated = above[drawn][labels[drawn]]
        return float(generated.mean()) if len(generated) else math.nan

    return group_bootstrap(groups, hits, seed=seed)


def _by_generator(
    rows: Sequence[Row], labels: Labels, scores: Scores, thresholds: dict[float, Scores]
) -> list[dict[str, Any]]:
    names = np.array([row.generator or "" for row in rows])
    found = []
    for name in sorted(set(names[labels].tolist())):
        members = labels & (names == name)
        compared = members | ~labels
        found.append(
            {
                "generator": name,
                "pictures": int(members.sum()),
                "auc": auc(labels[compared], scores[compared]),
                **{f"tpr_at_{r:g}": float((scores > t)[members].mean()) for r, t in thresholds.items()},
            }
        )
    return found


def _by_source(
    rows: Sequence[Row], labels: Labels, scores: Scores, thresholds: dict[float, Scores]
) -> list[dict[str, Any]]:
    names = np.array([row.group for row in rows])
    found = []
    for name in sorted(set(names[~labels].tolist())):
        members = ~labels & (names == name)
        found.append(
            {
                "source": name,
                "pictures": int(members.sum()),
                **{f"fpr_at_{r:g}": float((scores > t)[members].mean()) for r, t in thresholds.items()},
            }
        )
    return found


def _worst(result: dict[str, Any]) -> dict[str, Any]:
    listed = [g for g in result["generators"] if g["pictures"] >= MIN_LISTED]
    sources = [s for s in result["real_sources"] if s["pictures"] >= MIN_LISTED]
    return {
        "worst_generator": min(listed, key=lambda g: g["auc"]) if listed else None,
        "worst_real_source": max(sources, key=lambda s: s["fpr_at_0.05"]) if sources else None,
    }


def file_facts(rows: Sequence[Row]) -> NDArray[np.float32]:
    """Return (N, 7) what a file gives away without its pixels: format, size, shape, bytes a pixel."""
    return np.array(
        [
            [
                row.media_type == "image/jpeg",
                row.media_type == "image/png",
                math.log2(max(1, min(row.width, row.height))),
                row.width == row.height,
                row.width % 64 == 0,
                row.height % 64 == 0,
                math.log2((row.bytes + 1) / (row.width * row.height + 1)),
            ]
            for row in rows
        ],
        np.float32,
    )


def _control(
    rows: Sequence[Row], labels: Labels, groups: list[str], fold: NDArray[np.int64], scores: Scores, *, seed: int
) -> dict[str, Any]:
    """Compare with a model that sees the file's facts only, fitted on the other folds; overall and by format."""
    facts = file_facts(rows)
    control = np.zeros(len(rows))
    for index in np.unique(fold):
        outside = fold != index
        if labels[outside].any() and not labels[outside].all():
            weights = balanced_weights(labels[outside], [g for g, o in zip(groups, outside, strict=True) if o])
            model = fit_linear(facts[outside], labels[outside], weights, penalty=_CONTROL_PENALTY)
            control[~outside] = model.scores(facts[~outside])
    formats = np.array([row.media_type for row in rows])
    strata = [
        {"format": name, **_stratum(labels, scores, control, groups, np.flatnonzero(formats == name), seed=seed)}
        for name in sorted(set(formats.tolist()))
    ]
    return {"file_facts_auc": auc(labels, control), "formats": strata}


def _stratum(
    labels: Labels, scores: Scores, control: Scores, groups: list[str], inside: NDArray[np.int64], *, seed: int
) -> dict[str, Any]:
    """Return pixels against file facts among the pictures of one format, with the interval of the difference."""
    truth, pixels, facts = labels[inside], scores[inside], control[inside]

    def advantage(drawn: NDArray[np.int64]) -> float:
        return auc(truth[drawn], pixels[drawn]) - auc(truth[drawn], facts[drawn])

    names = [groups[index] for index in inside]
    return {
        "real": int((~truth).sum()),
        "generated": int(truth.sum()),
        "real_sources": len({name for name, generated in zip(names, truth, strict=True) if not generated}),
        "generated_sources": len({name for name, generated in zip(names, truth, strict=True) if generated}),
        "auc": auc(truth, pixels),
        "file_facts_auc": auc(truth, facts),
        "advantage": advantage(np.arange(len(inside))),
        "advantage_interval": group_bootstrap(names, advantage, seed=seed),
    }


def _json_ready(value: Any) -> Any:
    """Return the value with NaN and infinities as None, tuples as lists."""
    if isinstance(value, dict):
        return {key: _json_ready(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_json_ready(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def rate_at(rows: Sequence[Row], llr_nats: float) -> tuple[float, float]:
    """Return (false, true) positive rates of rows at a ratio fixed beforehand, e.g. the policy's threshold."""
    real = np.array([r.llr_nats for r in rows if r.llr_nats is not None and not r.generated], np.float64)
    generated = np.array([r.llr_nats for r in rows if r.llr_nats is not None and r.generated], np.float64)
    return rate_above(real, llr_nats), rate_above(generated, llr_nats)
