"""``signet weights``: other people's weights - what there is, fetching and pinning it, checking all of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn
from rich.table import Column, Table

from detectors.pretrained.assembly import detector_id
from detectors.pretrained.catalogue import CATALOGUE, HUB_URL, Entry, Kind, entry_of
from detectors.pretrained.installed import (
    AUTOENCODER_PREFIX,
    CARD_FILE,
    WEIGHTS_FOLDER,
    Installed,
    find_installed,
    verify_installed,
)
from detectors.pretrained.installer import install, install_autoencoder, require_accepted
from gateway.cli.downloads import download
from gateway.cli.options import HomeOption, JSONOption
from gateway.cli.output import CLEAN, FINDING, console, emit, error_console, make_folder, reporting
from guard.errors import RequestError, WeightsError
from guard.settings import load_settings
from guard.weights import DIGESTS_FILE, read_digests, require_commit, verify_folder

app = typer.Typer(no_args_is_help=True, help="Weights of other people's detectors: list, fetch and pin, verify.")
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_PACKAGES = Path(__file__).resolve().parents[2]
_PARTS = frozenset({Kind.BACKBONE, Kind.DISTANCE})
"""Weights that serve detectors and are none themselves."""
_BOXED = ("detectors", "guard")
"""Packages that ship weights, each folder of them with its digests."""


@app.command("list", epilog="Examples:\n\n  signet weights list\n\n  signet weights list --json")
def list_weights(home: HomeOption = None, as_json: JSONOption = False) -> None:
    """List the weights that Signet knows, their licences, and what is installed here."""
    with reporting(as_json=as_json):
        there = find_installed(_home(home))
        rows = [_row(entry, there.get(entry.id)) for entry in CATALOGUE]
        rows += [_own_row(one) for one in there.values() if one.entry is None]
    if as_json:
        emit({"weights": rows})
    else:
        table = Table(Column("id", no_wrap=True), "what", "licence", "size", "installed", "in a policy", "calibrated")
        for row in rows:
            size = _megabytes(row["bytes"]) if row["bytes"] else f"< {_megabytes(row['max_bytes'])}"
            installed = f"{row['installed']['date']} ({row['installed']['pinned_by']})" if row["installed"] else "-"
            calibrated = "yes" if row["calibrated"] else "-"
            table.add_row(row["id"], row["title"], row["licence"], size, installed, row["detector"] or "-", calibrated)
        console().print(table)
    raise typer.Exit(CLEAN)


@app.command(
    "fetch",
    epilog="Examples:\n\n  signet weights fetch univfd\n\n"
    "  signet weights fetch clip-vit-l-14 --revision <commit>\n\n"
    "  signet weights fetch npr --from ./NPR.pth --sha256 <hex> --accept-licence\n\n"
    "  signet weights fetch vae-sd15 --from ./stable-diffusion-v1-5/vae",
)
def fetch(
    name: Annotated[str, typer.Argument(help="Id from `signet weights list`, or vae-NAME for an autoencoder.")],
    source: Annotated[
        str | None, typer.Option("--from", help="Local file, folder (autoencoders) or https address.")
    ] = None,
    revision: Annotated[str | None, typer.Option("--revision", help="Full commit, for hub ids.")] = None,
    sha256: Annotated[str | None, typer.Option("--sha256", help="Digest that the file must have.")] = None,
    accept_licence: Annotated[
        bool, typer.Option("--accept-licence", help="You read the licence and may use the weights.")
    ] = False,
    home: HomeOption = None,
    as_json: JSONOption = False,
) -> None:
    """Fetch published weights, check or pin their digest, and install them; nothing runs until a policy lists it.

    Where neither the catalogue nor you name a digest, the digest of what arrived is pinned: compare it with the
    authors' before you rely on it.
    """
    with reporting(as_json=as_json):
        place = _home(home)
        if sha256 is not None and not re.fullmatch(r"[0-9a-f]{64}", sha256):
            raise RequestError(f"{sha256!r} is no SHA-256.", next_step="Give 64 lower-case hex digits.")
        if name.startswith(AUTOENCODER_PREFIX):
            installed = _fetch_autoencoder(name, source, home=place, sha256=sha256)
        else:
            installed = _fetch_entry(
                name, source, home=place, revision=revision, sha256=sha256, accepted=accept_licence
            )  # fmt: skip
    row = _own_row(installed) if installed.entry is None else _row(installed.entry, installed)
    if as_json:
        emit(row)
    else:
        _say_installed(installed)
    raise typer.Exit(CLEAN)


@app.command("verify", epilog="Examples:\n\n  signet weights verify\n\n  signet weights verify univfd --json")
def verify(
    names: Annotated[list[str] | None, typer.Argument(help="Ids; none: everything, the box included.")] = None,
    home: HomeOption = None,
    as_json: JSONOption = False,
) -> None:
    """Compare every installed file, and those in the box, with its pinned SHA-256; exit code 1 when one differs."""
    with reporting(as_json=as_json):
        rows = list(_verified(_home(home), names or []))
    failed = [row for row in rows if not row["ok"]]
    if as_json:
        emit({"ok": not failed, "weights": rows})
    else:
        table = Table("weights", "where", "state")
        for row in rows:
            table.add_row(row["id"], row["folder"], "as pinned" if row["ok"] else f"[bold red]{row['reason']}[/]")
        console().print(table)
    raise typer.Exit(FINDING if failed else CLEAN)


def _home(home: Path | None) -> Path:
    return load_settings(**({"home": home} if home else {})).home


def _fetch_entry(
    name: str, source: str | None, *, home: Path, revision: str | None, sha256: str | None, accepted: bool
) -> Installed:
    entry = entry_of(name)
    if entry is None:
        raise RequestError(f"There are no weights called {name!r}.", next_step="Choose from `signet weights list`.")
    require_accepted(entry, accepted=accepted)  # before anything is fetched
    today = datetime.now(UTC).date()
    local = Path(source) if source and "://" not in source else None
    if local is not None:
        if not local.is_file():
            raise RequestError(f"{local} is no file.", next_step="Check the path.")
        return install(
            entry, local, home=home, origin=str(local), revision=revision, sha256=sha256, accepted=accepted, today=today
        )  # fmt: skip
    url, commit = (source, revision) if source else _address(entry, revision)
    make_folder(home / WEIGHTS_FOLDER)
    part = home / WEIGHTS_FOLDER / f".{entry.id}.part"
    errors = error_console()
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal) as bar:
        task = bar.add_task(f"Fetching {entry.id}", total=None)
        download(
            url,
            part,
            max_bytes=entry.max_bytes,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    try:
        return install(
            entry, part, home=home, origin=url, revision=commit, sha256=sha256, accepted=accepted, today=today
        )  # fmt: skip
    finally:
        part.unlink(missing_ok=True)


def _address(entry: Entry, revision: str | None) -> tuple[str, str | None]:
    """Return where an entry is fetched from, and the commit. Raises RequestError, ConfigError."""
    if entry.hub is not None:
        commit = require_commit(revision or entry.revision, what=f"{entry.id} ({entry.hub})")
        return HUB_URL.format(hub=entry.hub, revision=commit, file=entry.hub_file), commit
    if entry.url is None:
        raise RequestError(
            f"The authors of {entry.id} offer no address from which a program can fetch it.",
            next_step=f"Get the file by way of {entry.page}, then: signet weights fetch {entry.id} --from FILE",
        )
    return entry.url, entry.revision


def _fetch_autoencoder(name: str, source: str | None, *, home: Path, sha256: str | None) -> Installed:
    short = name.removeprefix(AUTOENCODER_PREFIX)
    if not _NAME.fullmatch(short):
        raise RequestError(f"{name!r} is no name for an autoencoder.", next_step="Use vae- and a-z, 0-9, hyphens.")
    if source is None or not Path(source).is_dir():
        raise RequestError(
            f"{source or 'Nothing'} is no folder.", next_step="Name the `vae` folder of a diffusers model with --from."
        )
    today = datetime.now(UTC).date()
    return install_autoencoder(Path(source), name=short, home=home, sha256=sha256, today=today)


def _row(entry: Entry, installed: Installed | None) -> dict[str, Any]:
    """Return the JSON row of a catalogue entry."""
    return {
        "id": entry.id,
        "kind": entry.kind.value,
        "title": entry.title,
        "licence": entry.licence,
        "needs_acceptance": entry.needs_acceptance,
        "paper": entry.paper,
        "page": entry.page,
        "hub": entry.hub,
        "revision": entry.revision,
        "url": entry.url,
        "sha256": entry.sha256,
        "digest_source": entry.digest_source or None,
        "max_bytes": entry.max_bytes,
        "backbone": entry.backbone,
        **_state(installed),
    }


def _own_row(installed: Installed) -> dict[str, Any]:
    """Return the JSON row of an autoencoder."""
    return {
        "id": installed.record.entry,
        "kind": Kind.AUTOENCODER.value,
        "title": "Your autoencoder",
        "licence": "yours to know",
        "max_bytes": 0,
        **_state(installed),
    }


def _state(installed: Installed | None) -> dict[str, Any]:
    if installed is None:
        return {"installed": None, "bytes": 0, "detector": None, "calibrated": False}
    record = installed.record
    return {
        "installed": {"folder": str(installed.folder), **record.model_dump(mode="json")},
        "bytes": sum(file.bytes for file in record.files.values()),
        "detector": None if installed.kind in _PARTS else detector_id(installed),
        "calibrated": (installed.folder / CARD_FILE).is_file(),
    }


def _megabytes(count: int) -> str:
    return f"{count / 1e6:.0f} MB" if count >= 1e7 else f"{count / 1e6:.2f} MB"


def _say_installed(installed: Installed) -> None:
    record = installed.record
    lines = [
        f"Installed {record.entry} in {installed.folder}.",
        f"SHA-256 of the published file: {record.published_sha256}",
    ]
    if record.pinned_by == "first use":
        lines.append("Nobody named a digest, so this one is pinned from now on: compare it with the authors'.")
    if installed.kind not in _PARTS:
        lines.append(f"It judges nothing until a detection policy lists {detector_id(installed)}.")
    console().print("\n".join(lines), markup=False, soft_wrap=True)


def _verified(home: Path, names: list[str]) -> Iterator[dict[str, Any]]:
    """Yield one row for every set of weights. Raises RequestError for a name that is not installed."""
    there = find_installed(home)
    boxed = (
        set() if names else {path.parent for package in _BOXED for path in (_PACKAGES / package).rglob(DIGESTS_FILE)}
    )
    for missing in set(names) - there.keys():
        raise RequestError(f"{missing!r} is not installed.", next_step=f"signet weights fetch {missing}")
    for folder in sorted(boxed):
        yield _checked(f"in the box: {folder.relative_to(_PACKAGES)}", folder, None)
    for name, one in there.items():
        if not names or name in names:
            yield _checked(name, one.folder, one)


def _checked(name: str, folder: Path, installed: Installed | None) -> dict[str, Any]:
    try:
        if installed is None:
            verify_folder(folder, read_digests(folder))
        else:
            verify_installed(installed)
    except WeightsError as exc:
        return {"id": name, "folder": str(folder), "ok": False, "reason": str(exc)}
    return {"id": name, "folder": str(folder), "ok": True, "reason": None}
