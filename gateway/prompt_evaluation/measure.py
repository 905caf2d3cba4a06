"""Figures of one scorer on labelled prompts: pure functions over rows and scores.

The threshold of "x % false positives" is fixed on the *natural* harmless English prompts (label 0, no attack, no
look-alike), or on a calibration set of other sources where one is given; every other figure uses it unchanged.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.evaluation.metrics import auc, roc
from gateway.prompt_evaluation.labelled import LabelledPrompt
from gateway.prompt_evaluation.scorers import Scored

RATES = (0.01, 0.05)
"""False-positive rates at which recall is reported."""
BOOTSTRAP_ROUNDS = 200
CURVE_POINTS = 160
"""Points kept of a ROC curve for the report; spaced by false-positive rate, logarithmically."""
MIN_LANGUAGE_ROWS = 20
"""Fewer rows of one language and label are not reported: the interval would be wider than any statement."""
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Columns:
    """The rows as arrays."""

    violating: Mask
    english: Mask
    attacked: Mask
    look_alike: Mask
    language: NDArray[np.str_]
    source: NDArray[np.str_]
    attack: NDArray[np.str_]

    @property
    def natural(self) -> Mask:
        """Return which rows are natural harmless English prompts."""
        return ~self.violating & self.english & ~self.attacked & ~self.look_alike


def columns(rows: Sequence[LabelledPrompt]) -> Columns:
    """Return the rows as arrays."""
    attack = np.array([row.attack for row in rows])
    language = np.array([row.language for row in rows])
    return Columns(
        violating=np.array([row.violating for row in rows], bool),
        english=language == "en",
        attacked=attack != "",
        look_alike=np.array([row.look_alike for row in rows], bool),
        language=language,
        source=np.array([row.source for row in rows]),
        attack=attack,
    )


def threshold_at(harmless: NDArray[np.float64], rate: float) -> float:
    """Return the smallest threshold that at most this share of harmless scores exceeds; +inf without any."""
    if not len(harmless):
        return math.inf
    ordered = np.sort(harmless)
    return float(ordered[len(ordered) - 1 - math.floor(rate * len(ordered))])


def wilson(hits: int, total: int, z: float = 1.96) -> tuple[float, float]:
    """Return the Wilson 95 % interval of a share. Source: Wilson 1927; Brown, Cai, DasGupta 2001, section 3.1.1."""
    if total == 0:
        return 0.0, 1.0
    share = hits / total
    centre = share + z * z / (2 * total)
    half = z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    low, high = (centre - half) / (1 + z * z / total), (centre + half) / (1 + z * z / total)
    return max(0.0, low), min(1.0, high)


def share(hits: Mask) -> dict[str, float | int | None]:
    """Return {share, low, high, n}; the share of nothing is None."""
    low, high = wilson(int(hits.sum()), len(hits))
    return {
        "share": round(float(hits.mean()), 4) if len(hits) else None,
        "low": round(low, 4),
        "high": round(high, 4),
        "n": len(hits),
    }


def area(positive: NDArray[np.float64], negative: NDArray[np.float64], *, seed: int) -> dict[str, Any] | None:
    """Return {value, low, high} of the AUROC with a percentile bootstrap over both classes; None without both."""
    if not len(positive) or not len(negative):
        return None
    rng = np.random.default_rng(seed)
    draws = [
        _auc(rng.choice(positive, len(positive)), rng.choice(negative, len(negative)))
        for _ in range(BOOTSTRAP_ROUNDS if len(positive) + len(negative) < 60_000 else BOOTSTRAP_ROUNDS // 4)
    ]
    low, high = np.quantile(draws, [0.025, 0.975])
    return {"value": round(_auc(positive, negative), 4), "low": round(float(low), 4), "high": round(float(high), 4)}


def _auc(positive: NDArray[np.float64], negative: NDArray[np.float64]) -> float:
    labels = np.r_[np.ones(len(positive), bool), np.zeros(len(negative), bool)]
    return auc(labels, np.r_[positive, negative])


def measure(
    rows: Sequence[LabelledPrompt], scored: Scored, *, seed: int, calibration: NDArray[np.float64] | None = None
) -> dict[str, Any]:
    """Return all figures of one scorer.

    Args:
        rows: labelled prompts.
        scored: scores in the order of the rows.
        seed: of the bootstrap.
        calibration: scores of harmless prompts of other sources that fix the thresholds; None = the natural ones here.
    """
    at, scores = columns(rows), scored.scores
    natural = scores[at.natural]
    limits = {rate: threshold_at(natural if calibration is None else calibration, rate) for rate in RATES}
    plain = at.violating & at.english & ~at.attacked
    figures: dict[str, Any] = {
        "name": scored.name,
        "thresholds": {f"{rate:.0%}": limit if math.isfinite(limit) else None for rate, limit in limits.items()},
        "thresholds_from": "natural harmless prompts of this set" if calibration is None else "calibration set",
        "auroc": area(scores[plain], natural, seed=seed),
        "natural_false_positives": {f"{r:.0%}": share(natural > t) for r, t in limits.items()},
        "recall": {f"{r:.0%}": share(scores[plain] > t) for r, t in limits.items()},
        "by_source": _groups(at.source, at.violating & at.english, scores, limits, natural, seed),
        "by_attack": _groups(at.attack, at.violating & at.attacked, scores, limits, natural, seed),
        "harmless_by_source": _groups(at.source, ~at.violating & at.english, scores, limits, None, seed),
        "look_alikes": _within(at, scores, limits[RATES[0]], seed),
        "by_language": _languages(at, scores, limits, seed),
        "curve": _curve(scores[plain], natural),
    }
    if scored.withheld is not None:
        figures["withheld"] = {
            "natural": share(scored.withheld[at.natural]),
            "look_alikes": share(scored.withheld[at.look_alike]),
            "violating": share(scored.withheld[plain]),
            "attacked": share(scored.withheld[at.violating & at.attacked]),
        }
        figures["calibration_error"] = calibration_error(scores, at.violating)
    return figures


def _groups(
    names: NDArray[np.str_],
    where: Mask,
    scores: NDArray[np.float64],
    limits: dict[float, float],
    natural: NDArray[np.float64] | None,
    seed: int,
) -> dict[str, Any]:
    """Return {name: {flagged at each rate, AUROC against the natural harmless prompts}}."""
    found: dict[str, Any] = {}
    for name in sorted(set(names[where])):
        here = scores[where & (names == name)]
        found[str(name)] = {"flagged": {f"{r:.0%}": share(here > t) for r, t in limits.items()}}
        if natural is not None:
            found[str(name)]["auroc"] = area(here, natural, seed=seed)
    return found


def _within(at: Columns, scores: NDArray[np.float64], limit: float, seed: int) -> dict[str, Any]:
    """Return, for sources with look-alikes or both labels, flagged harmless rows and the AUROC inside the source."""
    found: dict[str, Any] = {}
    for name in sorted(set(at.source)):
        mine = (at.source == name) & at.english
        harmless, violating = mine & ~at.violating, mine & at.violating
        if (harmless & at.look_alike).any() or (harmless.any() and violating.any()):
            found[str(name)] = {
                "flagged": share(scores[harmless] > limit),
                "recall": share(scores[violating] > limit),
                "within_auroc": area(scores[violating], scores[harmless], seed=seed),
            }
    return found


def _languages(at: Columns, scores: NDArray[np.float64], limits: dict[float, float], seed: int) -> dict[str, Any]:
    """Return recall and false positives of each language at the English thresholds, and the AUROC inside it."""
    found: dict[str, Any] = {}
    for name in sorted(set(at.language)):
        mine = at.language == name
        bad, good = scores[mine & at.violating], scores[mine & ~at.violating & ~at.look_alike]
        entry: dict[str, Any] = {}
        if len(bad) >= MIN_LANGUAGE_ROWS:
            entry["recall"] = {f"{r:.0%}": share(bad > t) for r, t in limits.items()}
        if len(good) >= MIN_LANGUAGE_ROWS:
            entry["false_positives"] = {f"{r:.0%}": share(good > t) for r, t in limits.items()}
        if len(entry) == 2:
            entry["auroc"] = area(bad, good, seed=seed)
        if entry:
            found[str(name)] = entry
    return found


def _curve(positive: NDArray[np.float64], negative: NDArray[np.float64]) -> list[tuple[float, float]]:
    """Return (false positive rate, recall) points from .0001 to 1."""
    if not len(positive) or not len(negative):
        return []
    labels = np.r_[np.ones(len(positive), bool), np.zeros(len(negative), bool)]
    false, true = roc(labels, np.r_[positive, negative])
    grid = np.logspace(-4, 0, CURVE_POINTS)
    places = np.searchsorted(false, grid, "right") - 1
    return [(round(float(x), 6), round(float(true[i]), 4)) for x, i in zip(grid, places, strict=True)]


def calibration_error(probability: NDArray[np.float64], label: Mask, *, bins: int = 15) -> float:
    """Return the expected calibration error in equal-width bins. Source: Guo et al. 2017, section 2."""
    place = np.minimum((probability * bins).astype(int), bins - 1)
    gaps = [
        abs(float(probability[place == b].mean()) - float(label[place == b].mean())) * float((place == b).mean())
        for b in range(bins)
        if (place == b).any()
    ]
    return round(sum(gaps), 4)
