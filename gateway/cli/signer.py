"""``signet signer``: the reference signing service, which keeps claim-signing keys out of the gateway process."""

from __future__ import annotations

import signal
import sys
import threading
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.options import HomeOption, JSONOption
from gateway.cli.output import console, emit, error_console, reporting
from guard.assembly import key_access
from guard.errors import RequestError
from guard.provenance.keys.mutual_tls import CA, SERVICE, SERVICE_KEY, init_mutual_tls
from guard.provenance.keys.ring import load_ring
from guard.provenance.keys.signing_service import ServiceTLS, SigningRecord, SigningService
from guard.provenance.keys_folder import DEVELOPMENT, read_environment
from guard.settings import load_settings

app = typer.Typer(no_args_is_help=True, help="Run a signing service for gateways; both ends authenticate each other.")


@app.command("init", epilog="Example:\n\n  signet signer init tls --host signer.internal --front-end gateway-1")
def init(
    folder: Annotated[Path, typer.Argument(help="New folder for the certificates.")],
    host: Annotated[list[str], typer.Option("--host", help="Name or address of the service; repeatable.")],
    front_end: Annotated[list[str], typer.Option("--front-end", help="Name of a gateway; repeatable.")],
    as_json: JSONOption = False,
) -> None:
    """Make the certificates with which a signing service and its gateways recognise each other."""
    with reporting(as_json=as_json):
        if not all(name.replace("-", "").replace(".", "").isalnum() for name in front_end):
            raise RequestError("A front end's name may hold letters, digits, dots and hyphens.")
        made = init_mutual_tls(folder, hosts=tuple(host), front_ends=tuple(front_end), now=datetime.now(UTC))
        if as_json:
            emit({"folder": str(made.folder), "files": list(made.files)})
            return
        for name in made.files:
            console().print(str(made.folder / name), soft_wrap=True)
        error_console().print(
            f"Service: {SERVICE}, {SERVICE_KEY}, {CA}. Each gateway: {CA} and its own two files. "
            "Move ca.key.pem off line; it makes further gateways."
        )


@app.command("serve", epilog="Example:\n\n  signet signer serve --tls tls --allow gateway-1 --host 0.0.0.0")
def serve(
    tls: Annotated[Path, typer.Option("--tls", help="Folder of `signet signer init`.")],
    allow: Annotated[list[str], typer.Option("--allow", help="Front end that may ask; repeatable.")],
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", help="Port to listen on; 0 takes a free one.")] = 8643,
    home: HomeOption = None,
    as_json: JSONOption = False,
) -> None:
    """Serve signatures with the keys of this machine until stopped; one audit line per request on standard output.

    Each key is served under its id (`signet keys list`), so that a gateway's certificate and key stay together while
    keys are rotated here; on the gateway: `signet keys use https://HOST:PORT/ID`.
    """
    with reporting(as_json=as_json):
        settings = load_settings(**({"home": home} if home else {}))
        folder, now = settings.keys_folder, datetime.now(UTC)
        development = read_environment(folder) == DEVELOPMENT
        ring = load_ring(
            folder,
            now=now,
            clock=lambda: datetime.now(UTC),
            access=key_access(settings),
            development=development,
        )
        service = SigningService(
            (host, port),
            tls=ServiceTLS(certificate_file=tls / SERVICE, key_file=tls / SERVICE_KEY, clients_ca_file=tls / CA),
            keys={entry.id: partial(ring.get, entry.id) for entry in ring.entries},
            clients=frozenset(allow),
            on_record=_print_record,
        )
        for entry in ring.entries:
            error_console().print(f"Signing for {', '.join(allow)}: https://{host}:{service.port}/{entry.id}")
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: threading.Thread(target=service.close).start())
        service.serve_forever()


def _print_record(record: SigningRecord) -> None:
    """Print one audit line; several threads call this, and one write is one line."""
    emit(
        {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "client": record.client,
            "key": record.key_id,
            "data_sha256": record.data_sha256,
            "status": record.status,
            "reason": record.reason,
        }
    )
    sys.stdout.flush()
