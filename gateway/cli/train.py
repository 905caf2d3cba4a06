"""``signet train``: detectors of a team's own."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from detectors.calibration.card import CalibrationCard
from detectors.evaluation.adapter_card import fit_card, score_pictures
from detectors.evaluation.labelled import read_labelled
from detectors.evaluation.probe import embed, fit_probe, split_sources, write_probe
from detectors.learned.probe import PROBE_NAME, texture_features
from detectors.pixel_models import MODELS, PROBES_FOLDER
from detectors.pretrained.assembly import card_path, pretrained_detectors
from detectors.scoring import ScoringModel
from gateway.cli.options import HomeOption, JSONOption
from gateway.cli.output import CLEAN, console, emit, error_console, reporting
from guard.errors import RequestError
from guard.settings import load_settings

app = typer.Typer(no_args_is_help=True, help="Train detectors of your own on labelled pictures.")
_EPILOG = (
    "Examples:\n\n"
    "  signet train probe labelled/ --name our-site      (real/SOURCE/*, generated/SOURCE/* inside)\n\n"
    "  signet train probe pictures.jsonl --name our-site --json"
)


@app.command("probe", epilog=_EPILOG)
def probe(
    source: Annotated[Path, typer.Argument(help="Folder with real/ and generated/, or a manifest (.jsonl).")],
    name: Annotated[
        str, typer.Option("--name", help="Lower-case letters, digits, hyphens; becomes learned.probe.NAME.")
    ],
    home: HomeOption = None,
    as_json: JSONOption = False,
) -> None:
    """Fit a linear probe on your own labelled pictures and install it with its calibration card.

    Sources are split into training, calibration and test, at least three a class. The probe judges nothing until a
    detection policy lists it.
    """
    with reporting(as_json=as_json):
        if not PROBE_NAME.fullmatch(name):
            raise RequestError(f"{name!r} is no name for a probe.", next_step="Use a-z, 0-9 and hyphens, at most 40.")
        settings = load_settings(**({"home": home} if home else {}))
        network = ScoringModel(MODELS, "learned")
        items = read_labelled(source)
        errors = error_console()
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal) as bar:
            task = bar.add_task("Reading", total=len(items))
            pictures = embed(
                items, lambda crops: texture_features(network, crops), progress=lambda: bar.advance(task)
            )  # fmt: skip
        model, make_card = fit_probe(split_sources(pictures))
        folder = settings.home / PROBES_FOLDER / name
        detector = f"learned.probe.{name}"
        made = write_probe(folder, model, make_card, detector=detector, date=datetime.now(UTC).date().isoformat())
        _show(made, folder, len(pictures), as_json=as_json)
    raise typer.Exit(CLEAN)


@app.command("card", epilog="Examples:\n\n  signet train card learned.univfd labelled/")
def card(
    detector: Annotated[str, typer.Argument(help="Installed detector of others: learned.NAME.")],
    source: Annotated[Path, typer.Argument(help="Folder with real/ and generated/, or a manifest (.jsonl).")],
    home: HomeOption = None,
    as_json: JSONOption = False,
) -> None:
    """Calibrate an installed detector of others on your own labelled pictures, so that its score counts.

    Nothing of the detector changes. Sources are split: two thirds fix what a score is worth, the rest is the test.
    """
    with reporting(as_json=as_json):
        settings = load_settings(**({"home": home} if home else {}))
        found = pretrained_detectors(settings.home, wanted=(detector,), device=settings.device, with_cards=False)
        if not found:
            raise RequestError(f"{detector!r} is not installed.", next_step="See `signet weights list`.")
        items = read_labelled(source)
        errors = error_console()
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal) as bar:
            task = bar.add_task("Scoring", total=len(items))
            pictures = score_pictures(items, found[0], progress=lambda: bar.advance(task))
        fitted = fit_card(pictures, found[0], date=datetime.now(UTC).date().isoformat())
        path = card_path(settings.home, detector)
        path.write_text(fitted.model_dump_json(indent=1) + "\n", encoding="utf-8")
        _show(fitted, path.parent, len(pictures), as_json=as_json)
    raise typer.Exit(CLEAN)


def _show(card: CalibrationCard, folder: Path, pictures: int, *, as_json: bool) -> None:
    """Say what was measured on the test sources and where the card is."""
    measured = card.measured[0]
    if as_json:
        emit({"id": card.detector, "folder": str(folder), "pictures": pictures, **measured.model_dump(mode="json")})
        return
    console().print(
        f"{card.detector}: AUC {measured.auc:.3f} ({measured.auc_interval[0]:.2f} to {measured.auc_interval[1]:.2f})"
        f" on held-out sources, {measured.tpr_at_5:.0%} found at {measured.fpr_at_5:.1%} false alarms, "
        f"Cllr {measured.cllr:.2f}.\nInstalled in {folder}. To use it, add {card.detector} to the detectors of a "
        "detection policy.",
        markup=False,
        soft_wrap=True,
    )
