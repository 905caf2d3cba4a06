"""``signet watermark embed|detect|canary``: the codec alone."""

from __future__ import annotations

import re
import secrets
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli.options import HomeOption, JSONOption, PathsArgument, runtime
from gateway.cli.output import (
    CLEAN,
    FINDING,
    NOT_EXAMINED,
    console,
    emit,
    for_each_file,
    read_file,
    reporting,
    write_file,
)
from guard.errors import RequestError
from guard.media import encode
from guard.records import ImageFormat, ImageID
from guard.watermark.canary import run_canary

app = typer.Typer(no_args_is_help=True, help="Embed or detect the invisible watermark, nothing else.")
_FORMATS = {
    ".png": ImageFormat.PNG,
    ".jpg": ImageFormat.JPEG,
    ".jpeg": ImageFormat.JPEG,
    ".webp": ImageFormat.WEBP,
}


@app.command("embed", epilog="Example:\n\n  signet watermark embed photo.png marked.png --id 00112233445566ff")
def embed(
    source: Annotated[Path, typer.Argument(metavar="IN", help="Picture to mark.")],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="Marked picture: .png, .jpg or .webp.")],
    image_id: Annotated[str | None, typer.Option("--id", help="16 hex digits; default: random.")] = None,
    home: HomeOption = None,
    as_json: JSONOption = False,
) -> None:
    """Write a marked copy; nothing is signed or recorded (see `signet sign`)."""
    with reporting(as_json=as_json), runtime(home) as opened:
        wanted = image_id or secrets.token_hex(8)
        if not re.fullmatch(r"[0-9a-f]{16}", wanted):
            raise RequestError("--id needs 16 lower-case hex digits.", next_step="Leave it out for a random id.")
        if target.suffix.lower() not in _FORMATS:
            raise RequestError(
                f"{target.suffix or 'No suffix'} cannot be written.", next_step="Use .png, .jpg or .webp."
            )
        pixels = opened.decode(read_file(source)).rgb
        marked = opened.core.watermarker.embed(pixels, ImageID(wanted))
        write_file(target, encode(marked, _FORMATS[target.suffix.lower()]))
    row = {"id": wanted, "path": str(target)}
    emit(row) if as_json else console().print(f"{target}: marked with id {wanted}")


@app.command("detect", epilog="Example:\n\n  signet watermark detect copy.jpg --json")
def detect(paths: PathsArgument, home: HomeOption = None, as_json: JSONOption = False) -> None:
    """Look for our watermark. Exit code 1 when one is found."""
    with reporting(as_json=as_json), runtime(home) as opened:
        marker = opened.core.watermarker

        def examine(_: Path, data: bytes) -> tuple[dict[str, Any], int]:
            reading = marker.detect(opened.decode(data).rgb)
            geometry = reading.geometry
            row = {
                "found": reading.image_id is not None,
                "id": reading.image_id,
                "log10_p": round(reading.log10_p, 3),
                "algorithm": reading.algorithm,
                "geometry": None
                if geometry is None
                else {
                    "scale": round(geometry.scale, 4),
                    "rotation_deg": round(geometry.rotation_deg, 2),
                    "mirrored": geometry.mirrored,
                },
            }
            return row, FINDING if reading.image_id else CLEAN

        def show(row: dict[str, Any]) -> None:
            found = f"id {row['id']}, p <= 10^{row['log10_p']:.1f}" if row["found"] else "no watermark of ours"
            console().print(f"{row['path']}: {found}", markup=False)

        code = for_each_file(paths, examine, as_json=as_json, show=show)
    raise typer.Exit(code)


@app.command("canary", epilog="Example:\n\n  signet watermark canary --json   (weekly, and after every update)")
def canary(home: HomeOption = None, as_json: JSONOption = False) -> None:
    """Mark, harm and read back drawn pictures with this installation's key. Exit code 3 when anything fails."""
    with reporting(as_json=as_json), runtime(home) as opened:
        checks = run_canary(opened.core.watermarker)
    failed = [check for check in checks if not check.ok]
    if as_json:
        rows = [{"name": c.name, "ok": c.ok, "detail": c.detail, "seconds": round(c.seconds, 4)} for c in checks]
        emit({"ok": not failed, "checks": rows})
    else:
        for check in failed:
            console().print(f"FAILED {check.name}: {check.detail}", markup=False)
        console().print(f"{len(checks) - len(failed)} of {len(checks)} checks passed")
    raise typer.Exit(NOT_EXAMINED if failed else CLEAN)
