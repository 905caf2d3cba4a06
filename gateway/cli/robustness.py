"""``signet robustness run|verify|list``: what the watermark survives, measured here, in a signed report."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from gateway.cli.options import HomeOption, JSONOption, runtime
from gateway.cli.output import CLEAN, FINDING, console, emit, error_console, read_file, reporting
from guard.errors import RequestError
from guard.robustness.attack import Attack
from guard.robustness.catalogue import ATTACKS, choose
from guard.robustness.envelope import open_report, sign_report
from guard.robustness.forgery import marked_again
from guard.robustness.measure import PictureOutcome, RobustnessRun, read_outcomes
from guard.robustness.regeneration import regeneration_attacks
from guard.robustness.report import build_report, unmet
from guard.robustness.report_html import render_html
from guard.robustness.report_pdf import render_pdf
from guard.robustness.samples import Sample, cloud_samples, folder_samples, pictures
from guard.version import __version__
from guard.watermark.codec import LatticeWatermarker

app = typer.Typer(no_args_is_help=True, help="Measure what the invisible watermark survives; signed reports.")
_QUICK_PICTURES = 4
_OTHER_OPERATOR = b"\x07" * 32
"""Watermark key of an operator who does not exist."""
_RESULTS, _SIGNED, _PAGE, _PDF = "results.jsonl", "report.json", "report.html", "report.pdf"
FoldersArgument = Annotated[
    list[Path] | None, typer.Argument(metavar="[FOLDERS]", help="Folders with pictures; none: computed ones.")
]
OutOption = Annotated[Path, typer.Option("--out", help="Folder for results and report; a second run goes on there.")]


@app.command("list")
def list_(as_json: JSONOption = False) -> None:
    """Show every attack with its family and what is promised."""
    with reporting(as_json=as_json):
        attacks = _catalogue()
        rows = [
            {"id": a.id, "family": a.family.value, "required": a.required, "curve": a.curve, "quick": a.quick}
            for a in attacks
        ]
        if as_json:
            emit({"attacks": rows})
            return
        table = Table("Attack", "Family", "Required")
        for attack in attacks:
            table.add_row(attack.id, attack.family.value, "" if attack.required is None else f"{attack.required:.0%}")
        console().print(table)


@app.command("run", epilog="Example:\n\n  signet robustness run photos/ --out robustness --count 50")
def run(
    out: OutOption,
    folders: FoldersArgument = None,
    count: Annotated[int, typer.Option("--count", min=1, help="Pictures of each folder.")] = 50,
    least_side: Annotated[int, typer.Option("--least-side", min=64, help="Leave out smaller pictures, px.")] = 480,
    quick: Annotated[bool, typer.Option("--quick", help="A few pictures and the quick attacks, for CI.")] = False,
    only: Annotated[list[str] | None, typer.Option("--only", help="One attack by name; repeatable.")] = None,
    vae: Annotated[Path | None, typer.Option("--vae", help="Autoencoder folder: also measure regeneration.")] = None,
    pdf: Annotated[bool, typer.Option("--pdf", help="Also write the report as PDF (needs typst).")] = False,
    home: HomeOption = None,
    as_json: JSONOption = False,
) -> None:
    """Mark pictures, attack them, read them back, and write a signed report. Exit code 1 when a promise is not kept."""
    with reporting(as_json=as_json), runtime(home) as opened:
        codec = opened.core.watermarker
        attacks = choose(_catalogue(), quick=quick, only=only or ())
        if vae is not None:
            attacks += regeneration_attacks(vae)
        wanted = min(count, _QUICK_PICTURES) if quick else count
        samples = _samples(folders or [], wanted, least_side)
        measured = RobustnessRun(codec, attacks, results=out / _RESULTS)
        _measure(measured, samples, wanted * max(1, len(folders or ())))
        outcomes = read_outcomes(out / _RESULTS, measured.digest)
        report = _written(out, outcomes, attacks, codec.algorithm, opened.core.keys.ledger_private_key)
        if pdf:
            (out / _PDF).write_bytes(render_pdf(report))
    raise typer.Exit(_shown(report, out, as_json=as_json))


@app.command("verify", epilog="Example:\n\n  signet robustness verify robustness/report.json")
def verify(
    path: Annotated[Path, typer.Argument(help="A signed report.")],
    key: Annotated[Path | None, typer.Option("--key", help="Raw or hex public key file; default: our own.")] = None,
    home: HomeOption = None,
    as_json: JSONOption = False,
) -> None:
    """Check a report's signature and show its figures. Exit code 1 when the signature is wrong."""
    with reporting(as_json=as_json), runtime(home) as opened:
        public = _public_key(key) if key is not None else opened.core.keys.ledger_public_key
        report = open_report(read_file(path).decode("utf-8", errors="replace"), public)
    _shown(report, path.parent, as_json=as_json)


