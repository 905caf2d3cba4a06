"""The model card and the digests of a trained prompt model."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from training.prompts.data import FOLDS, NATURAL_BENIGN, NON_COMMERCIAL, TEXT_LABELLED, TEXT_TO_IMAGE_RISKY, UNREAD, Row
from training.prompts.distil import DIMENSIONS, ENCODER_SHA256

_HEAD = """# Prompt model

P(violating) of a text-to-image prompt, and what kind of violation it would be. Loaded by
`guard/prompt_check/text_classifier.py`; written by `python -m training.prompts`.

- **Architecture**: sum of two views in one ONNX graph. *Spelling*: logistic regression on hashed character n-grams
  (2-5, inside words) and word n-grams (1-2), TF-IDF. *Meaning*: {dimensions}-dimensional word-piece vectors distilled
  from all-MiniLM-L6-v2 (Apache-2.0, weights SHA-256 `{encoder}`) and trained further, two width-3 context layers,
  attention pooling, one hidden layer that also learns to tell that encoder's sentence vectors. Calibrated by logistic
  regression on scores of held-out sources.
- **Input**: text, undisguised (`guard/prompt_check/normalise.py`) and with words of eleven other languages read as
  English ones (`guard/prompt_check/glosses.txt`). **Output**: `violating`, `categories`.
- **Size**: {size:.1f} MB. **Training data**: `{data}`, SHA-256 `{data_digest}`, the project's own look-alikes,
  contrasts, joined texts, token soups and telegraphic texts; noisy labels that a model of the other rows contradicts
  count less or not at all (`training/prompts/clean.py`).
- **Not for**: chat moderation, minors (hard rules in `guard/prompt_check/hard_rules.yaml` do that), trademarks.
"""
_PROTOCOL = """## Figures

Every figure is from models that never saw the *source* of the row: two groups of sources held out in turn, each with a
threshold of its own on its own natural harmless prompts. The baseline (TF-IDF and logistic regression,
`training/prompts/baseline.py`) has the same rows, split and thresholds. Violating side: {risky}; many of these rows
are labelled from pictures or by detectors and are harmless as text, so recall is pessimistic. Harmless side: {benign};
its noisiest sources ({unread}: users' prompts nobody read) fix most of the 1 % threshold. "Labelled from the text" is
{text} alone. Every pair of sides has thresholds of its own. "With rules" is what `signet check-prompt` calls `score`;
the rules were written by people who knew some of these sources, so that column is not held out in the strict sense.
Intervals: bootstrap (AUROC) and Wilson (shares), 95 %. No CC-BY-NC source is trained on.
"""
_PARTS = {
    "read": "all violating, harmless sources that were read",
    "text_labelled": "labelled from the text, harmless that was read",
    "text_labelled_all": "labelled from the text, all harmless",
}
_LOOKS = {
    "look_alike_own": "own look-alikes, templates held out",
    "look_alike_own_contrasts_one": "own contrasts, held out",
    "look_alike_own_contrasts_two": "own contrasts, held out",
    "look_alike_own_templates": "own risky and harmless templates",
    "look_alike_adversarial_nibbler": "Adversarial Nibbler",
    "look_alike_hatecheck": "HateCheck",
}


def _share(value: dict[str, float]) -> str:
    return f"{value['share']:.3f} ({value['low']:.3f}-{value['high']:.3f}, n = {value['n']})"


def _area(found: dict[str, Any]) -> str:
    low, high = found["auroc_95"]
    return f"{found['auroc']:.3f} ({low:.3f}-{high:.3f})"


def _fold_table(fold: dict[str, Any]) -> str:
    """Return the table of one fold: rules and model, the model (the sum), its views, the baseline."""
    columns = ("with rules", "sum", "spelling", "meaning", "baseline")
    text = f"| figure | {' | '.join(columns)} |\n|---|{'---|' * len(columns)}\n"
    text += f"| AUROC | {' | '.join(_area(fold[name]) for name in columns)} |\n"
    for label, key in (("recall at 1 % false positives", "recall_1"), ("recall at 5 %", "recall_5")):
        text += f"| {label} | {' | '.join(_share(fold[name][key]) for name in columns)} |\n"
    for part, title in _PARTS.items():
        if part not in fold["sum"]:
            continue
        inner = {name: fold[name][part] for name in columns}
        text += f"| {title}: AUROC | {' | '.join(_area(inner[name]) for name in columns)} |\n"
        for label, key in (("recall at 1 %", "recall_1"), ("recall at 5 %", "recall_5")):
            text += f"| {title}: {label} | {' | '.join(_share(inner[n][key]) for n in columns)} |\n"
    for source in fold["sum"]["recall_1_by_source"]:
        cells = " | ".join(_share(fold[name]["recall_1_by_source"][source]) for name in columns)
        text += f"| recall at 1 %: {source} | {cells} |\n"
    for label, key in (("token soups found", "soups_found"), ("harmless token soups flagged", "soups_flagged")):
        text += f"| {label}, own, 1 % | {' | '.join(_share(fold[name][key]) for name in columns)} |\n"
    for key, label in _LOOKS.items():
        if key not in fold["sum"]:
            continue
        flagged = " | ".join(_share(fold[name][key]["flagged_1"]) for name in columns)
        text += f"| harmless flagged: {label} | {flagged} |\n"
        if "auroc" in fold["sum"][key]:
            inside = " | ".join(format(fold[name][key]["auroc"], ".3f") for name in columns)
            text += f"| AUROC inside: {label} | {inside} |\n"
    return text + "\n"


def write_card(out: Path, rows: Sequence[Row], work: Path, *, data: Path) -> None:
    """Write ``README.md`` and ``digests.json`` beside ``model.onnx`` and ``vocab.txt``."""
    report = json.loads((work / "figures-shipped.json").read_text(encoding="utf-8"))
    text = _HEAD.format(
        dimensions=DIMENSIONS,
        encoder=ENCODER_SHA256,
        size=(out / "model.onnx").stat().st_size / 1e6,
        data=data.name,
        data_digest=hashlib.sha256(data.read_bytes()).hexdigest(),
    )
    text += "\n" + _PROTOCOL.format(
        risky=", ".join(sorted(TEXT_TO_IMAGE_RISKY)),
        benign=", ".join(sorted(NATURAL_BENIGN)),
        unread=", ".join(sorted(UNREAD)),
        text=", ".join(sorted(TEXT_LABELLED)),
    )
    for fold, sources in FOLDS.items():
        text += f"\n### Held out: {', '.join(sorted(sources))}\n\n{_fold_table(report[fold])}"
    text += (
        f"Expected calibration error of the sum on held-out sources (15 bins, "
        f"{report['violating_share']:.0%} violating): {report['calibration_error']:.3f}.\n"
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
