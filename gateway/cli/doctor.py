"""``signet doctor``: what works here, what does not, and what to do about it."""

from __future__ import annotations

import importlib.util
import sys
from importlib.metadata import packages_distributions
from typing import Any

import typer
from rich.markup import escape
from rich.table import Table

from gateway.cli.options import HomeOption, JSONOption, runtime
from gateway.cli.output import CLEAN, USAGE, console, emit, reporting
from guard import media
from guard.settings import Settings
from guard.version import __version__

_EXTRAS = {
    "generate": ("torch", "diffusers", "transformers"),
    "clip": ("open_clip", "timm"),
    "nudenet": ("nudenet",),
    "ocr": ("rapidocr",),
}
_OURS = ("guard", "detectors", "gateway", "service")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("doctor", epilog="Example:\n\n  signet doctor --json")(doctor)


def doctor(home: HomeOption = None, as_json: JSONOption = False) -> None:
    """Check this installation: extras, keys, ledger, models, policies, settings and limits."""
    with reporting(as_json=as_json), runtime(home) as opened:
        checks = [
            *_package_checks(),
            *({"name": c.name, "ok": c.ok, "warning": c.warning, "detail": c.detail} for c in opened.readiness()),
        ]
        settings = {name: _shown(getattr(opened.settings, name)) for name in Settings.model_fields}
    row = {
        "version": __version__,
        "python": sys.version.split()[0],
        "ok": all(check["ok"] for check in checks),
        "checks": checks,
        "settings": settings,
        "limits": {
            "max_bytes": media.MAX_BYTES,
            "max_pixels": media.MAX_PIXELS,
            "max_side_px": media.MAX_SIDE,
            "min_side_px": media.MIN_SIDE,
        },
    }
    if as_json:
        emit(row)
    else:
        _show(row)
    raise typer.Exit(CLEAN if row["ok"] else USAGE)


def _package_checks() -> list[dict[str, Any]]:
    """Say which extras are installed, and whether another distribution claims one of our import names."""
    checks: list[dict[str, Any]] = []
    for extra, modules in _EXTRAS.items():
        missing = [name for name in modules if importlib.util.find_spec(name) is None]
        detail = "installed" if not missing else f"not installed (pip install 'signet-gateway[{extra}]')"
        checks.append({"name": f"extra {extra}", "ok": True, "detail": detail})
    owners = packages_distributions()
    for name in _OURS:
        foreign = sorted(set(owners.get(name, [])) - {"signet-gateway"})
        detail = f"also provided by {', '.join(foreign)}" if foreign else "ours alone"
        checks.append({"name": f"import name {name}", "ok": not foreign, "detail": detail})
    return checks


def _shown(value: object) -> object:
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def _show(row: dict[str, Any]) -> None:
    out = console()
    out.print(f"Signet {row['version']}, Python {row['python']}")
    table = Table("", "Check", "Detail", box=None)
    for check in row["checks"]:
        good = "[yellow]soon[/]" if check.get("warning") else "[green]ok[/]"
        table.add_row(good if check["ok"] else "[red]no[/]", check["name"], escape(str(check["detail"])))
    out.print(table)
    settings = Table("Setting", "Value", "Meaning", box=None)
    for name, value in row["settings"].items():
        settings.add_row(f"SIGNET_{name.upper()}", escape(str(value)), Settings.model_fields[name].description or "")
    out.print(settings)
    out.print("Limits: " + ", ".join(f"{name} {value}" for name, value in row["limits"].items()))
