"""``signet ledger`` and ``signet audit``: proofs of what left and what was withheld."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli.options import HomeOption, JSONOption, runtime
from gateway.cli.output import CLEAN, FINDING, console, emit, reporting
from guard.errors import RequestError
from guard.ledger.export import export_ledger, verify_export
from guard.ledger.report import LedgerReport
from guard.ledger.verify import verify_ledger
from guard.records import ImageID

app = typer.Typer(no_args_is_help=True, help="Verify, prove and export the tamper-evident record.")
audit_app = typer.Typer(no_args_is_help=True, help="Check an exported ledger, with nothing but the file.")


@app.command("verify", epilog="Example:\n\n  signet ledger verify --json")
def verify(home: HomeOption = None, as_json: JSONOption = False) -> None:
    """Recompute every leaf, the tree and every signed head; compare registry and stored images. Exit 1 on problems."""
    with reporting(as_json=as_json), runtime(home) as opened:
        core = opened.core
        report = verify_ledger(opened.settings.ledger_path, public_key=core.keys.ledger_public_key, images=core.images)
    _finish(report, as_json=as_json)


@app.command("prove", epilog="Example:\n\n  signet ledger prove 00112233445566ff > proof.json")
def prove(
    image_id: Annotated[str, typer.Argument(help="16 hex digits of a released image.")], home: HomeOption = None
) -> None:
    """Print the entry of an image with its inclusion proof and the signed tree head, as JSON."""
    with reporting(as_json=True), runtime(home) as opened:
        proof = opened.proof(ImageID(image_id))
        if not proof:
            raise RequestError(f"No released image has the id {image_id}.", next_step="Check the 16 hex digits.")
        emit(proof)


@app.command("export", epilog="Example:\n\n  signet ledger export november.jsonl")
def export(
    target: Annotated[Path, typer.Argument(help="JSON Lines file to write.")],
    home: HomeOption = None,
    as_json: JSONOption = False,
) -> None:
    """Write a self-contained export that `signet audit verify` checks anywhere."""
    with reporting(as_json=as_json), runtime(home) as opened:
        size = export_ledger(opened.settings.ledger_path, target)
    row = {"path": str(target), "size": size}
    emit(row) if as_json else console().print(f"{target}: {size} entries")


@audit_app.command("verify", epilog="Example:\n\n  signet audit verify november.jsonl --json")
def audit_verify(
    export_file: Annotated[Path, typer.Argument(metavar="EXPORT", help="File made by `signet ledger export`.")],
    public_key: Annotated[
        str | None, typer.Option("--public-key", help="64 hex digits of the ledger key you trust.")
    ] = None,
    as_json: JSONOption = False,
) -> None:
    """Verify an export. Without --public-key the key named in the file is used, which proves only consistency."""
    with reporting(as_json=as_json):
        try:
            key = bytes.fromhex(public_key) if public_key else None
        except ValueError as exc:
            raise RequestError("--public-key needs hex digits.", next_step="Ask the operator for the key.") from exc
        report = verify_export(export_file, public_key=key)
    _finish(report, as_json=as_json)


def _finish(report: LedgerReport, *, as_json: bool) -> None:
    row: dict[str, Any] = {
        "ok": report.ok,
        "size": report.size,
        "root": report.root,
        "problems": [str(problem) for problem in report.problems],
        "keys_pinned": report.keys_pinned,
    }
    if as_json:
        emit(row)
    else:
        state = "[green]verified[/]" if report.ok else "[red]NOT verified[/]"
        console().print(f"Ledger {state}: {report.size} entries, root {report.root}", soft_wrap=True)
        for problem in report.problems:
            console().print(f"  {problem}", markup=False, soft_wrap=True)
    raise typer.Exit(CLEAN if report.ok else FINDING)
