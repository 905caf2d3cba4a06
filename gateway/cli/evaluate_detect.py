"""``signet evaluate detect``: how often the detectors are right on your own labelled pictures."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from detectors.engine import DetectionEngine
from detectors.evaluation.degradations import Mode
from detectors.evaluation.labelled import Labelled, read_labelled
from detectors.evaluation.page import render_page
from detectors.evaluation.protocol import Row, rows_of, run_protocol
from detectors.evaluation.summary import summarise
from detectors.evidence import Family, Skipped
from detectors.upload import Upload
from gateway.cli.options import HomeOption, JSONOption, runtime
from gateway.cli.output import CLEAN, console, emit, error_console, reporting
from gateway.cli.workers import answers
from guard.errors import GuardError, RequestError

DEFAULT_MODES = "naive,history,hard"
PIXELS = frozenset({Family.STATISTICAL, Family.LEARNED})
_EPILOG = (
    "Examples:\n\n"
    "  signet evaluate detect labelled/ --out evaluation/      (real/SOURCE/*, generated/SOURCE/* inside)\n\n"
    "  signet evaluate detect pictures.jsonl --modes naive,history,whatsapp --out evaluation/ --json"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationJob:
    """Opens a worker's runtime and turns one labelled picture (JSON) into its rows."""

    home: Path | None
    policy: str | None
    modes: tuple[Mode, ...]

    @contextmanager
    def __call__(self) -> Iterator[Callable[[str], dict[str, Any]]]:
        """Open a runtime and yield picture -> rows."""
        import cv2

        cv2.setNumThreads(1)
        with runtime(self.home, detection_policy=self.policy) as opened:
            engine = opened.engine

            def answer(text: str) -> dict[str, Any]:
                return {"rows": [asdict(r) for r in rows_of(_item(text), self.modes, lambda u: _joined(engine, u))]}

            yield answer


def register(app: typer.Typer) -> None:
    """Add the command to ``signet evaluate``."""
    app.command("detect", epilog=_EPILOG)(detect)


def detect(
    source: Annotated[Path, typer.Argument(help="Folder with real/ and generated/, or a manifest (.jsonl).")],
    out: Annotated[Path, typer.Option("--out", help="Folder for rows.jsonl, summary.json and report.html.")],
    modes: Annotated[
        str, typer.Option("--modes", help="Treatments, separated by commas: " + ", ".join(Mode) + ".")
    ] = DEFAULT_MODES,
    policy: Annotated[str | None, typer.Option("--policy", help="Id of a detection policy.")] = None,
    jobs: Annotated[int, typer.Option("--jobs", min=0, max=64, help="Processes; 0: one per core.")] = 0,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the intervals.")] = 1,
    thumbnails: Annotated[
        bool, typer.Option("--thumbnails/--no-thumbnails", help="Embed the worst cases in the page.")
    ] = True,
    home: HomeOption = None,
    as_json: JSONOption = False,
) -> None:
    """Measure the pixel detectors on labelled pictures: honest treatments, held-out thresholds, worst cases.

    A run that was stopped goes on where it was; give another --out after a change of policy or models.
    """
    with reporting(as_json=as_json):
        chosen = _modes(modes)
        items = read_labelled(source)
        with runtime(home, detection_policy=policy) as opened:
            job = EvaluationJob(home=home, policy=policy, modes=chosen)
            rows = _run(items, job, opened.engine, out=out, processes=jobs or os.cpu_count() or 1)
        summary = {"source": str(source), "pictures": len(items), **summarise(rows, seed=seed)}
        (out / "summary.json").write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
        page = render_page(summary, rows, source=f"{source}: {len(items)} pictures", thumbnails=thumbnails)
        (out / "report.html").write_text(page, encoding="utf-8")
        if as_json:
            emit(summary)
        else:
            _show(summary, out)
    raise typer.Exit(CLEAN)


