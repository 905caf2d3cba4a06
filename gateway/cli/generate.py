"""``signet generate``: the whole guarded flow from the command line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from gateway.cli.options import HomeOption, JSONOption, LocaleOption, runtime
from gateway.cli.output import (
    CLEAN,
    FINDING,
    NOT_EXAMINED,
    console,
    emit,
    error_console,
    make_folder,
    read_file,
    reporting,
    write_file,
)
from gateway.wire import outcome_row
from guard.interfaces import GenerationHooks
from guard.records import (
    GenerationRequest,
    GenerationResult,
    ImageFormat,
    LabelMode,
    Operation,
    Outcome,
    RecordedImage,
    Refusal,
)

if TYPE_CHECKING:
    from gateway.runtime import Runtime

_EPILOG = (
    "Examples:\n\n"
    "  signet generate 'a red circle above a blue square' --out pictures\n\n"
    "  signet generate 'a green star' --out pictures --count 4 --seed 7 --json\n\n"
    "  signet generate 'a blue star' --out pictures --source photo.png --strength 0.7"
)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("generate", epilog=_EPILOG)(generate)


def generate(
    prompt: Annotated[str, typer.Argument(help="What the picture should show.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the released images; created when missing.")],
    count: Annotated[int, typer.Option("--count", min=1, help="How many images, as one batch.")] = 1,
    seed: Annotated[int | None, typer.Option("--seed", help="Same seed and prompt give the same pixels.")] = None,
    model: Annotated[str | None, typer.Option("--model", help="Id of a configured model.")] = None,
    policy: Annotated[str | None, typer.Option("--policy", help="Id of a generation policy.")] = None,
    prompt_2: Annotated[str, typer.Option("--prompt-2", help="For a second text encoder (SDXL, SD3, FLUX).")] = "",
    negative: Annotated[str, typer.Option("--negative", help="What to avoid; checked too.")] = "",
    source: Annotated[Path | None, typer.Option("--source", help="Start from this picture.")] = None,
    mask: Annotated[Path | None, typer.Option("--mask", help="With --source: white is repainted.")] = None,
    strength: Annotated[float | None, typer.Option("--strength", help="With --source: 0 keeps, 1 replaces.")] = None,
    width: Annotated[int | None, typer.Option("--width", help="Pixels; default: the model's own.")] = None,
    height: Annotated[int | None, typer.Option("--height", help="Pixels; default: the model's own.")] = None,
    steps: Annotated[int | None, typer.Option("--steps", help="Denoising steps.")] = None,
    guidance: Annotated[float | None, typer.Option("--guidance", help="How closely to follow the prompt.")] = None,
    scheduler: Annotated[str | None, typer.Option("--scheduler", help="Short name of a scheduler.")] = None,
    label: Annotated[LabelMode, typer.Option("--label", help="Visible label.")] = LabelMode.NONE,
    image_format: Annotated[ImageFormat, typer.Option("--format", help="File format.")] = ImageFormat.PNG,
    locale: LocaleOption = "",
    home: HomeOption = None,
    as_json: JSONOption = False,
) -> None:
    """Generate images: checked, marked twice, signed and recorded. Refusals come with a reason and an appeal id."""
    with reporting(as_json=as_json), runtime(home, generation_policy=policy) as opened:
        request = GenerationRequest(
            prompt=prompt,
            prompt_2=prompt_2,
            negative_prompt=negative,
            operation=_operation(source, mask),
            **_pictures(source, mask, opened),
            strength=strength,
            width=width,
            height=height,
            steps=steps,
            guidance=guidance,
            scheduler=scheduler,
            seed=seed,
            count=count,
            model=model,
            label=label,
            image_format=image_format,
            tenant=opened.settings.tenant,
            locale=locale,
        )
        make_folder(out)
        result = _with_progress(opened, request)
        codes = [_write(outcome, out, image_format, as_json=as_json) for outcome in result.outcomes]
    raise typer.Exit(max(codes, default=NOT_EXAMINED))


def _operation(source: Path | None, mask: Path | None) -> Operation:
    if source is None:
        return Operation.TEXT_TO_IMAGE
    return Operation.IMAGE_TO_IMAGE if mask is None else Operation.INPAINTING


def _pictures(source: Path | None, mask: Path | None, opened: Runtime) -> dict[str, Any]:
    pictures: dict[str, Any] = {}
    if source is not None:
        pictures["source_bytes"] = read_file(source)
        opened_source = opened.core.open_picture(pictures["source_bytes"])
        pictures |= {"source_image": opened_source.rgb, "source_metadata": opened_source.kept}
    if mask is not None:
        pictures["mask"] = opened.decode(read_file(mask)).rgb.max(axis=2)
    return pictures


def _with_progress(opened: Runtime, request: GenerationRequest) -> GenerationResult:
    out = error_console()
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=out, transient=True, disable=not out.is_terminal) as progress:
        task = progress.add_task("Loading the model", total=None)

        def on_step(done: int, total: int) -> None:
            progress.update(task, description="Generating", completed=done, total=total)

        return opened.gateway.generate(request, hooks=GenerationHooks(on_step=on_step))


def _write(outcome: Outcome, folder: Path, image_format: ImageFormat, *, as_json: bool) -> int:
    """Write one released image, or say why there is none; return its exit code."""
    row = outcome_row(outcome)
    if isinstance(outcome, RecordedImage):
        path = folder / f"{outcome.image_id}{image_format.suffix}"
        write_file(path, outcome.signed.data)
        row = {"image_id": row.pop("image_id"), "path": str(path), **row}
        shown = (
            f"[green]released[/]  {path}  (credential {row['credential_state']}, ledger entry {row['ledger_index']})"
        )
        code = CLEAN
    elif isinstance(outcome, Refusal):
        shown = (
            f"[red]refused[/]   at the {row['stage']} stage, category {row['category']}: {row['reason']} "
            f"Appeal id {row['appeal_id']}."
        )
        code = FINDING
    else:
        shown = f"[red]failed[/]    at the {row['stage']} stage: {row['reason']} {row['next_step']}"
        code = NOT_EXAMINED
    emit(row) if as_json else console().print(shown, soft_wrap=True)
    return code