def _catalogue() -> tuple[Attack, ...]:
    """Return every attack that needs no weights, with another operator's mark over ours."""
    return (*ATTACKS, marked_again(LatticeWatermarker(_OTHER_OPERATOR)))


def _samples(folders: Sequence[Path], count: int, least_side: int) -> Iterator[Sample]:
    """Return the pictures of the folders, or computed ones."""
    for folder in folders:
        if not folder.is_dir():
            raise RequestError(f"{folder} is not a folder.", next_step="Name folders with pictures, or none.")
        if next(pictures(folder, least_side=least_side), None) is None:
            raise RequestError(
                f"{folder} holds no readable picture of {least_side} px a side or more.",
                next_step="Name another folder, or lower --least-side.",
            )
    if not folders:
        return cloud_samples(count=count)
    return folder_samples(folders, count=count, least_side=least_side)


def _measure(measured: RobustnessRun, samples: Iterator[Sample], total: int) -> None:
    """Measure with a progress bar; what an earlier run did is skipped."""
    out = error_console()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=out, transient=True, disable=not out.is_terminal) as progress:
        task = progress.add_task("Measuring", total=total)
        for _ in measured.measure(itertools.islice(samples, total)):
            progress.advance(task)


def _written(
    out: Path, outcomes: Sequence[PictureOutcome], attacks: Sequence[Attack], codec: str, private_key: bytes
) -> dict[str, Any]:
    """Write the signed JSON and the page; return the report."""
    report = build_report(outcomes, attacks, codec=codec, version=__version__, made_at=datetime.now(UTC))
    (out / _SIGNED).write_text(sign_report(report, private_key), encoding="utf-8")
    (out / _PAGE).write_text(render_html(report), encoding="utf-8")
    return report


def _shown(report: dict[str, Any], out: Path, *, as_json: bool) -> int:
    """Print a report; return the exit code."""
    short = unmet(report)
    if as_json:
        emit({"unmet": short, "report": report})
        return FINDING if short else CLEAN
    table = Table("Attack", "Required", "Exact", "95 % interval", "Worst class")
    for row in report["attacks"]:
        cell, worst = row["all"], row["worst"]
        table.add_row(
            row["id"],
            "" if row["required"] is None else f"{row['required']:.0%}",
            f"{cell['rate']:.1%}",
            f"{cell['low']:.1%} to {cell['high']:.1%}",
            "" if worst is None else f"{worst['rate']:.1%} ({worst['class']})",
        )
    console().print(table)
    pictures = sum(report["pictures"].values())
    console().print(f"{pictures} pictures, codec {report['codec']}; {out / _SIGNED}, {out / _PAGE}", soft_wrap=True)
    if short:
        console().print(f"[red]Below what is required:[/] {', '.join(short)}", soft_wrap=True)
    return FINDING if short else CLEAN


def _public_key(path: Path) -> bytes:
    """Return 32 raw bytes from a file that holds them raw, as hex, or as PEM."""
    from guard.ledger.checkpoint import load_public_key

    data = read_file(path)
    text = data.strip()
    if len(text) == 64:
        try:
            return bytes.fromhex(text.decode("ascii"))
        except ValueError as exc:
            raise RequestError(f"{path} is not a hex key.", next_step="Name the public key file.") from exc
    return load_public_key(data)
