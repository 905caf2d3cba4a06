"""The report as one JSON document."""

from __future__ import annotations

from detectors.report.model import Report


def render_json(report: Report, *, indent: int | None = None) -> str:
    """Return the report as JSON with the promised keys (command contract)."""
    return report.model_dump_json(indent=indent)
