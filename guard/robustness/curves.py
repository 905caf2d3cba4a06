"""Survival curves of a report, as SVG without any library."""

from __future__ import annotations

from html import escape
from typing import Any

_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP = 300, 200, 40, 30, 10


def curves_of(report: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Return the attacks of every curve of two points or more, by the curve's name."""
    curves: dict[str, list[dict[str, Any]]] = {}
    for row in report["attacks"]:
        if row["curve"]:
            curves.setdefault(row["curve"], []).append(row)
    return {name: rows for name, rows in curves.items() if len(rows) > 1}


def curve_svg(name: str, rows: list[dict[str, Any]]) -> str:
    """Return one survival curve as SVG: rate over strength, with its interval as a band.

    Args:
        name: of the curve.
        rows: attacks of a report with the same ``curve``, two or more.
    """
    rows = sorted(rows, key=lambda row: float(row["strength"]))
    first, last = rows[0]["strength"], rows[-1]["strength"]

    def place(strength: float, rate: float) -> str:
        x = _LEFT + (strength - first) / (last - first) * (_WIDTH - _LEFT - 15)
        return f"{x:.1f},{_TOP + (1 - rate) * (_HEIGHT - _TOP - _BOTTOM):.1f}"

    line = " ".join(place(row["strength"], row["all"]["rate"]) for row in rows)
    band = " ".join(place(row["strength"], row["all"]["high"]) for row in rows)
    band += " " + " ".join(place(row["strength"], row["all"]["low"]) for row in reversed(rows))
    marks = "".join(
        f"<text x='{place(row['strength'], 0).split(',')[0]}' y='{_HEIGHT - 12}' font-size='10' "
        f"text-anchor='middle' fill='currentColor'>{row['strength']:g}</text>"
        for row in rows
    )
    grid = "".join(
        f"<line x1='{_LEFT}' x2='{_WIDTH - 15}' y1='{place(first, rate).split(',')[1]}' "
        f"y2='{place(first, rate).split(',')[1]}' stroke='currentColor' opacity='.2'/>"
        f"<text x='{_LEFT - 5}' y='{place(first, rate).split(',')[1]}' font-size='10' text-anchor='end' "
        f"fill='currentColor'>{rate:.0%}</text>"
        for rate in (0, 0.5, 1)
    )
    summary = "; ".join(f"{row['strength']:g}: {row['all']['rate']:.0%}" for row in rows)
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {_WIDTH} {_HEIGHT}' "
        f"width='{_WIDTH}' height='{_HEIGHT}' role='img' "
        f"aria-label='{escape(name)}: {escape(summary)}'>{grid}"
        f"<polygon points='{band}' fill='#2563eb' opacity='.2'/>"
        f"<polyline points='{line}' fill='none' stroke='#2563eb' stroke-width='2'/>{marks}</svg>"
    )
