"""``signet keys``: make, list, rotate and retire keys; ask for certificates and install them; API keys."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Column, Table

from detectors.report.as_text import printable
from gateway.auth.api_keys import Scope, add_api_key
from gateway.cli.options import HomeOption, JSONOption
from gateway.cli.output import console, emit, error_console, reporting
from guard.assembly import key_access
from guard.errors import KeyMaterialError, RequestError
from guard.provenance.dev_ca import init_development_keys
from guard.provenance.keys.csr import RequestSubject
from guard.provenance.keys.ring import SignerEntry
from guard.provenance.keys.rotation import (
    init_production_keys,
    install_certificate,
    request_certificate,
    retire,
    rotate_development,
    use_service_key,
)
from guard.provenance.keys_folder import KeyInfo, list_keys
from guard.settings import Settings, load_settings

app = typer.Typer(no_args_is_help=True, help="Make, list, rotate and retire keys and certificates.")
_ALGORITHMS = "es256, es384, es512, ps256 or ed25519"
OrganisationOption = Annotated[str, typer.Option("--organisation", help="Legal name in the certificate.")]
NameOption = Annotated[str, typer.Option("--name", help="Common name: the signer that viewers show.")]
CountryOption = Annotated[str, typer.Option("--country", help="Country code, e.g. DE.")]
AnchorOption = Annotated[Path | None, typer.Option("--anchor", help="PEM root to trust from now on.")]
AlgorithmOption = Annotated[str, typer.Option("--algorithm", help=f"{_ALGORITHMS}.")]


def _settings(home: Path | None) -> Settings:
    return load_settings(**({"home": home} if home else {}))


@app.command(
    "init", epilog="Examples:\n\n  signet keys init\n\n  signet keys init --production --organisation 'Example'"
)
def init(
    home: HomeOption = None,
    production: Annotated[bool, typer.Option("--production", help="Encrypted keys and a certificate request.")] = False,
    organisation: OrganisationOption = "",
    name: NameOption = "",
    country: CountryOption = "",
    algorithm: AlgorithmOption = "es256",
    as_json: JSONOption = False,
) -> None:
    """Make signing, ledger and watermark keys. Never overwrites keys.

    Without --production: a local DEVELOPMENT certificate authority; its signatures prove nothing to others. With it:
    keys encrypted with SIGNET_KEY_PASSPHRASE_FILE or _FD, and a request for a certificate on standard output.
    """
    with reporting(as_json=as_json):
        settings = _settings(home)
        if production:
            passphrase = key_access(settings).passphrase
            key_id, request = init_production_keys(
                settings.keys_folder,
                subject=RequestSubject(organisation=organisation, common_name=name or organisation, country=country),
                algorithm=algorithm,
                passphrase=passphrase() if passphrase is not None else b"",
                now=datetime.now(UTC),
            )
            _show_request(key_id, request, as_json=as_json)
            return
        made = init_development_keys(settings.keys_folder, now=datetime.now(UTC))
        if as_json:
            emit({"folder": str(made.folder), "files": list(made.files), "keys": [_row(key) for key in made.keys]})
            return
        console().print(f"Made development keys in {made.folder}")
        console().print(_table(made.keys))
        error_console().print("[yellow]These keys are for development: nobody else trusts them.[/]")


@app.command("list", epilog="Example:\n\n  signet keys list --json")
def list_(home: HomeOption = None, as_json: JSONOption = False) -> None:
    """Show every key and certificate with its state and expiry; reads no private key."""
    with reporting(as_json=as_json):
        keys = list_keys(_settings(home).keys_folder, now=datetime.now(UTC))
        if as_json:
            emit({"keys": [_row(key) for key in keys]})
        else:
            console().print(_table(keys))


@app.command("rotate", epilog="Examples:\n\n  signet keys rotate\n\n  signet keys rotate --starts 2027-01-01T00:00:00")
def rotate(
    home: HomeOption = None,
    starts: Annotated[datetime | None, typer.Option("--starts", help="When it takes over (UTC); default: now.")] = None,
    as_json: JSONOption = False,
) -> None:
    """Issue a further development certificate; the old key stays usable beside it. Production: csr, then install."""
    with reporting(as_json=as_json):
        now = datetime.now(UTC)
        begins = starts.replace(tzinfo=UTC) if starts is not None else now
        _show_entry(rotate_development(_settings(home).keys_folder, starts=begins, now=now), as_json=as_json)


@app.command("csr", epilog="Example:\n\n  signet keys csr --organisation 'Example Org' --name 'Example' > request.pem")
def csr(
    organisation: OrganisationOption,
    name: NameOption = "",
    country: CountryOption = "",
    algorithm: AlgorithmOption = "es256",
    key: Annotated[str | None, typer.Option("--key", help="Reference of a key elsewhere (docs/keys.md).")] = None,
    home: HomeOption = None,
    as_json: JSONOption = False,
) -> None:
    """Make a key, or name one in a token or cloud, and print the request for its certificate."""
    with reporting(as_json=as_json):
        settings = _settings(home)
        key_id, request = request_certificate(
            settings.keys_folder,
            subject=RequestSubject(organisation=organisation, common_name=name or organisation, country=country),
            algorithm=algorithm,
            reference=key,
            access=key_access(settings),
            now=datetime.now(UTC),
        )
        _show_request(key_id, request, as_json=as_json)


@app.command("install", epilog="Example:\n\n  signet keys install chain.pem --anchor root.pem")
def install(
    chain: Annotated[Path, typer.Argument(help="PEM from the authority: certificate, then intermediates.")],
    anchor: AnchorOption = None,
    home: HomeOption = None,
    as_json: JSONOption = False,
) -> None:
    """Install a certificate for a pending request, once the key has proved that it fits."""
    with reporting(as_json=as_json):
        settings = _settings(home)
        entry = install_certificate(
            settings.keys_folder,
            _pem(chain),
            anchors_pem=_pem(anchor) if anchor is not None else None,
            access=key_access(settings),
            now=datetime.now(UTC),
        )
        _show_entry(entry, as_json=as_json)


@app.command("use", epilog="Example:\n\n  signet keys use https://signer.internal:8643/signer")
def use(
    reference: Annotated[str, typer.Argument(help="Address of a key of a signing service.")],
    anchor: AnchorOption = None,
    home: HomeOption = None,
    as_json: JSONOption = False,
) -> None:
    """Sign with a key of a signing service from now on; its certificate comes from the service."""
    with reporting(as_json=as_json):
        settings = _settings(home)
        entry = use_service_key(
            settings.keys_folder,
            reference=reference,
            anchors_pem=_pem(anchor) if anchor is not None else None,
            access=key_access(settings),
            now=datetime.now(UTC),
        )
        _show_entry(entry, as_json=as_json)


@app.command("retire", epilog="Example:\n\n  signet keys retire signer --destroy-key")
def retire_(
    key_id: Annotated[str, typer.Argument(help="Id, as `signet keys list` shows it.")],
    destroy_key: Annotated[bool, typer.Option("--destroy-key", help="Also remove the private key's file.")] = False,
    home: HomeOption = None,
    as_json: JSONOption = False,
) -> None:
    """Never sign with a key again. Its certificate stays: what it signed stays verifiable."""
    with reporting(as_json=as_json):
        entry = retire(_settings(home).keys_folder, key_id, destroy_key=destroy_key, now=datetime.now(UTC))
        _show_entry(entry, as_json=as_json)


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


def _pem(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as exc:
        raise KeyMaterialError(f"{path} cannot be read as PEM: {exc}.") from exc


def _show_request(key_id: str, request: bytes, *, as_json: bool) -> None:
    text = request.decode("ascii")
    if as_json:
        emit({"id": key_id, "request": text})
        return
    typer.echo(text, nl=False)
    error_console().print(
        f"Key {key_id} waits for its certificate. Send this request to a certificate authority of the C2PA trust list, "
        "then run `signet keys install`."
    )


def _show_entry(entry: SignerEntry, *, as_json: bool) -> None:
    chain = entry.chain
    row = {
        "id": entry.id,
        "state": entry.state.value,
        "place": entry.place,
        "name": chain.subject if chain else None,
        "not_before": chain.not_before.isoformat() if chain else None,
        "not_after": chain.not_after.isoformat() if chain else None,
    }
    if as_json:
        emit(row)
    else:
        name = printable(chain.subject) if chain else "no certificate yet"
        until = f"{chain.not_before:%Y-%m-%d %H:%M} to {chain.not_after:%Y-%m-%d %H:%M} UTC" if chain else ""
        console().print(f"{entry.id}: {entry.state} ({entry.place}) {name} {until}", markup=False, soft_wrap=True)


def _row(key: KeyInfo) -> dict[str, object]:
    return {
        "role": key.role,
        "id": key.id,
        "state": key.state,
        "place": key.place,
        "file": key.file,
        "algorithm": key.algorithm,
        "name": key.name,
        "fingerprint": key.fingerprint,
        "not_after": key.not_after.isoformat() if key.not_after else None,
        "days_left": key.days_left,
    }


def _table(keys: tuple[KeyInfo, ...]) -> Table:
    table = Table("Role", Column("Id", no_wrap=True), "State", "Days left", "Name", box=None)
    for key in keys:
        days = "" if key.days_left is None else str(key.days_left)
        place = f" ({key.place})" if key.place not in ("", "file") else ""
        table.add_row(key.role, key.id, key.state + place, days, printable(key.name))
    return table
