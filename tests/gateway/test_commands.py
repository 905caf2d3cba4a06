"""The commands of the contract as a shell sees them: exit codes, promised keys, one bad item does not stop a batch."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from skimage import data
from typer.testing import CliRunner

from gateway.cli.main import app
from guard.provenance.dev_ca import init_development_keys


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("home")
    init_development_keys(folder / "keys", now=datetime.now(UTC))
    return folder


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.fromarray(data.chelsea()).save(path)
    return path


def signet(home: Path, *arguments: object, stdin: bytes | None = None) -> tuple[int, list[dict[str, Any]]]:
    """Run with --json; return the exit code and the rows."""
    answer = CliRunner().invoke(
        app, [*map(str, arguments), "--json"], input=stdin, env={"SIGNET_HOME": str(home), "OMP_NUM_THREADS": "1"}
    )
    assert answer.exception is None or isinstance(answer.exception, SystemExit), answer.exception
    return answer.exit_code, [json.loads(line) for line in answer.stdout.splitlines()]


@pytest.fixture(scope="module")
def generated(home: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    out = tmp_path_factory.mktemp("out") / "new" / "folder"
    code, rows = signet(home, "generate", "a red circle", "--out", out, "--count", 2, "--seed", 7)
    assert code == 0, rows
    return rows


def test_generate_writes_one_file_for_each_released_image(generated: list[dict[str, Any]], home: Path) -> None:
    assert len(generated) == 2
    for row in generated:
        assert {"image_id", "path", "sha256", "refused"} <= row.keys()
        assert row["refused"] is False
        assert Path(row["path"]).stem == row["image_id"]
    code, (verified, _) = signet(home, "verify", *(row["path"] for row in generated))
    assert (code, verified["state"], verified["ai_origin"]) == (0, "trusted", True)


def test_generate_refuses_with_exit_code_1(home: Path, tmp_path: Path) -> None:
    code, (row,) = signet(home, "generate", "blood and gore, a dismembered corpse", "--out", tmp_path / "out")
    assert (code, row["refused"], row["stage"]) == (1, True, "prompt")
    assert {"category", "reason", "appeal_id"} <= row.keys()
    assert list((tmp_path / "out").iterdir()) == []


def test_a_folder_that_cannot_be_made_is_a_usage_error(home: Path, photo: Path) -> None:
    code, (row,) = signet(home, "generate", "a star", "--out", photo / "below")
    assert (code, row["error"]) == (2, "invalid_request")


def test_detect_judges_a_folder_and_goes_on_after_a_bad_file(
    home: Path, generated: list[dict[str, Any]], photo: Path
) -> None:
    folder = photo.parent
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    (folder / "ours.png").write_bytes(Path(generated[0]["path"]).read_bytes())
    code, rows = signet(home, "detect", folder, "--families", "metadata,watermark")
    by_name = {Path(row["path"]).name: row for row in rows}
    assert code == 1
    assert by_name["ours.png"]["verdict"] == "PROVEN_AI"
    assert by_name["photo.png"]["verdict"] == "NO_EVIDENCE"
    assert by_name["broken.png"]["error"] == "undecodable_media"
    row = by_name["ours.png"]
    assert {"llr_nats", "evidence", "generator"} <= row.keys()
    assert {"id", "family", "technique", "status", "llr_nats", "reason"} <= row["evidence"][0].keys()


@pytest.mark.parametrize(("name", "code"), [("photo.png", 0), ("missing.png", 2), ("broken.png", 3)])
def test_exit_codes_of_detect(home: Path, photo: Path, name: str, code: int) -> None:
    (photo.parent / "broken.png").write_bytes(b"nothing")
    assert signet(home, "detect", photo.parent / name, "--families", "metadata")[0] == code


def test_check_prompt_answers_line_by_line_and_goes_on_after_bad_lines(home: Path) -> None:
    lines = [
        b'{"text": "a lighthouse at dawn"}',
        b'{"text": "\xff\xfe"}',
        b"no json",
        b'{"text": "a gory dismembered body"}',
    ]
    code, rows = signet(home, "check-prompt", "--file", "-", stdin=b"\n".join(lines))
    assert code == 1
    assert [row.get("decision", "error") for row in rows[:3]] == ["allow", "error", "error"]
    assert rows[3]["decision"] in ("review", "block")
    assert {"decision", "score", "categories", "spans"} <= rows[0].keys()


def test_check_prompt_reads_everything_that_steers_a_picture(home: Path) -> None:
    lines = [
        {"text": "sexy woman on a bed", "negative_prompt": "clothes"},
        {"text": "sexy woman on a bed", "negative": "clothes", "label": 1},
        {"text": "a quiet street", "prompt_2": "a gory dismembered body"},
        {"text": "a quiet street", "negative": "a gory dismembered body"},
        {"text": "a quiet street", "negative": "a gory dismembered body", "guidance": 0.5},
        {"text": "a quiet street", "negative": None, "prompt_2": 3},
    ]
    stdin = "\n".join(json.dumps(line) for line in lines).encode()
    code, rows = signet(home, "check-prompt", "--file", "-", stdin=stdin)
    assert code == 1
    withheld = [row.get("decision", "error") in ("review", "block") for row in rows]
    assert withheld == [True, True, True, False, True, False]
    assert "prompt_2" in rows[5]["reason"]
    one = ("check-prompt", "a quiet street", "--prompt-2", "a gory dismembered body", "--negative", "rain")
    assert signet(home, *one)[0] == 1
    assert signet(home, "check-prompt", "--file", "-", "--negative", "rain", stdin=stdin)[0] == 2


def test_check_prompt_needs_one_input(home: Path, tmp_path: Path) -> None:
    assert signet(home, "check-prompt")[0] == 2
    assert signet(home, "check-prompt", "x", "--file", tmp_path / "x.jsonl")[0] == 2
    assert signet(home, "check-prompt", "--file", tmp_path / "missing.jsonl")[0] == 2


def test_check_image(home: Path, photo: Path) -> None:
    code, (row,) = signet(home, "check-image", photo)
    assert (code, row["decision"]) == (0, "allow")
    assert {"decision", "categories", "regions"} <= row.keys()


def test_watermark_there_and_back(home: Path, photo: Path, tmp_path: Path) -> None:
    marked = tmp_path / "marked.jpg"
    code, (row,) = signet(home, "watermark", "embed", photo, marked, "--id", "00112233445566ff")
    assert (code, row["id"]) == (0, "00112233445566ff")
    code, (ours, other) = signet(home, "watermark", "detect", marked, photo)
    assert (ours["found"], ours["id"], other["found"]) == (True, "00112233445566ff", False)
    assert ours["log10_p"] <= -9
    assert {"scale", "rotation_deg", "mirrored"} <= ours["geometry"].keys()
    assert code == 1


def test_a_marked_copy_keeps_its_transparency(home: Path, tmp_path: Path) -> None:
    clear, marked = tmp_path / "clear.png", tmp_path / "marked.png"
    picture = Image.effect_noise((300, 300), 40).convert("RGB")
    picture.putalpha(Image.linear_gradient("L").resize((300, 300)).point(lambda v: max(v, 100)))
    picture.save(clear)
    assert signet(home, "watermark", "embed", clear, marked, "--id", "00112233445566ff")[0] == 0
    with Image.open(marked) as image:
        assert image.mode == "RGBA"
        assert image.getchannel("A").tobytes() == picture.getchannel("A").tobytes()
    assert signet(home, "watermark", "detect", marked)[1][0]["id"] == "00112233445566ff"


def test_confirm_wants_a_whole_id(home: Path, photo: Path) -> None:
    assert signet(home, "watermark", "confirm", photo, "--id", "zz")[0] == 2


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_mark_in_the_noise_is_written_and_confirmed(
    home: Path, generated: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, _ = signet(home, "watermark", "confirm", generated[0]["path"])
    assert code == 3  # generated without the mark in the noise
    monkeypatch.setenv("SIGNET_LATENT_MARK", "true")
    code, (row,) = signet(home, "generate", "a landscape with mountains and trees", "--out", tmp_path, "--seed", 5)
    assert code == 0
    picture, copy = Image.open(row["path"]).convert("RGB"), tmp_path / "copy.png"
    picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT).resize((320, 320), Image.Resampling.BICUBIC).save(copy)
    code, (ours, mirrored) = signet(home, "watermark", "confirm", row["path"], copy)
    assert code == 1
    assert (ours["confirmed"], ours["id"], mirrored["confirmed"]) == (True, row["image_id"], True)
    assert ours["log10_p"] <= -9
    code, (other,) = signet(home, "watermark", "confirm", generated[0]["path"], "--id", row["image_id"])
    assert (code, other["confirmed"]) == (0, False)


def test_ledger_and_doctor(home: Path, generated: list[dict[str, Any]]) -> None:
    code, (row,) = signet(home, "ledger", "verify")
    assert (code, row["ok"], row["problems"]) == (0, True, [])
    assert row["size"] >= len(generated)
    code, (row,) = signet(home, "doctor")
    assert (code, row["ok"]) == (0, True)


def test_a_misspelt_setting_is_named(home: Path, photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGNET_GENERATON_POLICY", "generation.strict")
    code, (row,) = signet(home, "check-image", photo)
    assert code == 2
    assert "SIGNET_GENERATON_POLICY" in row["reason"]
    assert "SIGNET_GENERATION_POLICY" in row["next_step"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SIGNET_TENANT", "two words"),
        ("SIGNET_PORT", "0"),
        ("SIGNET_DEVICE", "abacus"),
        ("SIGNET_WORKER_PROCESSES", "x"),
    ],
)
def test_a_wrong_value_names_its_setting(
    home: Path, photo: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    code, (row,) = signet(home, "verify", photo)
    assert code == 2
    assert name in row["reason"]


def test_the_visible_label_lies_under_the_mark_and_the_signature(home: Path, tmp_path: Path) -> None:
    plain, labelled = (
        signet(home, "generate", "a red circle", "--out", tmp_path, "--seed", 7, "--label", label)[1][0]
        for label in ("none", "basic")
    )
    first, second = (np.asarray(Image.open(row["path"]), np.int16) for row in (plain, labelled))
    assert (np.abs(first - second) > 60).any(), "a label is visible"
    assert signet(home, "verify", labelled["path"])[1][0]["state"] == "trusted"
    assert signet(home, "watermark", "detect", labelled["path"])[1][0]["id"] == labelled["image_id"]
