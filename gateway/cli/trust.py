"""``signet trust``: whose signatures count as trusted here."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from cryptography import x509
from rich.table import Column, Table

from detectors.report.as_text import printable
from gateway.cli.options import HomeOption, JSONOption
from gateway.cli.output import FINDING, console, emit, reporting
from guard.provenance.trust import TrustKind
from guard.provenance.trust_store import OFFICIAL_LISTS, ListChange, ListEntry, ListPinnedError, TrustStore
from guard.settings import load_settings

app = typer.Typer(no_args_is_help=True, help="Fetch, list and pin the lists of trusted signers and time-stampers.")
NameArgument = Annotated[str, typer.Argument(help="Name of a trust list.")]


def _store(home: Path | None) -> TrustStore:
    return TrustStore(load_settings(**({"home": home} if home else {})).trust_folder)


@app.command(
    "update",
    epilog="Examples:\n\n  signet trust update\n\n  signet trust update c2pa --from C2PA-TRUST-LIST.pem\n\n"
    "  signet trust update news --kind manifest --from https://example.org/list.pem --sha256 DIGEST",
)
def update(
    name: Annotated[str | None, typer.Argument(help="One list; default: every list, else the C2PA's two.")] = None,
    source: Annotated[str | None, typer.Option("--from", help="https URL or file.")] = None,
    kind: Annotated[TrustKind | None, typer.Option("--kind", help="Whom a new list vouches for.")] = None,
    sha256: Annotated[str | None, typer.Option("--sha256", help="Digest that the list must have.")] = None,
    home: HomeOption = None,
    as_json: JSONOption = False,
) -> None:
    """Fetch or import trust lists. A pinned list changes only when the new digest is named.

    New lists are pinned to what was fetched first. Exit code 1: a pinned list has changed at its source.
    """
    with reporting(as_json=as_json):
        store = _store(home)
        names = [name] if name is not None else [entry.name for entry in store.entries()] or list(OFFICIAL_LISTS)
        held = None
        for each in names:
            try:
                change = store.update(each, kind=kind, source=source, sha256=sha256, now=datetime.now(UTC))
            except ListPinnedError as error:  # go on with the others, then say so
                held = error
                continue
            _show_change(change, as_json=as_json)
        if held is not None:
            raise held


@app.command("list", epilog="Example:\n\n  signet trust list --json")
def list_(home: HomeOption = None, as_json: JSONOption = False) -> None:
    """Show the trust lists and their certificates. Exit code 1: a certificate on them has expired."""
    with reporting(as_json=as_json):
        store, now = _store(home), datetime.now(UTC)
        expired = 0
        for entry in store.entries():
            certificates = store.certificates(entry)
            expired += sum(certificate.not_valid_after_utc < now for certificate in certificates)
            if as_json:
                emit(_row(entry) | {"certificates": [_certificate_row(c) for c in certificates]})
            else:
                _show_list(entry, certificates, now)
        if not store.entries() and not as_json:
            console().print("There is no trust list; `signet trust update` fetches the C2PA's.")
    raise typer.Exit(FINDING if expired else 0)


@app.command("pin", epilog="Examples:\n\n  signet trust pin c2pa\n\n  signet trust pin c2pa --off")
def pin(
    name: NameArgument,
    off: Annotated[bool, typer.Option("--off", help="Follow the source from now on.")] = False,
    home: HomeOption = None,
    as_json: JSONOption = False,
) -> None:
    """Keep a list as it is until a new digest is named, or let it follow its source."""
    with reporting(as_json=as_json):
        _show_entry(_store(home).pin(name, pinned=not off), as_json=as_json)


@app.command("remove", epilog="Example:\n\n  signet trust remove news")
def remove(name: NameArgument, home: HomeOption = None, as_json: JSONOption = False) -> None:
    """Trust a list no more."""
    with reporting(as_json=as_json):
        _show_entry(_store(home).remove(name), as_json=as_json)


def _row(entry: ListEntry) -> dict[str, object]:
    return {
        "name": entry.name,
        "kind": entry.kind.value,
        "source": entry.source,
        "sha256": entry.sha256,
        "pinned": entry.pinned,
        "updated_at": entry.updated_at,
    }


def _certificate_row(certificate: x509.Certificate) -> dict[str, object]:
    return {
        "name": certificate.subject.rfc4514_string(),
        "not_after": certificate.not_valid_after_utc.isoformat(),
    }


def _show_change(change: ListChange, *, as_json: bool) -> None:
    if as_json:
        emit(_row(change.entry) | {"added": list(change.added), "removed": list(change.removed)})
        return
    out = console()
    out.print(
        f"{change.entry.name}: {len(change.added)} added, {len(change.removed)} removed; SHA-256 {change.entry.sha256}",
        soft_wrap=True,
    )
    for sign, names in (("+", change.added), ("-", change.removed)):
        for name in names:
            out.print(f"  {sign} {printable(name)}", markup=False, soft_wrap=True)


def _show_entry(entry: ListEntry, *, as_json: bool) -> None:
    if as_json:
        emit(_row(entry))
    else:
        state = "pinned to" if entry.pinned else "follows its source; now"
        console().print(f"{entry.name}: {state} {entry.sha256}", soft_wrap=True)


def _show_list(entry: ListEntry, certificates: tuple[x509.Certificate, ...], now: datetime) -> None:
    out = console()
    state = "pinned" if entry.pinned else "follows its source"
    out.print(f"{entry.name}: vouches for {entry.kind.describe()}, {state}, {entry.sha256[:16]}, {entry.updated_at}")
    out.print(f"  from {printable(entry.source)}", markup=False, soft_wrap=True)
    table = Table(Column("Until", no_wrap=True), "Name", box=None)
    for certificate in certificates:
        until = f"{certificate.not_valid_after_utc:%Y-%m-%d}"
        style = "red" if certificate.not_valid_after_utc < now else None
        table.add_row(until, printable(certificate.subject.rfc4514_string()).replace("[", "\\["), style=style)
    out.print(table)
