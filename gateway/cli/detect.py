"""``signet detect``: the full verdict on files and folders."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from detectors.evidence import Family
from detectors.report.as_html import render_html
from detectors.report.as_text import printable, render_text
from detectors.report.model import Report
from detectors.verdict import VerdictLevel
from gateway.cli.options import HomeOption, JSONOption, PathsArgument, runtime
from gateway.cli.output import CLEAN, FINDING, console, for_each_file, reporting
from guard.errors import RequestError

_EPILOG = (
    "Examples:\n\n"
    "  signet detect suspect.jpg\n\n"
    "  signet detect uploads/ --json > verdicts.jsonl\n\n"
    "  signet detect suspect.jpg --html report.html"
)
_COLOUR = {
    VerdictLevel.PROVEN_AI: "bold red",
    VerdictLevel.LIKELY_AI: "yellow",
    VerdictLevel.UNDETERMINED: "cyan",
    VerdictLevel.NO_EVIDENCE: "green",
}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("detect", epilog=_EPILOG)(detect)


def detect(
    paths: PathsArgument,
    families: Annotated[
        str | None, typer.Option("--families", help="Only these, separated by commas: " + ", ".join(Family) + ".")
    ] = None,
    policy: Annotated[str | None, typer.Option("--policy", help="Id of a detection policy.")] = None,
    html: Annotated[Path | None, typer.Option("--html", help="Also write a report page (one file only).")] = None,
    full: Annotated[bool, typer.Option("--full", help="Print the whole report, not one line per file.")] = False,
    home: HomeOption = None,
    as_json: JSONOption = False,
) -> None:
    """Judge pictures: joined, explained evidence and a verdict. Exit code 1 when any file has a finding."""
    with reporting(as_json=as_json), runtime(home, detection_policy=policy) as opened:
        chosen = _families(families)
        if html is not None and (len(paths) != 1 or paths[0].is_dir()):
            raise RequestError("--html takes one file.", next_step="Give a single file, or use --json for many.")

        def examine(path: Path, data: bytes) -> tuple[dict[str, Any], int]:
            report, upload = opened.examine(data, name=str(path), families=chosen)
            if html is not None:
                html.write_text(render_html(report, pixels=upload.pixels), encoding="utf-8")
            row = report.model_dump(mode="json", exclude={"path"})
            return row, CLEAN if report.verdict is VerdictLevel.NO_EVIDENCE else FINDING

        def show(row: dict[str, Any]) -> None:
            report = Report.model_validate(row)
            if full or (len(paths) == 1 and not paths[0].is_dir()):
                console().print(render_text(report), markup=False, soft_wrap=True)
            else:
                console().print(_line(report))

        code = for_each_file(paths, examine, as_json=as_json, show=show)
    raise typer.Exit(code)


def _families(text: str | None) -> frozenset[Family] | None:
    if text is None:
        return None
    try:
        return frozenset(Family(name.strip()) for name in text.split(",") if name.strip())
    except ValueError as exc:
        raise RequestError(f"{text!r} names an unknown family.", next_step="Choose from: " + ", ".join(Family)) from exc


def _line(report: Report) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(width=13)
    table.add_column(ratio=2, overflow="fold")
    table.add_column(ratio=5)
    reason = report.reasons[0].text if report.reasons else report.headline
    level = f"[{_COLOUR[report.verdict]}]{report.verdict.value}[/]"
    table.add_row(level, printable(report.path or ""), printable(reason).replace("[", "\\["))
    return table
