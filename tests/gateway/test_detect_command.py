"""``signet detect`` on many files, ``signet evaluate detect``, ``signet train probe``: from files to files."""

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage import data
from typer.testing import CliRunner

from gateway.cli.main import app
from guard.media import encode
from guard.records import ImageFormat

PIXELS = ["--families", "statistical,learned"]


def invoke(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(part) for part in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout


def test_files_passed_over_in_a_folder_are_counted_by_ending(tmp_path: Path) -> None:
    folder, home = tmp_path / "uploads", str(tmp_path / "home")
    folder.mkdir()
    for name in ("a.mpo", "b.JPE"):
        (folder / name).write_bytes(encode(photo(1), ImageFormat.JPEG))
    for name in ("c.jp2", "d.jp2", "notes.txt", "LICENCE"):
        (folder / name).write_bytes(b"x")
    result = CliRunner().invoke(app, ["detect", str(folder), *PIXELS, "--home", home, "--json"])
    assert [Path(json.loads(line)["path"]).name for line in result.stdout.splitlines()] == ["a.mpo", "b.JPE"]
    said = " ".join(result.stderr.split())
    assert "Passed over by their file endings: 4 (2 .jp2," in said
    assert "1 .txt" in said
    assert "1 no ending" in said


def photo(seed: int, side: int = 240) -> np.ndarray:
    """A part of a sample photograph with grain of its own."""
    rng = np.random.default_rng(seed)
    source = (data.astronaut(), data.coffee(), data.cat())[seed % 3]
    y, x = (int(v) for v in rng.integers(0, 55, size=2))
    part = source[y : y + side, x : x + side]
    return np.clip(part + rng.normal(0, 2, part.shape), 0, 255).astype(np.uint8)


def drawn(seed: int, side: int = 240) -> np.ndarray:
    """A picture that no camera took: smooth blobs, enlarged by 4 with an ordinary filter, and a fixed fine pattern."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (side // 4, side // 4, 3)).astype(np.uint8)
    large = cv2.resize(cv2.GaussianBlur(small, (0, 0), 1.2), (side, side), interpolation=cv2.INTER_CUBIC)
    return np.clip(large.astype(int) + (np.indices((side, side)).sum(0) % 4 * 3)[..., None], 0, 255).astype(np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    target = tmp_path / "uploads"
    target.mkdir()
    for number in range(3):
        (target / f"{number}.png").write_bytes(encode(photo(number), ImageFormat.PNG))
    (target / "same.png").write_bytes((target / "1.png").read_bytes())
    (target / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    return target


def test_a_folder_is_judged_once_and_goes_on(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home, out = tmp_path / "home", tmp_path / "verdicts.csv"
    code, text = invoke("detect", folder, *PIXELS, "--home", home, "--out", out, "--json")
    rows = {Path(row["path"]).name: row for row in map(json.loads, text.splitlines())}
    assert set(rows) == {"0.png", "1.png", "2.png", "same.png", "broken.png"}
    assert code in (1, 3)
    assert rows["broken.png"]["error"]
    assert rows["same.png"]["duplicate_of"].endswith("1.png")
    assert rows["same.png"]["llr_nats"] == rows["1.png"]["llr_nats"]
    assert all(isinstance(rows[f"{n}.png"]["llr_nats"], float) for n in range(3))
    assert {item["family"] for item in rows["0.png"]["evidence"]} == {"statistical", "learned"}
    with out.open(newline="") as stream:
        assert len(list(csv.DictReader(stream))) == 5
    journal = tmp_path / "verdicts.csv.journal.jsonl"
    journal.write_text(journal.read_text().replace(rows["0.png"]["headline"], "not opened again"))
    (folder / "2.png").write_bytes(b"changed since it was judged")
    _, again = invoke("detect", folder, *PIXELS, "--home", home, "--out", out, "--json")
    kept = {Path(row["path"]).name: row for row in map(json.loads, again.splitlines())}
    assert kept["0.png"]["headline"] == "not opened again"
    assert kept["2.png"]["error"]
    monkeypatch.setenv("SIGNET_WATERMARK_PERIOD", "2026-12")
    _, anew = invoke("detect", folder / "0.png", *PIXELS, "--home", home, "--out", out, "--json")
    assert json.loads(anew)["headline"] == rows["0.png"]["headline"]


def test_a_page_shows_what_the_pixel_detectors_saw(folder: Path, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    invoke("detect", folder / "0.png", *PIXELS, "--home", tmp_path / "home", "--html", page)
    text = page.read_text()
    assert text.count("<figure>") == 3
    assert "no mask of an edit" in text
    assert "<script" not in text


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    for label, make in (("real", photo), ("generated", drawn)):
        for source in range(3):
            target = tmp_path / "labelled" / label / f"{label}-{source}"
            target.mkdir(parents=True)
            for number in range(3):
                (target / f"{number}.png").write_bytes(encode(make(10 * source + number), ImageFormat.PNG))
    return tmp_path / "labelled"


def test_an_evaluation_leaves_rows_figures_and_a_page(labelled: Path, tmp_path: Path) -> None:
    out = tmp_path / "evaluation"
    code, text = invoke(
        "evaluate", "detect", labelled, "--out", out, "--modes", "naive,history", "--jobs", 1, "--json",
        "--home", tmp_path / "home",
    )  # fmt: skip
    assert code == 0
    summary = json.loads(text)
    assert set(summary["modes"]) == {"naive", "history"}
    assert summary == json.loads((out / "summary.json").read_text())
    assert len((out / "rows.jsonl").read_text().splitlines()) == 2 * 18
    figures = summary["modes"]["history"]
    assert figures["real"] + figures["generated"] + sum(figures["skipped"].values()) == 18
    assert 0 <= figures["auc"] <= 1
    assert "<svg" in (out / "report.html").read_text()


def test_a_probe_is_installed_but_not_enabled(labelled: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    home = tmp_path / "home"
    code, text = invoke("train", "probe", labelled, "--name", "ours", "--home", home, "--json")
    assert code == 0
    row = json.loads(text)
    assert row["id"] == "learned.probe.ours"
    assert row["auc"] > 0.8
    picture = next(labelled.rglob("*.png"))
    _, judged = invoke("detect", picture, "--home", home, *PIXELS, "--json")
    assert "learned.probe.ours" not in judged


def test_a_bad_name_or_mode_is_a_usage_error(labelled: Path, tmp_path: Path) -> None:
    assert invoke("train", "probe", labelled, "--name", "../x", "--home", tmp_path)[0] == 2
    assert invoke("evaluate", "detect", labelled, "--out", tmp_path / "o", "--modes", "polish")[0] == 2
