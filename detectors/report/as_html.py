"""The report as one self-contained HTML page: no script, no outside resource, everything escaped."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from functools import cache
from importlib.resources import files

from jinja2 import Environment, StrictUndefined
from PIL import Image

from detectors.evidence import Picture
from detectors.report.as_text import printable
from detectors.report.model import Report
from guard.records import RGB8

PREVIEW_SIDE = 560
"""Longest side of the embedded preview, in pixels."""


@cache
def _environment() -> Environment:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["printable"] = printable
    return environment


def style_sheet() -> str:
    """Return the style sheet shared by the product's static pages."""
    return files("detectors.report").joinpath("templates/page.css").read_text(encoding="utf-8")


def data_uri(pixels: RGB8, *, side: int = PREVIEW_SIDE) -> str:
    """Return a reduced JPEG of the picture as a data URI; (H, W, 3) uint8."""
    picture = Image.fromarray(pixels)
    picture.thumbnail((side, side))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def render_html(report: Report, *, pixels: RGB8 | None = None, pictures: Sequence[Picture] = ()) -> str:
    """Return the page.

    Args:
        report: what to show.
        pixels: the examined picture for the preview, or None to leave it out.
        pictures: what detectors looked at (``DetectionEngine.illustrate``), each shown beside its evidence.
    """
    shown: dict[str, list[dict[str, str]]] = {}
    for picture in pictures:
        row = {"uri": data_uri(picture.pixels), "caption": picture.caption}
        shown.setdefault(picture.evidence_id, []).append(row)
    source = files("detectors.report").joinpath("templates/report.html").read_text(encoding="utf-8")
    template = _environment().from_string(source)
    return template.render(
        report=report, css=style_sheet(), preview=data_uri(pixels) if pixels is not None else None, shown=shown
    )
