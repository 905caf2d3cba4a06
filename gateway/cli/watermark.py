"""``signet watermark embed|detect|confirm|canary``: the codec alone, and the mark in the initial noise."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
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
from guard.assembly import build_generators
from guard.errors import RequestError
from guard.ledger.sqlite_store import SQLiteLedger
from guard.picture_file import write_picture
from guard.records import ImageFormat, ImageID
from guard.watermark.canary import run_canary
from guard.watermark.latent_inversion import confirmed_latent

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
    """Write a marked copy with its transparency and metadata; nothing is signed or recorded (see `signet sign`)."""
    with reporting(as_json=as_json), runtime(home) as opened:
        wanted = image_id or secrets.token_hex(8)
        _require_id(wanted)
        if target.suffix.lower() not in _FORMATS:
            raise RequestError(
                f"{target.suffix or 'No suffix'} cannot be written.", next_step="Use .png, .jpg or .webp."
            )
        picture = opened.core.open_picture(read_file(source))
        marked = opened.core.watermarker.embed(picture.rgb, ImageID(wanted))
        write_file(target, write_picture(marked, picture, _FORMATS[target.suffix.lower()].media_type))
    row = {"id": wanted, "path": str(target)}
    emit(row) if as_json else console().print(f"{target}: marked with id {wanted}")


def _require_id(text: str) -> None:
    """Raise RequestError unless the text is an image id."""
    if not re.fullmatch(r"[0-9a-f]{16}", text):
        raise RequestError("--id needs 16 lower-case hex digits.", next_step="Leave it out, or give an id in full.")


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


@app.command("confirm", epilog="Example:\n\n  signet watermark confirm copy.jpg --id 00112233445566ff")
def confirm(
    paths: PathsArgument,
    image_id: Annotated[str | None, typer.Option("--id", help="Candidate; default: what the pixel mark says.")] = None,
    home: HomeOption = None,
    as_json: JSONOption = False,
) -> None:
    """Run the model backwards: did the picture grow from our noise? Needs SIGNET_LATENT_MARK at generation.

    Exit code 1 when a picture is confirmed.
    """
    with reporting(as_json=as_json), runtime(home) as opened:
        if image_id is not None:
            _require_id(image_id)
        generators = build_generators(opened.settings)

        def examine(_: Path, data: bytes) -> tuple[dict[str, Any], int]:
            pixels = opened.decode(data).rgb
            seen = opened.core.watermarker.detect(pixels)
            wanted = image_id or seen.image_id
            made = _release_of(opened.core.ledger, wanted)
            generator = generators.get(made.model_id)
            if generator is None:
                raise RequestError(
                    f"The model {made.model_id!r} is not installed here.",
                    next_step="Add it to the models file (SIGNET_MODELS).",
                )
            mirrored = seen.geometry is not None and seen.geometry.mirrored
            reading = generator.lend(
                lambda pipeline: confirmed_latent(
                    pipeline, opened.core.latent_mark, pixels, made.image_id, size=made.size, mirrored=mirrored
                )
            )
            row = {
                "confirmed": reading.image_id is not None,
                "id": made.image_id,
                "log10_p": round(reading.log10_p, 3),
                "algorithm": reading.algorithm,
            }
            return row, FINDING if reading.image_id else CLEAN

        def show(row: dict[str, Any]) -> None:
            verdict = "grew from our noise" if row["confirmed"] else "not confirmed"
            console().print(f"{row['path']}: {verdict}, id {row['id']}, p <= 10^{row['log10_p']:.1f}", markup=False)

        code = for_each_file(paths, examine, as_json=as_json, show=show)
    raise typer.Exit(code)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Release:
    """What the ledger says of a picture that grew from marked noise."""

    image_id: ImageID
    model_id: str
    size: tuple[int, int]


def _release_of(ledger: SQLiteLedger, image_id: str | None) -> _Release:
    """Return how a picture was made. Raises RequestError when that is unknown or its noise was not marked."""
    if image_id is None:
        raise RequestError("The picture shows no mark of ours.", next_step="Name a candidate with --id.")
    proof = ledger.proof(ImageID(image_id))
    body = {} if proof is None else proof.body
    if not body.get("latent_mark"):
        raise RequestError(
            f"No picture {image_id} was generated here from marked noise.",
            next_step="Set SIGNET_LATENT_MARK=true; it holds for pictures generated from then on.",
        )
    size = (int(body["image"]["width"]), int(body["image"]["height"]))
    return _Release(image_id=ImageID(image_id), model_id=body["model"]["model_id"], size=size)


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
