"""``signet verify``: content credentials alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from detectors.report.as_text import printable
from gateway.cli.options import HomeOption, JSONOption, PathsArgument, runtime
from gateway.cli.output import CLEAN, FINDING, console, for_each_file, read_file, reporting
from guard.credentials import CredentialState
from guard.errors import MediaTooLargeError
from guard.media import MAX_BYTES, sniff_media_type

if TYPE_CHECKING:
    from gateway.runtime import Runtime

_EPILOG = (
    "Examples:\n\n  signet verify picture.png\n\n"
    "  signet verify uploads/ --json > credentials.jsonl\n\n"
    "  signet verify report.pdf --manifest report.pdf.c2pa"
)
_COLOUR = {
    CredentialState.TRUSTED: "green",
    CredentialState.VALID_UNTRUSTED: "yellow",
    CredentialState.INVALID: "red",
    CredentialState.UNREADABLE: "red",
    CredentialState.NONE: "default",
}
_HOLDING = (CredentialState.TRUSTED, CredentialState.VALID_UNTRUSTED)
_FINDINGS = (CredentialState.INVALID, CredentialState.UNREADABLE)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("verify", epilog=_EPILOG)(verify)


def verify(
    paths: PathsArgument,
    manifest: Annotated[
        Path | None, typer.Option("--manifest", help="Manifest store that stands beside the file (FILE.c2pa).")
    ] = None,
    home: HomeOption = None,
    as_json: JSONOption = False,
) -> None:
    """Read C2PA credentials: none, unreadable, invalid, valid_untrusted or trusted.

    Exit code 1 when credentials are present and do not hold.
    """
    with reporting(as_json=as_json), runtime(home) as opened:
        store = None if manifest is None else read_file(manifest)

        def examine(path: Path, data: bytes) -> tuple[dict[str, Any], int]:
            row = opened.verify(data, name=str(path)) if store is None else _beside(opened, data, store)
            row.pop("path")
            return row, FINDING if row["state"] in _FINDINGS else CLEAN

        code = for_each_file(paths, examine, as_json=as_json, show=_show)
    raise typer.Exit(code)


def _beside(opened: Runtime, data: bytes, store: bytes) -> dict[str, Any]:
    """Return the row of a file whose manifest stands beside it; one that is of other bytes is invalid."""
    from gateway.runtime import credential_row  # with numpy and the parsers, which --help does not need

    if len(data) > MAX_BYTES:
        raise MediaTooLargeError(f"The file has more than {MAX_BYTES} bytes.")
    stored = opened.core.reader.read_stored_manifest(store, data)
    row = credential_row(stored.report, path=None, media_type=sniff_media_type(data))
    if not stored.matches_asset and stored.report.state in _HOLDING:
        row |= {
            "state": CredentialState.INVALID.value,
            "ai_origin": None,
            "explanation": "The manifest is intact, but it was made for other bytes than this file has.",
        }
    return row


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
