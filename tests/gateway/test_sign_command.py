"""``signet sign`` and ``signet recover`` as a user calls them: promised keys, exit codes, files, folders, stdin."""

import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from gateway.cli.main import app
from guard.provenance.dev_ca import init_development_keys
from tests.guard.signing.bench import file, photo


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("home")
    init_development_keys(folder / "keys", now=datetime.now(UTC))
    return folder


def run(home: Path, *arguments: object, stdin: bytes | None = None) -> tuple[int, list[dict[str, Any]]]:
    answer = CliRunner().invoke(app, [*map(str, arguments), "--home", str(home), "--json"], input=stdin)
    assert answer.exception is None or isinstance(answer.exception, SystemExit), answer.exception
    return answer.exit_code, [json.loads(line) for line in answer.stdout.splitlines()]


@pytest.fixture(scope="module")
def signed(home: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("signed")
    (folder / "in.png").write_bytes(file("coffee"))
    code, (row,) = run(home, "sign", folder / "in.png", "--out", folder / "out.png", "--kind", "generated")
    assert code == 0, row
    return folder / "out.png", row


def copy_of(path: Path, target: Path) -> Path:
    image = Image.open(path).convert("RGB")
    image.resize((224, 224)).save(target, "JPEG", quality=75)
    return target


def test_sign_gives_the_promised_keys_and_a_trusted_file(home: Path, signed: tuple[Path, dict[str, Any]]) -> None:
    path, row = signed
    assert {"image_id", "manifest_label", "sha256"} <= row.keys()
    assert (row["marked"], row["carried_mark"], row["state"]) == (True, None, "trusted")
    code, (verified,) = run(home, "verify", path)
    assert (code, verified["state"], verified["ai_origin"]) == (0, "trusted", True)


def test_recover_writes_the_manifest_of_a_stripped_copy(
    home: Path, signed: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    path, row = signed
    copy = copy_of(path, tmp_path / "copy.jpg")
    code, (found,) = run(home, "recover", copy, "--out", tmp_path / "original.c2pa")
    assert (code, found["recovered"], found["route"], found["match"]) == (0, True, "watermark", "confirmed")
    assert found["image_id"] == row["image_id"]
    assert row["manifest_label"].encode() in (tmp_path / "original.c2pa").read_bytes()
    code, (found,) = run(home, "recover", copy, "--out", tmp_path / "original.json")
    written = json.loads((tmp_path / "original.json").read_text())
    assert (code, written["manifest"]["manifest_label"]) == (0, row["manifest_label"])


def test_recover_says_when_there_is_nothing(home: Path, tmp_path: Path) -> None:
    (tmp_path / "other.png").write_bytes(file("chelsea"))
    code, (found,) = run(home, "recover", tmp_path / "other.png", "--out", tmp_path / "none.c2pa")
    assert (code, found["recovered"], found["route"], found["match"], found["image_id"]) == (1, False, None, None, None)
    assert not (tmp_path / "none.c2pa").exists()


def test_recover_reports_a_transplanted_mark(home: Path, signed: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    path, row = signed
    residue = np.asarray(Image.open(path)).astype(int) - photo("coffee")
    Image.fromarray(np.clip(photo("chelsea") + residue, 0, 255).astype(np.uint8)).save(tmp_path / "forged.png")
    code, (found,) = run(home, "recover", tmp_path / "forged.png", "--out", tmp_path / "none.c2pa")
    assert (code, found["recovered"], found["route"], found["match"]) == (1, False, "watermark", "mismatch")
    assert found["image_id"] == row["image_id"]


def test_the_released_file_is_not_invented(home: Path, signed: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    copy = copy_of(signed[0], tmp_path / "copy.jpg")
    code, (found,) = run(home, "recover", copy, "--out", tmp_path / "original.png")
    assert (code, found["error"]) == (3, "invalid_request")
    assert "not stored here" in found["reason"]


def test_a_folder_becomes_a_folder_and_a_bad_file_does_not_stop_it(home: Path, tmp_path: Path) -> None:
    (tmp_path / "in/deep").mkdir(parents=True)
    (tmp_path / "in/a.png").write_bytes(file("rocket"))
    (tmp_path / "in/deep/b.jpg").write_bytes(b"no picture")
    code, rows = run(home, "sign", tmp_path / "in", "--out", tmp_path / "out")
    assert code == 3
    assert [row.get("error") for row in rows] == [None, "unsupported_media"]
    assert [p.name for p in (tmp_path / "out").rglob("*") if p.is_file()] == ["a.png"]


def test_standard_input_becomes_a_file(home: Path, tmp_path: Path) -> None:
    code, (row,) = run(home, "sign", "-", "--out", tmp_path / "out.webp", stdin=file("rocket"))
    assert (code, row["media_type"]) == (0, "image/webp")
    assert Image.open(io.BytesIO((tmp_path / "out.webp").read_bytes())).format == "WEBP"


def test_several_files_into_one_file_is_refused(home: Path, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(file("rocket"))
    code, (row,) = run(home, "sign", tmp_path / "a.png", tmp_path / "a.png", "--out", tmp_path / "a.png")
    assert (code, row["error"]) == (2, "invalid_request")


def test_a_marked_file_is_named_and_not_marked_again(
    home: Path, signed: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    path, first = signed
    code, (row,) = run(home, "sign", path, "--out", tmp_path / "again.png")
    assert (code, row["marked"], row["carried_mark"]["id"]) == (0, False, first["image_id"])
    code, (row,) = run(home, "sign", path, "--out", tmp_path / "never.png", "--kind", "generated")
    assert (code, row["error"]) == (3, "invalid_request")
    assert first["image_id"] in row["reason"]
    assert not (tmp_path / "never.png").exists()


def test_a_prompt_goes_in_on_request_and_out_again(home: Path, tmp_path: Path) -> None:
    (tmp_path / "in.png").write_bytes(file("astronaut"))
    common = ("--kind", "generated", "--prompt", "an astronaut in orange")
    code, _ = run(home, "sign", tmp_path / "in.png", "--out", tmp_path / "with.png", *common)
    assert code == 0
    assert b"an astronaut in orange" in (tmp_path / "with.png").read_bytes()
    _, (hidden,) = run(home, "inspect", tmp_path / "with.png")
    _, (shown,) = run(home, "inspect", tmp_path / "with.png", "--personal")
    assert "in orange" not in json.dumps(hidden)
    assert "in orange" in json.dumps(shown)
    code, (row,) = run(home, "sign", tmp_path / "with.png", "--out", tmp_path / "without.png", "--redact-prompt")
    assert (code, row["state"]) == (0, "trusted")
    assert b"an astronaut in orange" not in (tmp_path / "without.png").read_bytes()


def test_inspect_shows_a_tree_and_says_when_there_is_nothing(home: Path, signed: tuple[Path, dict[str, Any]]) -> None:
    answer = CliRunner().invoke(app, ["inspect", str(signed[0]), "--home", str(home)])
    assert answer.exit_code == 0
    assert "c2pa.created, trainedAlgorithmicMedia" in " ".join(answer.stdout.split())
    assert signed[1]["manifest_label"] in answer.stdout
    bare = CliRunner().invoke(app, ["inspect", "-", "--home", str(home)], input=file("rocket"))
    assert "no content credentials" in bare.stdout


def test_a_photo_that_was_only_signed_is_not_called_generated(home: Path, tmp_path: Path) -> None:
    (tmp_path / "photo.png").write_bytes(file("rocket"))
    code, (row,) = run(home, "sign", tmp_path / "photo.png", "--out", tmp_path / "signed.png", "--kind", "imported")
    assert code == 0, row
    copy_of(tmp_path / "signed.png", tmp_path / "copy.jpg")
    _, rows = run(home, "detect", tmp_path / "signed.png", tmp_path / "copy.jpg", "--families", "metadata,watermark")
    assert [found["verdict"] for found in rows] == ["NO_EVIDENCE", "NO_EVIDENCE"], rows


def test_a_sidecar_is_written_beside_the_file_and_verifies_with_it(home: Path, tmp_path: Path) -> None:
    (tmp_path / "in.png").write_bytes(file("astronaut"))
    out = tmp_path / "out.png"
    code, _ = run(home, "sign", tmp_path / "in.png", "--out", out, "--no-mark", "--sidecar")
    assert code == 0
    assert out.read_bytes() == (tmp_path / "in.png").read_bytes()
    store = tmp_path / "out.png.c2pa"
    assert run(home, "verify", out)[1][0]["state"] == "none"
    code, (row,) = run(home, "verify", out, "--manifest", store)
    assert (code, row["state"]) == (0, "trusted")
    out.write_bytes(out.read_bytes() + b"tail")
    code, (row,) = run(home, "verify", out, "--manifest", store)
    assert (code, row["state"], row["ai_origin"]) == (1, "invalid", None)
