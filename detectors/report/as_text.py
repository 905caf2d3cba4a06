"""The report as plain text for a terminal or an e-mail."""

from __future__ import annotations

import textwrap

from detectors.report.model import EvidenceRow, Report

_MARK = {"found": "+", "conflict": "!", "nothing_found": "-", "skipped": " ", "failed": "x"}
WIDTH = 100
"""Characters a line."""


def render_text(report: Report) -> str:
    """Return the report as wrapped text; control characters of untrusted values are shown as escapes."""
    lines = [
        f"{report.verdict.value}  {printable(report.path or report.sha256)}",
        report.headline,
        f"{report.width} x {report.height} {report.media_type}, SHA-256 {report.sha256}",
    ]
    for note in report.notes:
        lines += _wrapped("Note: ", note)
    lines += ["", "Why:"]
    for number, reason in enumerate(report.reasons, start=1):
        lines += _wrapped(f"{number}. ", reason.text)
    if not report.reasons:
        lines.append("   Nothing that was looked for is in this file.")
    lines += ["", "What was examined:"]
    for row in report.evidence:
        lines += _evidence(row)
    if report.elsewhere:
        lines += ["", "What only others can check:"]
        for text in report.elsewhere:
            lines += _wrapped("   ", text)
    lines += ["", f"Policy {report.policy_id} ({report.policy_digest[:16]}), Signet {report.signet_version}."]
    return "\n".join(lines)


def _evidence(row: EvidenceRow) -> list[str]:
    lines = [f" {_MARK[row.status]} {row.id} ({row.technique.value}): {row.status.replace('_', ' ')}"]
    if row.status in ("skipped", "failed"):
        lines += _wrapped("     ", row.reason)
    for seen in row.observations:
        lines += _wrapped("     ", f"{printable(seen.name)}: {printable(seen.value)}")
    return lines


def _wrapped(prefix: str, text: str) -> list[str]:
    return textwrap.wrap(
        printable(text), WIDTH, initial_indent=prefix, subsequent_indent=" " * len(prefix), break_long_words=True
    )


def printable(text: str) -> str:
    """Return the text with everything that could drive a terminal or reorder a line shown as an escape."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