def _run(items: list[Labelled], job: EvaluationJob, engine: DetectionEngine, *, out: Path, processes: int) -> list[Row]:
    def evaluate(rest: Iterable[Labelled]) -> Iterable[list[Row]]:
        remaining = list(rest)
        if processes < 2 or len(remaining) < 2:
            for item in remaining:
                yield rows_of(item, job.modes, lambda upload: _joined(engine, upload))
            return
        tasks = [json.dumps({**asdict(item), "path": str(item.path)}) for item in remaining]
        for _, answer in answers(tasks, job, workers=processes, failed=lambda error: {"failed": str(error)}):
            yield [Row(**row) for row in answer.get("rows", ())]

    found: list[Row] = []
    errors = error_console()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal) as bar:
        task = bar.add_task("Evaluating", total=len(items))
        for rows in run_protocol(items, evaluate, journal=out / "rows.jsonl", modes=job.modes):
            found += rows
            bar.advance(task)
    return found


def _joined(engine: DetectionEngine, upload: Upload) -> float | str:
    """Return the pixel families' joined ratio, or the first reason why there is none."""
    try:
        verdict = engine.judge(upload, families=PIXELS).verdict
    except GuardError as error:
        return str(error)
    if verdict.llr_nats is not None:
        return verdict.llr_nats
    reasons = [result.reason for result in verdict.results if isinstance(result, Skipped)]
    return reasons[0] if reasons else "no calibrated evidence"


def _item(text: str) -> Labelled:
    row = json.loads(text)
    return Labelled(**{**row, "path": Path(row["path"])})


def _modes(text: str) -> tuple[Mode, ...]:
    try:
        return tuple(dict.fromkeys(Mode(name.strip()) for name in text.split(",") if name.strip()))
    except ValueError as exc:
        raise RequestError(f"{text!r} names an unknown mode.", next_step="Choose from: " + ", ".join(Mode)) from exc


def _show(summary: dict[str, Any], out: Path) -> None:
    table = Table("mode", "AUC", "found at 5 %", "at 1 %", "false alarms", "Cllr", "file facts", "worst generator")
    for name, figures in summary["modes"].items():
        if figures["auc"] is None:
            table.add_row(name, "-", "-", "-", "-", "-", "-", "-")
            continue
        worst = figures["worst_generator"]
        table.add_row(
            name,
            f"{figures['auc']:.3f} ({figures['auc_interval'][0]:.2f}-{figures['auc_interval'][1]:.2f})",
            f"{figures['tpr_at_0.05']:.2f}",
            f"{figures['tpr_at_0.01']:.2f}",
            f"{figures['fpr_at_0.05']:.3f}",
            f"{figures['cllr']:.2f}",
            f"{figures['control']['file_facts_auc']:.2f}",
            f"{worst['generator']} {worst['auc']:.2f}" if worst else "-",
        )
    console().print(table)
    for name, figures in summary["modes"].items():
        if name != Mode.NAIVE and figures["auc"] is not None:
            console().print(_strata(name, figures["control"]["formats"]))
            break
    console().print(f"Rows, summary and page are in {out}.", markup=False)


def _strata(mode: str, formats: list[dict[str, Any]]) -> Table:
    """Return pixels against file facts within each format, of one mode that treats all pictures alike."""
    table = Table(f"format ({mode})", "real", "generated", "AUC of pixels", "AUC of file facts", "difference (95 %)")
    for row in formats:
        cells = [f"{row['real']} of {row['real_sources']} sources", f"{row['generated']} of {row['generated_sources']}"]
        if row["auc"] is None:
            table.add_row(row["format"], *cells, "-", "-", "-")
            continue
        low, high = row["advantage_interval"]
        interval = "" if low is None else f" ({low:+.2f} to {high:+.2f})"
        figures = (f"{row['auc']:.3f}", f"{row['file_facts_auc']:.3f}", f"{row['advantage']:+.3f}{interval}")
        table.add_row(row["format"], *cells, *figures)
    return table
