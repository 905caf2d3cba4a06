"""Figures for the model card: AUROC, recall at a false-positive rate, over-refusal, with intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from sklearn.metrics import roc_auc_score

from training.prompts.data import (
    JOINED_WEIGHT,
    MADE_WEIGHT,
    NATURAL_BENIGN,
    TEXT_LABELLED,
    TEXT_TO_IMAGE_RISKY,
    UNREAD,
    Row,
)


def wilson(hits: int, total: int, z: float = 1.96) -> tuple[float, float]:
    """Return the Wilson 95 % interval of a share. Source: Wilson 1927; Brown, Cai, DasGupta 2001, section 3.1.1."""
    if total == 0:
        return 0.0, 1.0
    share = hits / total
    centre = share + z * z / (2 * total)
    half = z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    return (centre - half) / (1 + z * z / total), (centre + half) / (1 + z * z / total)


def auroc_interval(positive: np.ndarray, negative: np.ndarray, *, seed: int, draws: int = 200) -> tuple[float, float]:
    """Return a 95 % percentile bootstrap interval of the AUROC, resampling both classes."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(draws):
        p, n = rng.choice(positive, len(positive)), rng.choice(negative, len(negative))
        found.append(_auroc(p, n))
    low, high = np.quantile(found, [0.025, 0.975])
    return float(low), float(high)


def _auroc(positive: np.ndarray, negative: np.ndarray) -> float:
    """Return the AUROC of two score samples."""
    labels = np.r_[np.ones(len(positive)), np.zeros(len(negative))]
    return float(roc_auc_score(labels, np.r_[positive, negative]))


def threshold_at(negative: np.ndarray, false_positive_rate: float) -> float:
    """Return the lowest score that at most this share of the harmless scores exceeds."""
    return float(np.quantile(negative, 1.0 - false_positive_rate, method="higher"))


def share_above(scores: np.ndarray, threshold: float) -> dict[str, float]:
    """Return {share, low, high, n} of scores above a threshold."""
    hits = int((scores > threshold).sum())
    low, high = wilson(hits, len(scores))
    share = hits / len(scores) if len(scores) else float("nan")
    return {"share": round(share, 4), "low": round(low, 4), "high": round(high, 4), "n": len(scores)}


def _discrimination(risky: np.ndarray, benign: np.ndarray, *, seed: int) -> dict[str, object]:
    """Return AUROC with its interval, both thresholds on the harmless scores, and the recalls there."""
    one, five = threshold_at(benign, 0.01), threshold_at(benign, 0.05)
    return {
        "auroc": round(_auroc(risky, benign), 4),
        "auroc_95": [round(v, 4) for v in auroc_interval(risky, benign, seed=seed)],
        "risky": len(risky),
        "benign": len(benign),
        "threshold_1": round(one, 5),
        "threshold_5": round(five, 5),
        "recall_1": share_above(risky, one),
        "recall_5": share_above(risky, five),
    }


def figures(rows: Sequence[Row], scores: np.ndarray, *, seed: int) -> dict[str, object]:
    """Return the reported figures from scores of rows whose sources were held out (NaN = was trained on).

    The harmless side is NATURAL_BENIGN in English; the violating side TEXT_TO_IMAGE_RISKY. ``read`` holds the same
    against the harmless sources that were read, ``text_labelled`` that for sources labelled from the text, and
    ``text_labelled_all`` these against all harmless sources.
    """
    source = np.array([row.source for row in rows])
    label = np.array([row.label for row in rows])
    english = np.array([row.language == "en" for row in rows])
    whole = np.array([row.weight not in (JOINED_WEIGHT, MADE_WEIGHT) for row in rows])
    seen = np.isfinite(scores) & english & whole
    risky = seen & (label == 1) & np.isin(source, list(TEXT_TO_IMAGE_RISKY))
    benign = seen & (label == 0) & np.isin(source, list(NATURAL_BENIGN))
    result = _discrimination(scores[risky], scores[benign], seed=seed)
    one = threshold_at(scores[benign], 0.01)
    result["recall_1_by_source"] = {
        s: share_above(scores[risky & (source == s)], one) for s in sorted(set(source[risky]))
    }
    result["flagged_1_by_benign_source"] = {
        s: share_above(scores[benign & (source == s)], one) for s in sorted(set(source[benign]))
    }
    read = benign & ~np.isin(source, list(UNREAD))
    result["read"] = _discrimination(scores[risky], scores[read], seed=seed)
    of_text = risky & np.isin(source, list(TEXT_LABELLED))
    if of_text.any():
        result["text_labelled"] = _discrimination(scores[of_text], scores[read], seed=seed)
        result["text_labelled_all"] = _discrimination(scores[of_text], scores[benign], seed=seed)
    soup = np.isfinite(scores) & english & np.array([row.weight == MADE_WEIGHT and row.adversarial for row in rows])
    for name, side in (("soups_found", 1), ("soups_flagged", 0)):
        result[name] = share_above(scores[soup & (label == side)], one)
    named = ("hatecheck", "own_templates", "adversarial_nibbler", "own_contrasts_one", "own_contrasts_two")
    for name in named:
        mine = seen & (source == name)
        if (mine & (label == 0)).any() and (mine & (label == 1)).any():
            safe, unsafe = scores[mine & (label == 0)], scores[mine & (label == 1)]
            result[f"look_alike_{name}"] = {
                "flagged_1": share_above(safe, one),
                "recall_1": share_above(unsafe, one),
                "auroc": round(_auroc(unsafe, safe), 4),
            }
    own = seen & np.array([s.startswith("own_lookalikes") for s in source])
    if own.any():
        result["look_alike_own"] = {"flagged_1": share_above(scores[own], one)}
    return result


def calibration_error(probability: np.ndarray, label: np.ndarray, weight: np.ndarray, *, bins: int = 15) -> float:
    """Return the expected calibration error in equal-width bins. Source: Guo et al. 2017, section 2."""
    place = np.minimum((probability * bins).astype(int), bins - 1)
    error = 0.0
    for number in range(bins):
        here = place == number
        if here.any():
            gap = np.average(probability[here], weights=weight[here]) - np.average(label[here], weights=weight[here])
            error += abs(gap) * weight[here].sum() / weight.sum()
    return round(float(error), 4)
