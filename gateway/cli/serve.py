"""``signet serve``: the HTTP service."""

from __future__ import annotations

from typing import Annotated

import typer

from gateway.cli.options import HomeOption
from gateway.cli.output import error_console, reporting
from guard.settings import load_settings

_EPILOG = (
    "Examples:\n\n"
    "  signet serve\n\n"
    "  SIGNET_API_KEYS_FILE=keys.txt signet serve --host 0.0.0.0 --port 8000\n\n"
    "  uvicorn service:app"
)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("serve", epilog=_EPILOG)(serve)


def serve(
    host: Annotated[str | None, typer.Option("--host", help="Address to listen on; default 127.0.0.1.")] = None,
    port: Annotated[int | None, typer.Option("--port", help="Port; default 8642.")] = None,
    home: HomeOption = None,
) -> None:
    """Serve the HTTP interface; its documentation is at /docs. A public address needs API keys."""
    import uvicorn

    from service import create_app

    with reporting(as_json=False):
        given = {name: value for name, value in {"host": host, "port": port, "home": home}.items() if value is not None}
        settings = load_settings(**given)
        app = create_app(settings)
        error_console().print(f"Signet on http://{settings.host}:{settings.port} (documentation: /docs)")
        uvicorn.run(app, host=settings.host, port=settings.port, log_level="warning", access_log=False)
