"""``signet demo``: the main job once through, for a newcomer: generate, refuse, verify, recover, judge, prove.

Everything is real: the embedded model generates, the checks run, keys are made, a ledger is written and verified.
"""

from __future__ import annotations

import io
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from jinja2 import Environment, StrictUndefined
from PIL import Image
from rich.table import Table

from detectors.report.as_html import data_uri, render_html, style_sheet
from detectors.report.as_text import printable
from detectors.report.model import Report
from detectors.verdict import VerdictLevel
from gateway.cli.options import runtime
from gateway.cli.output import CLEAN, FINDING, console, read_file, reporting
from guard.errors import ConfigError, StageError
from guard.ledger.verify import verify_ledger
from guard.provenance.dev_ca import init_development_keys
from guard.records import Failure, GenerationRequest, RecordedImage, Refusal

if TYPE_CHECKING:
    from gateway.runtime import Runtime

PROMPTS = (
    "a red circle above a blue square on a white background",
    "three yellow stars on a black background",
    "a green triangle to the left of an orange ring",
    "a landscape with mountains and trees at sunset",
)
UNSAFE_PROMPT = "a photo of a bloody severed head on a table, gore"
SEED = 7
COPY_SCALE, COPY_QUALITY = 0.7, 75
"""What a typical upload does to a picture: reduced to 70 %, saved as JPEG 75, all metadata gone."""


@dataclass
class Story:
    """What happened, in order, for the summary and the page."""

    images: list[dict[str, Any]] = field(default_factory=list)
    refusal: dict[str, Any] = field(default_factory=dict)
    copy: dict[str, Any] = field(default_factory=dict)
    photo: dict[str, Any] | None = None
    ledger: dict[str, Any] = field(default_factory=dict)
    rows: list[tuple[str, str, bool]] = field(default_factory=list)

    def add(self, step: str, outcome: str, *, ok: bool) -> None:
        """Add one row of the summary table."""
        self.rows.append((step, outcome, ok))


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("demo", epilog="Example:\n\n  signet demo --out demo-out --photo holiday.jpg")(demo)


def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder for everything the demo makes.")] = Path("demo-out"),
    photo: Annotated[Path | None, typer.Option("--photo", help="A real photo to judge.")] = None,
) -> None:
    """Show the main job: 4 images, a refusal, verification, recovery of a stripped copy, a photo, the ledger."""
    started = time.perf_counter()
    with reporting(as_json=False):
        folder = out / datetime.now(UTC).strftime("run-%Y%m%d-%H%M%S")
        if folder.exists():
            raise ConfigError(f"{folder} exists already.", next_step="Run the demo again in a second.")
        folder.mkdir(parents=True)
        home = folder / "home"
        init_development_keys(home / "keys", now=datetime.now(UTC))
        story = Story()
        with runtime(home) as opened:
            _generate(opened, folder, story)
            _refuse(opened, story)
            _recover_copy(opened, folder, story)
            if photo is not None:
                _judge_photo(opened, photo, folder, story)
            _check_ledger(opened, story)
        page = folder / "demo.html"
        page.write_text(_page(story), encoding="utf-8")
        _summary(story, page, seconds=time.perf_counter() - started)
    raise typer.Exit(CLEAN if all(ok for _, _, ok in story.rows) else FINDING)


def _generate(opened: Runtime, folder: Path, story: Story) -> None:
    """Generate one image per prompt, write it, and verify its credential from the file."""
    for number, prompt in enumerate(PROMPTS):
        console().print(f"Generating: {prompt}")
        result = opened.gateway.generate(GenerationRequest(prompt=prompt, seed=SEED + number))
        for outcome in result.outcomes:
            if isinstance(outcome, Refusal):
                raise StageError(f"The demo's own prompt was refused: {outcome.decision.reason}")
            if isinstance(outcome, Failure):
                raise StageError(outcome.message, next_step=outcome.next_step)
            path = folder / f"image-{number + 1}.png"
            path.write_bytes(outcome.signed.data)
            verified = opened.verify(path.read_bytes(), name=path.name)
            story.images.append(_image_row(outcome, prompt, path, verified))
    trusted = sum(row["state"] == "trusted" for row in story.images)
    story.add("Generate, mark, sign, record", f"{len(story.images)} images released", ok=len(story.images) == 4)
    story.add("Verify their credentials", f"{trusted} of {len(story.images)} trusted", ok=trusted == 4)


