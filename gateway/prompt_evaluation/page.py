"""The report page: one self-contained HTML file with tables and ROC curves; no scripts, nothing from outside."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

_TEMPLATES = Path(__file__).parent / "templates"
_WIDTH, _HEIGHT, _PAD = 560, 320, 44
_COLOURS = ("#0b6e99", "#b3541e", "#5b5b5b", "#6b3fa0")
_DECADES = 4
"""The curve's axis of false positives runs from 10^-4 to 1."""


def render(document: dict[str, Any]) -> str:
    """Return the page for a document of ``signet evaluate safety`` (the same content as its JSON)."""
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters |= {"cell": cell, "area": area_cell}
    curves = [
        {"name": one["name"], "colour": colour, "points": _points(one["curve"])}
        for one, colour in zip(document["scorers"], _COLOURS, strict=False)
    ]
    template = environment.get_template("safety.html")
    return template.render(document=document, curves=curves, ticks=_ticks(), width=_WIDTH, height=_HEIGHT, pad=_PAD)


def cell(value: dict[str, Any] | None) -> str:
    """Return a share as text: value, interval, number of rows."""
    if not value or value["share"] is None:
        return "no rows"
    return f"{value['share']:.3f} ({value['low']:.3f} to {value['high']:.3f}, n = {value['n']})"


def area_cell(value: dict[str, Any] | None) -> str:
    """Return an AUROC as text."""
    return f"{value['value']:.3f} ({value['low']:.3f} to {value['high']:.3f})" if value else "one label only"


def _place(false_positives: float, recall: float) -> tuple[float, float]:
    """Return the pixel of a point: false positives logarithmic, recall linear."""
    along = 1.0 + math.log10(max(false_positives, 10.0**-_DECADES)) / _DECADES
    return _PAD + along * (_WIDTH - 2 * _PAD), _HEIGHT - _PAD - recall * (_HEIGHT - 2 * _PAD)


def _points(curve: Sequence[Sequence[float]]) -> str:
    """Return an SVG point list."""
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in (_place(point[0], point[1]) for point in curve))


def _ticks() -> list[dict[str, Any]]:
    """Return the axis marks: decades of false positives."""
    names = ("0.01 %", "0.1 %", "1 %", "10 %", "100 %")
    return [{"x": _place(10.0 ** (rank - _DECADES), 0)[0], "name": name} for rank, name in enumerate(names)]
