"""``signet check-prompt`` and ``signet check-image``: safety alone, nothing is generated or recorded."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from detectors.report.as_text import printable
from gateway.cli.options import HomeOption, JSONOption, LocaleOption, PathsArgument, runtime
from gateway.cli.output import CLEAN, FINDING, NOT_EXAMINED, console, emit, error_row, for_each_file, reporting
from gateway.cli.prompt_rows import PromptRow, prompt_row
from guard.assembly import build_image_checkers, build_prompt_checkers
from guard.errors import GuardError, RequestError
from guard.policy.load import load_named
from guard.prompt_check.report import examine_text
from guard.records import Action
from guard.settings import Settings, load_settings

PolicyOption = Annotated[str | None, typer.Option("--policy", help="Id of a generation policy.")]
_WITHHELD = (Action.REVIEW.value, Action.BLOCK.value)
_COLOUR = {"allow": "green", "flag": "yellow", "review": "yellow", "block": "red"}


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(
        "check-prompt",
        epilog="Examples:\n\n  signet check-prompt 'a lighthouse at dawn'\n\n"
        "  signet check-prompt 'a lighthouse' --negative 'people, text' --prompt-2 'oil painting'\n\n"
        "  signet check-prompt --file prompts.jsonl --json > decisions.jsonl",
    )(check_prompt)
    app.command("check-image", epilog="Example:\n\n  signet check-image upload.png --json")(check_image)


def _settings(policy: str | None) -> Settings:
    return load_settings(**({"generation_policy": policy} if policy else {}))


def check_prompt(
    text: Annotated[str | None, typer.Argument(help="The text to check.")] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            "--file",
            help="JSON Lines: text, optional prompt_2, negative, guidance; answered in order; - reads stdin.",
        ),
    ] = None,
    prompt_2: Annotated[str, typer.Option("--prompt-2", help="Text for a second text encoder.")] = "",
    negative: Annotated[str, typer.Option("--negative", help="The negative prompt.")] = "",
    guidance: Annotated[float | None, typer.Option("--guidance", help="Below 1 the negative prompt counts.")] = None,
    policy: PolicyOption = None,
    locale: LocaleOption = "",
    as_json: JSONOption = False,
) -> None:
    """Decide on prompts: allow, flag, review or block, with category scores and the words that decided.

    Exit code 1 when any prompt would be withheld.
    """
    codes = [CLEAN]
    with reporting(as_json=as_json):
        if (text is None) == (file is None):
            raise RequestError("Give either a text or --file.", next_step="See `signet check-prompt --help`.")
        settings = _settings(policy)
        loaded = load_named(settings.policies, settings.generation_policy)
        checkers = build_prompt_checkers(loaded, terms=settings.policies / "terms")
        decider = loaded.for_caller(tenant=settings.tenant, locale=locale)
        if file is not None and (prompt_2 or negative or guidance is not None):
            raise RequestError("With --file the other texts are keys of its lines.", next_step="Leave the options out.")
        given = {"text": text, "prompt_2": prompt_2, "negative": negative, "guidance": guidance}
        rows = [prompt_row(given, where="The request")] if text is not None else _read_lines(file or Path("-"))
        for item in rows:
            try:
                if isinstance(item, GuardError):
                    raise item
                texts = item.checked()
                row = examine_text(texts.text, checkers=checkers, policy=decider, **texts.rest()).as_json()
                codes.append(FINDING if row["decision"] in _WITHHELD else CLEAN)
            except GuardError as error:
                row = error_row(error)
                codes.append(NOT_EXAMINED)
            emit(row) if as_json else _show(row)
    raise typer.Exit(FINDING if FINDING in codes else max(codes))


def _read_lines(file: Path) -> Iterator[PromptRow | RequestError]:
    """Yield each line, or the error of one that cannot be used."""
    try:
        stream = sys.stdin.buffer if str(file) == "-" else file.open("rb")
    except OSError as exc:
        raise RequestError(f"{file} cannot be read: {exc.strerror}.") from exc
    with stream:
        for number, line in enumerate(stream, start=1):
            if not line.strip():
                continue
            try:
                yield prompt_row(line, where=f"Line {number}")
            except RequestError as error:
                yield error


def _show(row: dict[str, Any]) -> None:
    out = console()
    if "error" in row:
        out.print(f"error  {row['reason']}", markup=False)
        return
    scores = ", ".join(f"{name} {score:.2f}" for name, score in row["categories"].items())
    out.print(f"[{_COLOUR[row['decision']]}]{row['decision']}[/]  score {row['score']:.3f}  {scores}")
    out.print(f"   {printable(row['reason'])}", markup=False)
    for start, end, rule in row["spans"]:
        out.print(f"   characters {start} to {end}: {rule}", markup=False)


def check_image(
    paths: PathsArgument,
    policy: PolicyOption = None,
    locale: LocaleOption = "",
    home: HomeOption = None,
    as_json: JSONOption = False,
) -> None:
    """Decide on pictures as the generation flow does. Exit code 1 when any would be withheld."""
    with reporting(as_json=as_json), runtime(home) as opened:
        settings = _settings(policy)
        loaded = load_named(settings.policies, settings.generation_policy)
        checkers = build_image_checkers(loaded, core=opened.core)
        decider = loaded.for_caller(tenant=settings.tenant, locale=locale)

        def examine(_: Path, data: bytes) -> tuple[dict[str, Any], int]:
            pixels = opened.decode(data).rgb
            findings = [finding for checker in checkers for finding in checker.check(pixels)]
            decision = decider.decide(findings, stage="image")
            worst: dict[str, dict[str, float]] = {}
            for finding in findings:
                known = worst.setdefault(finding.category, {"severity": 0, "score": 0.0})
                known["severity"] = max(known["severity"], finding.severity)
                known["score"] = max(known["score"], round(finding.score, 6))
            row = {
                "decision": decision.action.value,
                "categories": worst,
                "regions": [
                    {"x": r.x, "y": r.y, "width": r.width, "height": r.height, "category": f.category}
                    for f in findings
                    for r in f.regions
                ],
                "reason": decision.reason,
                "rules": list(decision.rules),
            }
            return row, FINDING if not decision.releases else CLEAN

        def show(row: dict[str, Any]) -> None:
            console().print(
                f"[{_COLOUR[row['decision']]}]{row['decision']}[/]  {printable(row['path'])}  {row['reason']}"
            )

        code = for_each_file(paths, examine, as_json=as_json, show=show)
    raise typer.Exit(code)