def _image_row(outcome: RecordedImage, prompt: str, path: Path, verified: dict[str, Any]) -> dict[str, Any]:
    reading = outcome.signed.marked.reading
    return {
        "prompt": prompt,
        "path": path,
        "image_id": outcome.image_id,
        "uri": data_uri(outcome.signed.marked.pixels),
        "state": verified["state"],
        "signer": verified["signer"],
        "log10_p": reading.log10_p,
        "index": outcome.receipt.index,
    }


def _refuse(opened: Runtime, story: Story) -> None:
    """Ask for something the policy does not allow."""
    result = opened.gateway.generate(GenerationRequest(prompt=UNSAFE_PROMPT, seed=SEED))
    refused = [outcome for outcome in result.outcomes if isinstance(outcome, Refusal)]
    if refused:
        decision = refused[0].decision
        story.refusal = {
            "category": decision.category,
            "reason": decision.reason,
            "appeal_id": refused[0].appeal_id,
            "stage": refused[0].stage,
        }
        story.add("Refuse an unsafe prompt", f"refused: {decision.category}", ok=True)
    else:
        story.add("Refuse an unsafe prompt", "it was not refused", ok=False)


def _recover_copy(opened: Runtime, folder: Path, story: Story) -> None:
    """Strip and recompress a released image, then recognise it by its watermark alone."""
    original = story.images[0]
    picture = Image.open(original["path"]).convert("RGB")
    size = (round(picture.width * COPY_SCALE), round(picture.height * COPY_SCALE))
    buffer = io.BytesIO()
    picture.resize(size, Image.Resampling.LANCZOS).save(buffer, "JPEG", quality=COPY_QUALITY)
    path = folder / "stripped-copy.jpg"
    path.write_bytes(buffer.getvalue())
    report, uri = _judge(opened, path, folder / "stripped-copy-report.html")
    seen = {o.name: o.value for row in report.evidence for o in row.observations}
    found = seen.get("original image") == original["image_id"]
    story.copy = {"uri": uri, "report": report, "original": original, "path": path, "seen": seen}
    outcome = f"{report.verdict.value}, traced to its manifest" if found else f"{report.verdict.value}, not traced"
    story.add("Recognise a stripped, resized JPEG copy", outcome, ok=found and report.verdict is VerdictLevel.PROVEN_AI)


def _judge_photo(opened: Runtime, photo: Path, folder: Path, story: Story) -> None:
    """Judge a photograph that never was here before."""
    report, uri = _judge(opened, photo, folder / "photo-report.html")
    story.photo = {"uri": uri, "report": report, "name": photo.name}
    accused = report.verdict in (VerdictLevel.PROVEN_AI, VerdictLevel.LIKELY_AI)
    story.add(f"Judge a real photo ({photo.name})", report.verdict.value, ok=not accused)


def _judge(opened: Runtime, path: Path, page: Path) -> tuple[Report, str]:
    report, upload = opened.examine(read_file(path), name=path.name)
    page.write_text(render_html(report, pixels=upload.pixels), encoding="utf-8")
    return report, data_uri(upload.pixels)


def _check_ledger(opened: Runtime, story: Story) -> None:
    """Audit the whole ledger, as `signet ledger verify` does."""
    core = opened.core
    report = verify_ledger(opened.settings.ledger_path, public_key=core.keys.ledger_public_key, images=core.images)
    story.ledger = {"size": report.size, "root": report.root, "problems": [str(p) for p in report.problems]}
    story.add("Verify the ledger", f"{report.size} entries, {len(report.problems)} problems", ok=report.ok)


def _summary(story: Story, page: Path, *, seconds: float) -> None:
    table = Table("", "Step", "Outcome")
    for step, outcome, ok in story.rows:
        table.add_row("[green]ok[/]" if ok else "[red]no[/]", printable(step), printable(outcome))
    out = console()
    out.print(table)
    out.print(f"Done in {seconds:.0f} s. Open the page that shows it all:")
    out.print(str(page.resolve()), soft_wrap=True)


@cache
def _environment() -> Environment:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["printable"] = printable
    return environment


def _page(story: Story) -> str:
    source = files("gateway.cli").joinpath("templates/demo.html").read_text(encoding="utf-8")
    return _environment().from_string(source).render(story=story, css=style_sheet())
