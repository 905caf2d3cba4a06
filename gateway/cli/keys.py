"""``signet keys``: make and list keys, certificates and API keys."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from gateway.auth.api_keys import Scope, add_api_key
from gateway.cli.options import HomeOption, JSONOption
from gateway.cli.output import console, emit, error_console, reporting
from guard.errors import RequestError
from guard.provenance.dev_ca import init_development_keys
from guard.provenance.keys_folder import KeyInfo, list_keys
from guard.settings import load_settings

app = typer.Typer(no_args_is_help=True, help="Make and list keys and certificates.")


def _folder(home: Path | None) -> Path:
    return load_settings(**({"home": home} if home else {})).keys_folder


@app.command("init", epilog="Example:\n\n  signet keys init")
def init(home: HomeOption = None, as_json: JSONOption = False) -> None:
    """Make a local DEVELOPMENT certificate authority, a ledger key and a watermark key. Never overwrites keys.

    Signatures made with development keys prove nothing to others; docs/provenance.md says how to get real ones.
    """
    with reporting(as_json=as_json):
        made = init_development_keys(_folder(home), now=datetime.now(UTC))
        if as_json:
            emit({"folder": str(made.folder), "files": list(made.files), "keys": [_row(key) for key in made.keys]})
            return
        console().print(f"Made development keys in {made.folder}")
        console().print(_table(made.keys))
        error_console().print("[yellow]These keys are for development: nobody else trusts them.[/]")


@app.command("list", epilog="Example:\n\n  signet keys list --json")
def list_(home: HomeOption = None, as_json: JSONOption = False) -> None:
    """Show every key and certificate with its expiry; reads no private key."""
    with reporting(as_json=as_json):
        keys = list_keys(_folder(home), now=datetime.now(UTC))
        if as_json:
            emit({"keys": [_row(key) for key in keys]})
        else:
            console().print(_table(keys))


@app.command("api", epilog="Example:\n\n  signet keys api --name newsroom --file api-keys.txt --scope detect")
def api(
    name: Annotated[str, typer.Option("--name", help="Who will use the key.")],
    file: Annotated[Path, typer.Option("--file", help="Key file that SIGNET_API_KEYS_FILE will name.")],
    tenant: Annotated[str, typer.Option("--tenant", help="Whose images the key can reach.")] = "local",
    scope: Annotated[list[Scope] | None, typer.Option("--scope", help="Repeatable; default: all.")] = None,
    as_json: JSONOption = False,
) -> None:
    """Make an API key for the service. The key is shown once; the file keeps only its digest."""
    with reporting(as_json=as_json):
        if not file.parent.exists():
            raise RequestError(f"The folder {file.parent} does not exist.", next_step="Make it, then run this again.")
        scopes = frozenset(scope or list(Scope))
        key = add_api_key(file, name=name, tenant=tenant, scopes=scopes)
        if as_json:
            emit({"name": name, "tenant": tenant, "scopes": sorted(scopes), "key": key})
        else:
            console().print(key, soft_wrap=True)
            error_console().print("Keep this key now; it is not shown again.")


def _row(key: KeyInfo) -> dict[str, object]:
    return {
        "role": key.role,
        "file": key.file,
        "algorithm": key.algorithm,
        "name": key.name,
        "fingerprint": key.fingerprint,
        "not_after": key.not_after.isoformat() if key.not_after else None,
        "days_left": key.days_left,
    }


def _table(keys: tuple[KeyInfo, ...]) -> Table:
    table = Table("Role", "Name", "Algorithm", "Days left", "SHA-256")
    for key in keys:
        days = "" if key.days_left is None else str(key.days_left)
        table.add_row(key.role, key.name, key.algorithm, days, key.fingerprint[:16])
    return table
