"""Points and axes of the evaluation's plots, in SVG units: ROC, DET and reliability, squares of ``SIDE``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import NormalDist
from typing import Any

SIDE = 260
_DET_RANGE = (0.005, 0.9)
"""Rates on the axes of the DET curve; beyond them a few hundred pictures say nothing."""
_EVEN_TICKS = (0.0, 0.25, 0.5, 0.75, 1.0)
_DET_TICKS = (0.005, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.9)


def plots_of(figures: dict[str, Any]) -> list[dict[str, Any]]:
    """Return ROC, DET and reliability of one mode for the template; ``chance`` is the line of a detector that guesses.

    Args:
        figures: of one mode, from ``summary.summarise``.
    """
    pairs = _pairs(figures)
    top = _DET_RANGE[1]
    even = {"chance": _line([(0, 0), (1, 1)], _even), "ticks": _ticks(_EVEN_TICKS, _even)}
    return [
        {
            "caption": "ROC: generated pictures found, over false alarms",
            "across": "false alarms",
            "up": "found",
            "line": _line(pairs, _even),
            "dots": [],
            **even,
        },
        {
            "caption": "DET: generated pictures missed, over false alarms; normal-deviate axes (Martin et al. 1997)",
            "across": "false alarms",
            "up": "missed",
            "line": _line([(x, 1 - y) for x, y in pairs], _deviate),
            "dots": [],
            "chance": _line([(1 - top, top), (top, 1 - top)], _deviate),
            "ticks": _ticks(_DET_TICKS, _deviate),
        },
        {
            "caption": "Reliability: observed over predicted share of generated pictures, even prior",
            "across": "predicted",
            "up": "observed",
            "line": "",
            "dots": [
                {
                    "x": _even(b["predicted"]),
                    "y": SIDE - _even(b["observed"]),
                    "r": 2 + min(8.0, b["pictures"] ** 0.5 / 3),
                }
                for b in figures.get("reliability", [])
            ],
            **even,
        },
    ]


def _pairs(figures: dict[str, Any]) -> list[tuple[float, float]]:
    """Return (false alarms, found), without any where the mode had pictures of one class only."""
    if "roc" not in figures:
        return []
    return list(zip(figures["roc"]["false_positive_rate"], figures["roc"]["true_positive_rate"], strict=True))


def _line(pairs: Sequence[tuple[float, float]], place: Callable[[float], float]) -> str:
    return " ".join(f"{place(x):.1f},{SIDE - place(y):.1f}" for x, y in pairs)


def _ticks(rates: Sequence[float], place: Callable[[float], float]) -> list[dict[str, Any]]:
    return [{"at": round(place(rate), 1), "label": f"{100 * rate:g}"} for rate in rates]


def _even(rate: float) -> float:
    return rate * SIDE


def _deviate(rate: float) -> float:
    """Return where a rate lies on a normal-deviate axis; rates beyond ``_DET_RANGE`` lie on its ends."""
    normal = NormalDist()
    low, high = (normal.inv_cdf(limit) for limit in _DET_RANGE)
    inside = min(max(rate, _DET_RANGE[0]), _DET_RANGE[1])
    return (normal.inv_cdf(inside) - low) / (high - low) * SIDE
