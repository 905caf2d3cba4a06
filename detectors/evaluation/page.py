"""The evaluation as one self-contained HTML page: tables, ROC and DET curves, reliability, worst cases."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from statistics import NormalDist
from typing import Any

from jinja2 import Environment, StrictUndefined

from detectors.evaluation.protocol import Row
from detectors.report.as_html import data_uri, style_sheet
from detectors.report.as_text import printable
from guard.errors import MediaError
from guard.media import decode

WORST_CASES = 12
"""Thumbnails a list: the highest-rated real and the lowest-rated generated pictures."""
THUMBNAIL_SIDE = 180
_SIDE = 260
"""Side of a plot in SVG units."""
_DET_RANGE = (0.005, 0.9)
"""Rates on the axes of the DET curve; beyond them a few hundred pictures say nothing."""


def render_page(summary: dict[str, Any], rows: Sequence[Row], *, source: str, thumbnails: bool = True) -> str:
    """Return the page.

    Args:
        summary: from ``summary.summarise``.
        rows: for the worst cases.
        source: what was evaluated, for the title.
        thumbnails: whether pictures may be embedded in the page.
    """
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["printable"] = printable
    environment.filters["figure"] = _figure
    template = environment.from_string(
        files("detectors.evaluation").joinpath("templates/evaluation.html").read_text(encoding="utf-8")
    )
    modes = [
        {
            "name": name,
            "figures": figures,
            "roc": _points(figures, det=False),
            "det": _points(figures, det=True),
            "bins": _bins(figures),
        }
        for name, figures in summary["modes"].items()
    ]
    worst = _worst_cases(rows) if thumbnails else []
    return template.render(summary=summary, modes=modes, worst=worst, source=source, css=style_sheet(), side=_SIDE)


def _figure(value: float | None, digits: int = 3) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _points(figures: dict[str, Any], *, det: bool) -> str:
    """Return a curve as SVG points: ROC on even axes, DET on normal-deviate axes (Martin et al. 1997)."""
    if "roc" not in figures:
        return ""
    pairs = zip(figures["roc"]["false_positive_rate"], figures["roc"]["true_positive_rate"], strict=True)
    if not det:
        return " ".join(f"{x * _SIDE:.1f},{(1 - y) * _SIDE:.1f}" for x, y in pairs)
    return " ".join(f"{_deviate(x):.1f},{_SIDE - _deviate(1 - y):.1f}" for x, y in pairs)


def _deviate(rate: float) -> float:
    """Return where a rate lies on a normal-deviate axis, in SVG units."""
    normal = NormalDist()
    low, high = (normal.inv_cdf(limit) for limit in _DET_RANGE)
    inside = min(max(rate, _DET_RANGE[0]), _DET_RANGE[1])
    return (normal.inv_cdf(inside) - low) / (high - low) * _SIDE


def _bins(figures: dict[str, Any]) -> list[dict[str, float]]:
    return [
        {
            "x": b["predicted"] * _SIDE,
            "y": (1 - b["observed"]) * _SIDE,
            "r": 2 + min(8.0, b["pictures"] ** 0.5 / 3),
        }
        for b in figures.get("reliability", [])
    ]


def _worst_cases(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return the pictures on which the detectors were most wrong, of the first mode that was judged."""
    judged = [row for row in rows if row.llr_nats is not None]
    first = [row for row in judged if row.mode == judged[0].mode] if judged else []
    real = sorted((r for r in first if not r.generated), key=lambda r: -(r.llr_nats or 0.0))[:WORST_CASES]
    generated = sorted((r for r in first if r.generated), key=lambda r: r.llr_nats or 0.0)[:WORST_CASES]
    return [
        {"title": "Real pictures rated most like generated ones", "cases": [_case(row) for row in real]},
        {"title": "Generated pictures rated most like real ones", "cases": [_case(row) for row in generated]},
    ]


def _case(row: Row) -> dict[str, str]:
    try:
        uri = data_uri(decode(Path(row.path).read_bytes()).rgb, side=THUMBNAIL_SIDE)
    except (OSError, MediaError):  # gone since it was judged: the line stays, without a picture
        uri = ""
    return {"uri": uri, "name": Path(row.path).name, "group": row.group, "llr": f"{row.llr_nats:+.2f}"}
