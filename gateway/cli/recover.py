"""``signet recover``: from a stripped copy back to its original manifest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.options import HomeOption, JSONOption, PathsArgument, runtime
from gateway.cli.output import CLEAN, FINDING, console, for_each_file, reporting
from gateway.cli.targets import Targets
from guard.errors import RequestError
from guard.fingerprint import Match
from guard.interfaces import Registration
from guard.recovery import Recovery

if TYPE_CHECKING:
    from gateway.runtime import Runtime

_EPILOG = (
    "Examples:\n\n"
    "  signet recover copy.jpg --out original.c2pa\n\n"
    "  signet recover copy.jpg --out original.json --json\n\n"
    "  signet recover copy.jpg --out original.png\n\n"
    "  signet recover copies/ --out manifests/ --json > recovered.jsonl"
)
_PICTURES = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".webp": "image/webp"}
"""Suffixes under which the released file itself is written: the formats that are stored."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("recover", epilog=_EPILOG)(recover)


def recover(
    paths: PathsArgument,
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            help="What to write: FILE.c2pa the manifest store, FILE.json what it says, a picture suffix the released "
            "file itself, where it is still stored. A folder for several copies.",
        ),
    ],
    home: HomeOption = None,
    as_json: JSONOption = False,
) -> None:
    """Find the manifest that a copy without credentials was released with: by watermark, else by fingerprint.

    The copy must look like the registered picture; a mark that was copied onto another picture is reported as a
    mismatch. Exit code 1 when nothing is recovered.
    """
    with reporting(as_json=as_json), runtime(home) as opened:
        targets = Targets(paths, out, suffix=".c2pa")

        def examine(path: Path, data: bytes) -> tuple[dict[str, Any], int]:
            found = opened.core.recovery.recover(opened.decode(data).rgb)
            row = _row(found)
            if found.registration is not None:
                target = targets.of(path)
                targets.write(target, _content(opened, found.registration, target, row))
                row["out"] = str(target)
            return row, CLEAN if found.recovered else FINDING

        code = for_each_file(paths, examine, as_json=as_json, show=_show)
    raise typer.Exit(code)


def _row(found: Recovery) -> dict[str, Any]:
    """Return the promised JSON keys, and what else is known; an undecidable comparison is no match of either kind."""
    from gateway.runtime import credential_row  # with the parsers, which --help does not need

    decided = found.match in (Match.CONFIRMED, Match.MISMATCH)
    row: dict[str, Any] = {
        "recovered": found.recovered,
        "route": None if found.route is None else found.route.value,
        "match": found.match.value if found.match is not None and decided else None,
        "image_id": found.image_id,
        "reason": found.reason,
        "out": None,
        "manifest": None,
    }
    if found.registration is not None and found.credential is not None:
        row["manifest"] = credential_row(found.credential, path=None, media_type=found.registration.media_type)
        del row["manifest"]["path"]
    return row


def _content(opened: Runtime, registration: Registration, target: Path, row: dict[str, Any]) -> bytes:
    """Return what to write under a suffix. Raises RequestError when it is not what is stored."""
    wanted = _PICTURES.get(target.suffix.lower())
    if target.suffix.lower() == ".json":
        return (json.dumps(row, ensure_ascii=False, indent=2) + "\n").encode()
    if wanted is None:
        return registration.manifest
    stored = opened.core.images.get(registration.image_id)
    if stored is None:
        raise RequestError(
            f"The bytes of {registration.image_id} are not stored here; only its manifest is.",
            next_step="Write the manifest instead: --out FILE.c2pa.",
        )
    if stored[1] != wanted:
        raise RequestError(
            f"The released file is {stored[1]}, not {wanted}.", next_step="Give --out the suffix of that format."
        )
    return stored[0]


def _show(row: dict[str, Any]) -> None:
    out = console()
    if row["recovered"]:
        manifest = row["manifest"]
        text = f"recovered by {row['route']}, image {row['image_id']}, {manifest['state']}, signer {manifest['signer']}"
        out.print(f"{row['path']}: {text} -> {row['out']}", markup=False, soft_wrap=True)
    else:
        out.print(f"{row['path']}: not recovered. {row['reason']}", markup=False, soft_wrap=True)
