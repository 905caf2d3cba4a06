"""``signet evaluate``: measure on labelled data of your own; each kind of measurement is a module of its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli.options import JSONOption
from gateway.cli.output import CLEAN, console, emit, reporting
from gateway.prompt_evaluation.labelled import LabelledPrompt, read_labelled
from gateway.prompt_evaluation.measure import columns, measure
from gateway.prompt_evaluation.page import area_cell, cell, render
from gateway.prompt_evaluation.scorers import Scored, score_blocklist, score_policy, score_tfidf
from guard.assembly import build_prompt_checkers
from guard.errors import RequestError
from guard.policy.load import load_named
from guard.settings import load_settings
from guard.version import __version__

app = typer.Typer(no_args_is_help=True, help="Measure on labelled data: figures, intervals, baselines, report pages.")


@app.command(
    "safety",
    epilog="Examples:\n\n  signet evaluate safety prompts.jsonl --out report\n\n"
    "  signet evaluate safety held_out.jsonl.gz --train train.jsonl.gz --look-alike xstest --json",
)
def safety(
    files: Annotated[list[Path], typer.Argument(help="JSON Lines with text and label (.gz too); docs/safety.md.")],
    policy: Annotated[str | None, typer.Option("--policy", help="Id of a generation policy.")] = None,
    train: Annotated[
        list[Path] | None, typer.Option("--train", help="Rows of other sources: adds the TF-IDF baseline.")
    ] = None,
    calibration: Annotated[
        list[Path] | None, typer.Option("--calibration", help="Harmless rows of other sources that fix the thresholds.")
    ] = None,
    look_alike: Annotated[
        list[str] | None, typer.Option("--look-alike", help="Source whose harmless rows only look risky; repeatable.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder for safety.json and safety.html.")] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of the bootstrap and the baseline.")] = 0,
    as_json: JSONOption = False,
) -> None:
    """Measure prompt safety: AUROC, recall at 1 and 5 % false positives, look-alikes, languages, attacks, baselines."""
    with reporting(as_json=as_json):
        rows = read_labelled(files, look_alikes=frozenset(look_alike or ()))
        harmless = read_labelled(calibration) if calibration else None
        document = _document(rows, harmless, policy=policy, train=train, seed=seed)
        if out is not None:
            _write(out, document)
    if as_json:
        emit(document)
    else:
        _show(document, out)
    raise typer.Exit(CLEAN)


def _document(
    rows: list[LabelledPrompt],
    harmless: list[LabelledPrompt] | None,
    *,
    policy: str | None,
    train: list[Path] | None,
    seed: int,
) -> dict[str, Any]:
    """Score the rows with every scorer and return the report document."""
    settings = load_settings(**({"generation_policy": policy} if policy else {}))
    loaded = load_named(settings.policies, settings.generation_policy)
    checkers = build_prompt_checkers(loaded, terms=settings.policies / "terms")
    if harmless is not None and any(row.violating for row in harmless):
        raise RequestError("The calibration rows hold violating prompts; thresholds come from harmless ones alone.")
    joined = rows + (harmless or [])
    scored = [score_policy(joined, checkers=checkers, policy=loaded)]
    scored.append(score_blocklist(joined, terms=settings.policies / "terms"))
    if train:
        scored.append(score_tfidf(joined, train=read_labelled(train), seed=seed))
    at = columns(rows)
    return {
        "version": __version__,
        "policy": loaded.id,
        "policy_digest": loaded.digest,
        "rows": len(rows),
        "violating": int(at.violating.sum()),
        "natural_harmless": int(at.natural.sum()),
        "sources": sorted(set(at.source.tolist())),
        "thresholds_from": "a calibration set of other sources" if harmless else "the natural harmless prompts",
        "scorers": [_measured(rows, one, calibrated=harmless is not None, seed=seed) for one in scored],
    }


def _measured(rows: list[LabelledPrompt], scored: Scored, *, calibrated: bool, seed: int) -> dict[str, Any]:
    """Return the figures of one scorer; scores beyond the rows are those of the calibration set."""
    count = len(rows)
    own = Scored(
        name=scored.name,
        scores=scored.scores[:count],
        withheld=None if scored.withheld is None else scored.withheld[:count],
    )
    return measure(rows, own, seed=seed, calibration=scored.scores[count:] if calibrated else None)


def _write(out: Path, document: dict[str, Any]) -> None:
    """Write the JSON document and the page."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / "safety.json").write_text(json.dumps(document, indent=1, allow_nan=False) + "\n", encoding="utf-8")
        (out / "safety.html").write_text(render(document), encoding="utf-8")
    except OSError as exc:
        raise RequestError(f"The report cannot be written to {out}: {exc.strerror}.") from exc


def _show(document: dict[str, Any], out: Path | None) -> None:
    """Print the main figures."""
    screen = console()
    screen.print(f"{document['rows']} prompts, {document['violating']} violating; policy {document['policy']}")
    for one in document["scorers"]:
        screen.print(f"{one['name']}: AUROC {area_cell(one['auroc'])}", markup=False)
        for rate in ("1%", "5%"):
            screen.print(f"   recall at {rate} false positives: {cell(one['recall'][rate])}", markup=False)
        for name, group in one["look_alikes"].items():
            within = area_cell(group["within_auroc"])
            screen.print(f"   {name}: harmless flagged {cell(group['flagged'])}; AUROC inside {within}", markup=False)
    if out is not None:
        screen.print(f"Report: {out / 'safety.html'}", markup=False)
