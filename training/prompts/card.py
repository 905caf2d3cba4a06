"""The model card and the digests of a trained prompt model."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from training.prompts.data import NATURAL_BENIGN, NON_COMMERCIAL, TEXT_TO_IMAGE_RISKY, Row
from training.prompts.distil import DIMENSIONS, ENCODER_SHA256

_HEAD = """# Prompt model

P(violating) of a text-to-image prompt, and what kind of violation it would be. Loaded by
`guard/prompt_check/text_classifier.py`; written by `python -m training.prompts`.

- **Architecture**: sum of two views in one ONNX graph. *Spelling*: logistic regression on hashed character n-grams
  (2-5, inside words) and word n-grams (1-2), TF-IDF. *Meaning*: {dimensions}-dimensional word-piece vectors distilled
  from all-MiniLM-L6-v2 (Apache-2.0, weights SHA-256 `{encoder}`) and trained further, a width-3 context layer,
  attention pooling, one hidden layer. Calibrated by logistic regression on scores of held-out sources.
- **Input**: text, undisguised by `guard/prompt_check/normalise.py`. **Output**: `violating`, `categories`.
- **Size**: {size:.1f} MB. **Training data**: `{data}`, SHA-256 `{data_digest}`.
- **Not for**: chat moderation, minors (hard rules in `guard/prompt_check/hard_rules.yaml` do that), trademarks.
"""
_MEANING = """## Figures

Every figure is from models that never saw the *source* of the row ({folds} groups of sources held out in turn).
Violating side: {risky}; many of these rows are labelled from pictures or by detectors and are harmless as text, so
recall is pessimistic. Harmless side: {benign}.
Intervals: bootstrap (AUROC) and Wilson (shares), 95 %.

| figure | shipped (no CC-BY-NC source) | with CC-BY-NC sources |
|---|---|---|
"""


def _share(value: dict[str, float]) -> str:
    return f"{value['share']:.3f} ({value['low']:.3f}-{value['high']:.3f}, n = {value['n']})"


def _row(label: str, found: list[dict[str, Any] | None], key: str) -> str:
    """Return one line of the table; the columns are the sums of the reports."""
    cells = []
    for report in found:
        value = report["sum"].get(key) if report else None
        if value is None:
            cells.append("not run")
        elif key == "auroc":
            low, high = report["sum"]["auroc_95"]  # type: ignore[index]
            cells.append(f"{value:.3f} ({low:.3f}-{high:.3f})")
        elif "flagged_1" in value:
            within = f"; unsafe against safe AUROC {value['auroc']:.3f}" if "auroc" in value else ""
            cells.append(_share(value["flagged_1"]) + within)
        else:
            cells.append(_share(value))
    return f"| {label} | {' | '.join(cells)} |\n"


def write_card(out: Path, rows: Sequence[Row], work: Path, *, data: Path) -> None:
    """Write ``README.md`` and ``digests.json`` beside ``model.onnx`` and ``vocab.txt``."""
    reports = [
        json.loads(file.read_text(encoding="utf-8")) if file.exists() else None
        for file in (work / "figures-shipped.json", work / "figures-all.json")
    ]
    text = _HEAD.format(
        dimensions=DIMENSIONS,
        encoder=ENCODER_SHA256,
        size=(out / "model.onnx").stat().st_size / 1e6,
        data=data.name,
        data_digest=hashlib.sha256(data.read_bytes()).hexdigest(),
    )
    text += "\n" + _MEANING.format(
        folds="two", risky=", ".join(sorted(TEXT_TO_IMAGE_RISKY)), benign=", ".join(sorted(NATURAL_BENIGN))
    )
    for label, key in (
        ("AUROC, violating against natural harmless (English)", "auroc"),
        ("recall at 1 % false positives", "recall_1"),
        ("recall at 5 % false positives", "recall_5"),
        ("look-alike harmless flagged at the 1 % threshold: own look-alikes, templates held out", "look_alike_own"),
        ("... HateCheck", "look_alike_hatecheck"),
        ("... own risky and harmless templates", "look_alike_own_templates"),
        ("... Adversarial Nibbler", "look_alike_adversarial_nibbler"),
    ):
        text += _row(label, reports, key)
    shipped = reports[0] or {}
    text += "\nRecall at 1 % false positives by source:\n\n| source | recall |\n|---|---|\n"
    for source, value in shipped["sum"]["recall_1_by_source"].items():
        text += f"| {source} | {_share(value)} |\n"
    text += (
        f"\nThe views alone: spelling AUROC {shipped['spelling']['auroc']:.3f}, "
        f"meaning {shipped['meaning']['auroc']:.3f}. Expected calibration error of the sum (15 bins, the training mix "
        f"of labels): {shipped['calibration_error']:.3f}.\n"
        f"Logit thresholds: 1 % {shipped['sum']['threshold_1']}, 5 % {shipped['sum']['threshold_5']}.\n"
    )
    text += (
        "\n## Sources that trained the shipped model\n\n| source | licence | rows | violating |\n|---|---|---|---|\n"
    )
    sizes = Counter((row.source, row.licence) for row in rows)
    bad = Counter((row.source, row.licence) for row in rows if row.label)
    for (source, licence), size in sorted(sizes.items()):
        text += f"| {source} | {licence} | {size} | {bad[source, licence]} |\n"
    text += f"\nLeft out for their licence (CC-BY-NC-4.0): {', '.join(sorted(NON_COMMERCIAL))}.\n"
    (out / "README.md").write_text(text, encoding="utf-8")
    names = ("model.onnx", "vocab.txt")
    digests = {name: hashlib.sha256((out / name).read_bytes()).hexdigest() for name in names}
    (out / "digests.json").write_text(json.dumps(digests, indent=2) + "\n", encoding="utf-8")
