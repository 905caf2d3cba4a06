"""Labelled pictures -> rows -> figures: resumable, held-out thresholds, and a control that unmasks format shortcuts."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

from detectors.evaluation.degradations import Mode
from detectors.evaluation.labelled import read_labelled
from detectors.evaluation.page import render_page
from detectors.evaluation.plots import plots_of
from detectors.evaluation.protocol import Row, rows_of, run_protocol
from detectors.evaluation.summary import crossed_thresholds, folds_by_group, rate_at, summarise
from guard.errors import RequestError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for label, picture in (("real", data.astronaut()), ("generated", data.cat())):
        for group in "ab":
            target = tmp_path / label / f"{label}-{group}"
            target.mkdir(parents=True)
            Image.fromarray(picture[:200, :220]).save(target / "one.png")
    (tmp_path / "real" / "real-a" / "broken.jpg").write_bytes(b"\xff\xd8\xff not a picture")
    return tmp_path


def test_folders_and_manifests_say_the_same(folder: Path) -> None:
    items = read_labelled(folder)
    assert [(i.generated, i.group, i.generator) for i in items if i.generated] == [
        (True, "generated-a", "generated-a"),
        (True, "generated-b", "generated-b"),
    ]
    manifest = folder / "pictures.jsonl"
    lines = [
        json.dumps(
            {
                "file": str(i.path.relative_to(folder)),
                "label": "generated" if i.generated else "real",
                "source_group": i.group,
                "license": "ignored",
            }
        )
        for i in items
    ]
    manifest.write_text("\n".join(lines))
    assert read_labelled(manifest) == items


@pytest.mark.parametrize("line", ["{", '{"file": "a.png"}', '{"file": "a", "label": "fake", "source_group": "s"}'])
def test_a_bad_line_is_named(tmp_path: Path, line: str) -> None:
    (tmp_path / "m.jsonl").write_text(line)
    with pytest.raises(RequestError, match="line 1"):
        read_labelled(tmp_path / "m.jsonl")


def test_one_class_is_not_enough(tmp_path: Path) -> None:
    (tmp_path / "m.jsonl").write_text('{"file": "a.png", "label": "real", "source_group": "s"}')
    with pytest.raises(RequestError, match="labelled generated"):
        read_labelled(tmp_path / "m.jsonl")


def test_rows_carry_scores_and_reasons(folder: Path) -> None:
    items = read_labelled(folder)
    rows = [row for i in items for row in rows_of(i, [Mode.NAIVE, Mode.HARD], lambda u: float(u.pixels.mean()))]
    assert len(rows) == 2 * len(items)
    broken = [row for row in rows if row.path.endswith("broken.jpg")]
    assert [row.llr_nats for row in broken] == [None, None]
    assert all(row.reason for row in broken)
    naive, hard = (next(r for r in rows if r.generated and r.mode == m) for m in ("naive", "hard"))
    assert naive.llr_nats != hard.llr_nats
    skipped = rows_of(items[0], [Mode.NAIVE], lambda u: "too small")
    assert (skipped[0].llr_nats, skipped[0].reason) in [(None, "too small"), (None, broken[0].reason)]


def test_a_stopped_run_goes_on(folder: Path, tmp_path: Path) -> None:
    items = read_labelled(folder)
    asked: list[str] = []

    def evaluate(rest):
        for item in rest:
            asked.append(item.path.name)
            yield rows_of(item, [Mode.NAIVE], lambda u: 1.0)

    journal = tmp_path / "out" / "rows.jsonl"
    first = run_protocol(items, evaluate, journal=journal, modes=[Mode.NAIVE])
    kept = [next(first), next(first)]
    first.close()
    with journal.open("a") as stream:
        stream.write('{"path": "cut')
    rows = list(run_protocol(items, evaluate, journal=journal, modes=[Mode.NAIVE]))
    assert len(asked) == len(items)
    assert len(rows) == len(items)
    assert rows[:2] == kept


def made_up(*, n: int, leak: bool, seed: int = 0) -> list[Row]:
    """Rows of detectors with some skill (d' about 1.5) or, with ``leak``, of pictures whose format gives them away."""
    rng = np.random.default_rng(seed)
    rows = []
    for index in range(n):
        generated = index % 2 == 1
        rows.append(
            Row(
                path=f"{index}.png",
                sha256=str(index),
                generated=generated,
                group=f"{'g' if generated else 'r'}{index // 2 % 8}",
                generator=f"tool-{index // 2 % 8}" if generated else None,
                mode="history",
                llr_nats=float(rng.normal(0.0 if leak else 0.8 * (2 * generated - 1), 1.2)),
                reason=None,
                media_type="image/png" if leak and generated else "image/jpeg",
                width=512 if leak and generated else 640,
                height=512,
                bytes=100_000,
            )
        )
    return rows


def test_figures_of_a_skilled_detector() -> None:
    figures = summarise(made_up(n=800, leak=False), seed=1)["modes"]["history"]
    assert 0.75 < figures["auc"] < 0.9
    assert figures["auc_interval"][0] < figures["auc"] < figures["auc_interval"][1]
    assert 0.02 < figures["fpr_at_0.05"] < 0.09
    assert figures["tpr_at_0.01"] < figures["tpr_at_0.05"]
    assert figures["control"]["file_facts_auc"] < 0.6
    assert figures["cllr"] < 1
    assert {g["generator"] for g in figures["generators"]} == {f"tool-{i}" for i in range(8)}
    assert figures["worst_real_source"]["fpr_at_0.05"] == max(s["fpr_at_0.05"] for s in figures["real_sources"])


def test_the_control_unmasks_a_format_shortcut() -> None:
    figures = summarise(made_up(n=400, leak=True), seed=1)["modes"]["history"]
    assert figures["control"]["file_facts_auc"] > 0.95
    assert figures["auc"] < 0.6


def test_pixels_and_file_facts_are_compared_within_each_format() -> None:
    rows = [
        replace(row, media_type="image/png" if index % 4 < 2 else "image/jpeg", width=512 if row.generated else 640)
        for index, row in enumerate(made_up(n=800, leak=False))
    ]
    strata = {s["format"]: s for s in summarise(rows, seed=1)["modes"]["history"]["control"]["formats"]}
    assert set(strata) == {"image/jpeg", "image/png"}
    for row in strata.values():
        assert row["file_facts_auc"] == 1.0  # widths give it away whatever the format
        assert row["advantage"] == pytest.approx(row["auc"] - 1.0)
        assert row["advantage_interval"][0] <= row["advantage"] <= row["advantage_interval"][1] < 0
        assert (row["real"], row["generated"]) == (200, 200)
        assert row["real_sources"] + row["generated_sources"] == 8


def test_thresholds_come_from_other_sources() -> None:
    rows = made_up(n=400, leak=False)
    odd = [replace(row, llr_nats=9.0) if row.group == "r0" else row for row in rows]
    labels = np.array([row.generated for row in odd])
    scores = np.array([row.llr_nats for row in odd])
    groups = [row.group for row in odd]
    fold = folds_by_group(labels, groups)
    thresholds = crossed_thresholds(labels, scores, fold, 0.05)
    assert all(len(set(fold[np.array(groups) == g])) == 1 for g in set(groups))
    inside = np.array(groups) == "r0"
    assert (scores > thresholds)[inside].all()  # a source that is odd as a whole cannot raise its own threshold


def test_rates_at_a_fixed_ratio() -> None:
    rows = made_up(n=400, leak=False)
    false, true = rate_at(rows, 0.0)
    assert 0.15 < false < 0.35
    assert 0.65 < true < 0.85


def test_the_page_escapes_and_runs_nothing() -> None:
    rows = [
        replace(row, group="<script>", generator="<b>" if row.generated else None) for row in made_up(n=80, leak=False)
    ]
    page = render_page(summarise(rows, seed=1), rows, source="<i>mine</i>")
    assert "<script" not in page
    assert "&lt;b&gt;" in page
    assert page.count("<polyline points=") == 2  # ROC and DET
    assert page.count('<polyline class="chance"') == 3
    assert "<img" not in page  # the files of these rows do not exist


def test_the_curve_of_a_detector_that_guesses_lies_on_the_line_of_chance() -> None:
    rates = [0.1, 0.3, 0.5, 0.7, 0.9]
    roc, det, _ = plots_of({"roc": {"false_positive_rate": rates, "true_positive_rate": rates}})
    for plot in (roc, det):
        (left, top), (right, bottom) = (map(float, point.split(",")) for point in plot["chance"].split())
        for point in plot["line"].split():
            x, y = map(float, point.split(","))
            assert y == pytest.approx(top + (x - left) * (bottom - top) / (right - left), abs=0.2)


def test_a_mode_without_both_classes_has_empty_plots() -> None:
    assert [(plot["line"], plot["dots"]) for plot in plots_of({})] == [("", [])] * 3
