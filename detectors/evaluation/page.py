"""The evaluation as one self-contained HTML page: tables, ROC and DET curves, reliability, worst cases."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

from detectors.evaluation.plots import SIDE, plots_of
from detectors.evaluation.protocol import Row
from detectors.report.as_html import data_uri, style_sheet
from detectors.report.as_text import printable
from guard.errors import MediaError
from guard.media import decode

WORST_CASES = 12
"""Thumbnails a list: the highest-rated real and the lowest-rated generated pictures."""
THUMBNAIL_SIDE = 180


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
        {"name": name, "figures": figures, "plots": plots_of(figures)} for name, figures in summary["modes"].items()
    ]
    worst = _worst_cases(rows) if thumbnails else []
    return template.render(summary=summary, modes=modes, worst=worst, source=source, css=style_sheet(), side=SIDE)


def _figure(value: float | None, digits: int = 3) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


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
