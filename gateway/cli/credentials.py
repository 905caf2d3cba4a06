"""``signet verify``: content credentials alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from detectors.report.as_text import printable
from gateway.cli.options import HomeOption, JSONOption, PathsArgument, runtime
from gateway.cli.output import CLEAN, FINDING, console, for_each_file, reporting
from guard.credentials import CredentialState

_EPILOG = "Examples:\n\n  signet verify picture.png\n\n  signet verify uploads/ --json > credentials.jsonl"
_COLOUR = {
    CredentialState.TRUSTED: "green",
    CredentialState.VALID_UNTRUSTED: "yellow",
    CredentialState.INVALID: "red",
    CredentialState.UNREADABLE: "red",
    CredentialState.NONE: "default",
}
_FINDINGS = (CredentialState.INVALID, CredentialState.UNREADABLE)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("verify", epilog=_EPILOG)(verify)


def verify(paths: PathsArgument, home: HomeOption = None, as_json: JSONOption = False) -> None:
    """Read C2PA credentials: none, unreadable, invalid, valid_untrusted or trusted.

    Exit code 1 when credentials are present and do not hold.
    """
    with reporting(as_json=as_json), runtime(home) as opened:

        def examine(path: Path, data: bytes) -> tuple[dict[str, Any], int]:
            row = opened.verify(data, name=str(path))
            row.pop("path")
            return row, FINDING if row["state"] in _FINDINGS else CLEAN

        code = for_each_file(paths, examine, as_json=as_json, show=_show)
    raise typer.Exit(code)


def _show(row: dict[str, Any]) -> None:
    out = console()
    state = CredentialState(row["state"])
    out.print(f"[{_COLOUR[state]}]{state.value}[/]  {printable(row['path'])}", soft_wrap=True)
    details = [
        ("", row["explanation"]),
        ("signer", row["signer"]),
        ("signed at", row["time"]),
        ("made with", ", ".join(row["software_agents"]) or row["generator"]),
        ("source type", ", ".join(row["source_types"])),
        ("codes", ", ".join(row["codes"])),
        *((f"ingredient ({part['relationship']})", f"{part['title']}: {part['state']}") for part in row["ingredients"]),
    ]
    for name, value in details:
        if value:
            out.print(f"   {printable(name) + ': ' if name else ''}{printable(value)}", markup=False, soft_wrap=True)
