"""``signet sign``: mark, sign and record files that were made elsewhere."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli.options import HomeOption, JSONOption, PathsArgument, runtime
from gateway.cli.output import CLEAN, console, for_each_file, read_file, reporting
from gateway.cli.targets import Targets
from guard.errors import MediaError
from guard.provenance.manifest import PROMPT_LABEL, EditOperation, ManifestKind
from guard.provenance.source_types import full_source_type
from guard.records import LabelMode
from guard.signing.request import SignedFile, SigningRequest

_EPILOG = (
    "Examples:\n\n"
    "  signet sign photo.jpg --out signed.jpg\n\n"
    "  signet sign output.png --out signed.png --kind generated --model stabilityai/sd-turbo\n\n"
    "  signet sign edited.png --out signed.png --kind edited --parent original.jpg\n\n"
    "  signet sign pictures/ --out signed/ --json > signed.jsonl\n\n"
    "  signet sign found.png --out signed.png --source-type trainedAlgorithmicMedia\n\n"
    "  signet sign clip.mp4 --out signed.mp4 --no-mark\n\n"
    "  signet sign report.pdf --out report.pdf --no-mark --sidecar"
)
_SUFFIXES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
    ".avif": "image/avif",
}
"""Suffixes of output files that choose the format; any other keeps the format of the input."""
SIDECAR_SUFFIX = ".c2pa"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("sign", epilog=_EPILOG)(sign)


def sign(
    paths: PathsArgument,
    out: Annotated[Path, typer.Option("--out", help="Signed file; a folder when several files are signed.")],
    kind: Annotated[ManifestKind, typer.Option("--kind", help="What the credential states.")] = ManifestKind.IMPORTED,
    parent: Annotated[Path | None, typer.Option("--parent", help="Source of an edit; becomes an ingredient.")] = None,
    model: Annotated[str, typer.Option("--model", help="Model that made or changed the picture.")] = "",
    revision: Annotated[str, typer.Option("--revision", help="Pinned revision of that model.")] = "",
    edit: Annotated[
        EditOperation, typer.Option("--edit", help="With --kind edited: what the model did.")
    ] = EditOperation.EDITED,
    source_type: Annotated[
        str | None,
        typer.Option("--source-type", help="How an imported picture was made, e.g. trainedAlgorithmicMedia (IPTC)."),
    ] = None,
    prompt: Annotated[str, typer.Option("--prompt", help="Put a prompt into the file, where all can read it.")] = "",
    redact_prompt: Annotated[
        bool, typer.Option("--redact-prompt", help="Take the prompt out of a file that was signed with one.")
    ] = False,
    label: Annotated[LabelMode, typer.Option("--label", help="Visible label to composite.")] = LabelMode.NONE,
    mark: Annotated[
        bool, typer.Option("--mark/--no-mark", help="Embed our watermark; without it, one layer only.")
    ] = True,
    sidecar: Annotated[
        bool, typer.Option("--sidecar", help="Write the manifest to OUT.c2pa instead of into the file.")
    ] = False,
    home: HomeOption = None,
    as_json: JSONOption = False,
) -> None:
    """Mark and sign existing files, verify them, and record them so that stripped copies are traced back.

    A file that carries a watermark already is not marked twice; one that carries a history is not signed as generated.
    Nothing is checked for content (see `signet check-image`).
    """
    with reporting(as_json=as_json), runtime(home) as opened:
        targets = Targets(paths, out)
        wanted = SigningRequest(
            data=b"",
            kind=kind,
            parent=None if parent is None else read_file(parent),
            mark=mark,
            sidecar=sidecar,
            label=label,
            model_name=model,
            model_revision=revision,
            edit=edit,
            source_type=None if source_type is None else full_source_type(source_type),
            prompt=prompt,
            redact=(PROMPT_LABEL,) if redact_prompt else (),
            tenant=opened.settings.tenant,
        )

        def examine(path: Path, data: bytes) -> tuple[dict[str, Any], int]:
            target = targets.of(path)
            media_type = _SUFFIXES.get(target.suffix.lower())
            signed = opened.core.file_signer.sign(replace(wanted, data=data, media_type=media_type))
            _write(targets, target, signed, sidecar=sidecar)
            return _row(signed, target), CLEAN

        code = for_each_file(paths, examine, as_json=as_json, show=_show)
    raise typer.Exit(code)


def _write(targets: Targets, target: Path, signed: SignedFile, *, sidecar: bool) -> None:
    """Write the file, and its manifest beside it; refuses a suffix that says something else. Raises MediaError."""
    expected = _SUFFIXES.get(target.suffix.lower())
    if expected is not None and expected != signed.media_type:
        raise MediaError(
            f"{target} would hold {signed.media_type}.", next_step="Give the output the suffix of its format."
        )
    targets.write(target, signed.data)
    if sidecar:
        targets.write(target.with_name(target.name + SIDECAR_SUFFIX), signed.manifest)


def _row(signed: SignedFile, target: Path) -> dict[str, Any]:
    """Return the promised JSON keys, and what else is known."""
    return {
        "out": str(target),
        "image_id": signed.image_id,
        "manifest_label": signed.manifest_label,
        "sha256": signed.sha256,
        "media_type": signed.media_type,
        "state": signed.credential.state.value,
        "time_stamp": signed.time_stamp.value,
        "marked": signed.reading is not None,
        "carried_mark": None
        if signed.carried is None
        else {"algorithm": signed.carried.algorithm, "id": signed.carried.value},
        "ledger_index": signed.receipt.index,
    }


def _show(row: dict[str, Any]) -> None:
    if row["marked"]:
        mark = "marked"
    elif row["carried_mark"]:
        mark = f"not marked again: carries {row['carried_mark']['algorithm']}, id {row['carried_mark']['id']}"
    else:
        mark = "not marked"
    console().print(
        f"{row['out']}: signed ({row['state']}), {mark}, id {row['image_id']}, ledger entry {row['ledger_index']}",
        markup=False,
        soft_wrap=True,
    )
