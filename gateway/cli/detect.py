"""``signet detect``: the full verdict on files and folders."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.padding import Padding
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from detectors.evidence import Family
from detectors.report.as_html import render_html
from detectors.report.as_text import printable, render_text
from detectors.report.model import Report
from detectors.verdict import VerdictLevel
from gateway.cli.detect_bulk import BulkJob, judge_files
from gateway.cli.detect_output import Conditions, ResultFile, file_state
from gateway.cli.options import HomeOption, JSONOption, PathsArgument, runtime
from gateway.cli.output import (
    CLEAN,
    FINDING,
    NOT_EXAMINED,
    console,
    emit,
    error_console,
    error_row,
    find_files,
    passed_over,
    read_file,
    reporting,
)
from gateway.runtime import Runtime
from guard.errors import GuardError, RequestError
from guard.media import sha256_hex

_EPILOG = (
    "Examples:\n\n"
    "  signet detect suspect.jpg\n\n"
    "  signet detect suspect.jpg --html report.html\n\n"
    "  signet detect uploads/ --json > verdicts.jsonl\n\n"
    "  signet detect uploads/ --out verdicts.parquet --jobs 4      (run it again to go on after a stop)\n\n"
    "  signet detect uploads/ --families statistical,learned      (pixels only)"
)
_COLOUR = {
    VerdictLevel.PROVEN_AI: "bold red",
    VerdictLevel.LIKELY_AI: "yellow",
    VerdictLevel.UNDETERMINED: "cyan",
    VerdictLevel.NO_EVIDENCE: "green",
}
MANY_FILES = 16
"""From here on several processes are worth their start (about two seconds each)."""
MAX_JOBS = 64


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
    out: Annotated[
        Path | None, typer.Option("--out", help="Write a table: .jsonl, .csv or .parquet; goes on where it stopped.")
    ] = None,
    jobs: Annotated[
        int, typer.Option("--jobs", min=0, max=MAX_JOBS, help="Processes; 0: one per core for many files.")
    ] = 0,
    home: HomeOption = None,
    as_json: JSONOption = False,
) -> None:
    """Judge pictures: joined, explained evidence and a verdict. Exit code 1 when any file has a finding."""
    with reporting(as_json=as_json), runtime(home, detection_policy=policy) as opened:
        chosen = _families(families)
        files = find_files(paths)
        conditions = Conditions(
            policy_digest=opened.engine.policy_digest,
            families=None if chosen is None else tuple(sorted(chosen)),
            setup=_setup(opened) if out is not None else "",
            states={str(path): file_state(str(path)) for path in files} if out is not None else {},
        )
        if html is not None:
            if len(files) != 1:
                raise RequestError("--html takes one file.", next_step="Give a single file, or use --json for many.")
            rows = iter([_with_page(opened, files[0], chosen, html)])
        else:
            job = BulkJob(home=home, policy=policy, families=chosen)
            processes = jobs or ((os.cpu_count() or 1) if len(files) >= MANY_FILES else 1)
            rows = judge_files(files, job, opened, processes=processes, done=ResultFile.finished(out, conditions))
        single = full or (len(files) == 1 and not paths[0].is_dir())
        code = _give_out(rows, conditions, total=len(files), out=out, as_json=as_json, full=single)
        left_out = passed_over(paths)
        if left_out is not None:
            error_console().print(printable(left_out), markup=False)
    raise typer.Exit(code)


def _setup(opened: Runtime) -> str:
    """Return a digest of what verdicts rest on beside file and policy: detectors, key periods, keys and trust lists."""
    settings = opened.settings
    kept = sorted(
        (str(found), file_state(str(found)))
        for folder in (settings.keys_folder, settings.trust_folder)
        for found in folder.rglob("*")
        if found.is_file()
    )
    periods = (settings.watermark_period, settings.watermark_old_periods)
    return sha256_hex(repr((opened.engine.describe(), periods, kept)).encode())


def _give_out(
    rows: Iterator[dict[str, Any]],
    conditions: Conditions,
    *,
    total: int,
    out: Path | None,
    as_json: bool,
    full: bool,
) -> int:
    """Show, print or store every row as it comes; return the exit code of all."""
    codes = set()
    errors = error_console()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    hidden = total < 2 or not errors.is_terminal
    with (
        ResultFile.opened(out, conditions) as table,
        Progress(*columns, console=errors, transient=True, disable=hidden) as bar,
    ):
        task = bar.add_task("Examining", total=total)
        for row in rows:
            codes.add(_code(row))
            table.add(row)
            if as_json:
                emit(row)
            elif "error" in row:
                text = f"{row['path']}: {row['reason']} {row['next_step']}"
                errors.print(printable(text), style="red", markup=False)
            elif out is None:
                _show(row, full=full)
            bar.advance(task)
        written = table.close()
    if written and not as_json:
        console().print(f"{written} rows in {out}", markup=False)
    if FINDING in codes:
        return FINDING
    return NOT_EXAMINED if NOT_EXAMINED in codes else CLEAN


def _code(row: dict[str, Any]) -> int:
    if "error" in row:
        return NOT_EXAMINED
    return CLEAN if row["verdict"] == VerdictLevel.NO_EVIDENCE.value else FINDING


def _with_page(opened: Runtime, path: Path, families: frozenset[Family] | None, html: Path) -> dict[str, Any]:
    """Judge one file and write its page, with pictures of what the detectors looked at."""
    engine = opened.engine  # what does not load is not this file's fault: exit code 2
    try:
        report, upload = opened.examine(read_file(path), name=str(path), families=families)
    except GuardError as error:
        return {"path": str(path), **error_row(error)}
    pictures = engine.illustrate(upload, families=families)
    html.write_text(render_html(report, pixels=upload.preview, pictures=pictures), encoding="utf-8")
    return {"path": str(path), **report.model_dump(mode="json", exclude={"path"})}


def _show(row: dict[str, Any], *, full: bool) -> None:
    report = Report.model_validate({key: value for key, value in row.items() if key != "duplicate_of"})
    if full:
        console().print(render_text(report), markup=False, soft_wrap=True)
    else:
        _show_line(report)


def _families(text: str | None) -> frozenset[Family] | None:
    if text is None:
        return None
    try:
        return frozenset(Family(name.strip()) for name in text.split(",") if name.strip())
    except ValueError as exc:
        raise RequestError(f"{text!r} names an unknown family.", next_step="Choose from: " + ", ".join(Family)) from exc


def _show_line(report: Report) -> None:
    """Print level and path on one line, however long, and the first reason with the notes below."""
    out = console()
    level = f"[{_COLOUR[report.verdict]}]{report.verdict.value:<13}[/]"
    out.print(f"{level}  {escape(printable(report.path or ''))}", soft_wrap=True)
    reason = " ".join((report.reasons[0].text if report.reasons else report.headline, *report.notes))
    out.print(Padding(Text(printable(reason)), (0, 0, 0, 15)))
