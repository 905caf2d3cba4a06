"""``from guard import sign, verify``: five lines for whoever has pictures already."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import guard
from guard import Signet
from guard.credentials import CredentialState
from guard.errors import KeyMaterialError, MediaError, RequestError
from guard.media import decode, encode
from guard.provenance.dev_ca import init_development_keys
from guard.records import ImageFormat
from tests.guard.signing.bench import file, photo, stripped

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("library")
    init_development_keys(folder / "keys", now=datetime.now(UTC))
    return folder


@pytest.fixture(scope="module")
def signet(home: Path) -> Iterator[Signet]:
    with Signet(home=home) as opened:
        yield opened


def test_pixels_fresh_from_a_pipeline_are_signed_as_generated(signet: Signet, tmp_path: Path) -> None:
    signed = signet.sign(Image.fromarray(photo("coffee")), model="example/model", revision="abc")
    report = signet.verify(signed.save(tmp_path / "out.png"))
    assert (report.state, report.ai_origin) == (CredentialState.TRUSTED, True)
    assert "example/model abc" in report.software_agents


def test_an_array_may_become_a_jpeg(signet: Signet, tmp_path: Path) -> None:
    signed = signet.sign(photo("rocket"), model="m", image_format="jpeg")
    path = signed.save(tmp_path)
    assert path.name == f"{signed.image_id}.jpg"
    assert decode(path.read_bytes()).media_type == "image/jpeg"


def test_a_file_is_imported_and_claims_nothing(signet: Signet, tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes(file("chelsea"))
    for picture in (path, str(path), path.read_bytes()):
        report = signet.sign(picture).credential
        assert (report.state, report.ai_origin) == (CredentialState.TRUSTED, None)


def test_a_sidecar_is_handed_out_apart(signet: Signet) -> None:
    signed = signet.sign(photo("chelsea"), model="m", sidecar=True)
    assert signet.verify(signed.data).state is CredentialState.NONE
    assert signed.manifest_label.encode() in signed.manifest


def test_a_copy_leads_back(signet: Signet) -> None:
    signed = signet.sign(photo("astronaut"), model="m")
    found = signet.recover(Image.fromarray(stripped(signed.data)))
    assert (found.recovered, found.image_id) == (True, signed.image_id)


def test_an_edit_takes_its_parent_as_pixels(signet: Signet) -> None:
    signed = signet.sign(photo("coffee"), kind="edited", parent=Image.fromarray(photo("rocket")), model="m")
    assert [part.relationship for part in signed.credential.ingredients] == ["parentOf"]


def test_what_is_known_of_an_import_and_what_was_asked_for_can_be_stated(signet: Signet) -> None:
    imported = signet.sign(encode(photo("coffee"), ImageFormat.PNG), source_type="trainedAlgorithmicMedia")
    assert imported.credential.ai_origin is True
    assert b"a lighthouse" in signet.sign(photo("rocket"), model="m", prompt="a lighthouse").data
    edited = signet.sign(photo("rocket"), kind="edited", edit="inpainted", model="m")
    assert b"Parts were replaced" in edited.data


@pytest.mark.parametrize(
    ("picture", "options", "words"),
    [
        (np.zeros((64, 64), np.uint8), {}, "expected \\(height, width, 3\\)"),
        (42, {}, "expected a PIL picture"),
        (encode(photo(), ImageFormat.PNG), {"kind": "found"}, "generated, edited, imported"),
        (encode(photo(), ImageFormat.PNG), {"image_format": "bmp"}, "png, jpeg, webp"),
        (encode(photo(), ImageFormat.PNG), {"source_type": "banana"}, "unknown"),
    ],
)
def test_wrong_arguments_say_what_is_expected(signet: Signet, picture: object, options: dict, words: str) -> None:
    with pytest.raises(RequestError, match=words):
        signet.sign(picture, **options)  # type: ignore[arg-type]


def test_missing_files_and_keys_are_named(signet: Signet, tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="cannot be read"):
        signet.verify(tmp_path / "none.png")
    with Signet(home=tmp_path) as bare, pytest.raises(KeyMaterialError) as caught:
        bare.sign(photo())
    assert "signet keys init" in caught.value.diagnostics()


def test_the_one_call_forms_use_the_environment(home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SIGNET_HOME", str(home))
    path = guard.sign(photo("rocket"), model="m").save(tmp_path / "out.png")
    assert guard.verify(path).state is CredentialState.TRUSTED
    assert guard.recover(path).recovered


def test_the_documented_script_adds_fewer_than_ten_lines() -> None:
    source = (ROOT / "docs/examples/diffusers_script.py").read_text()
    assert 0 < source.count("# Signet") < 10


@pytest.mark.slow
def test_the_documented_script_runs(home: Path, tmp_path: Path) -> None:
    pytest.importorskip("diffusers")
    script = ROOT / "docs/examples/diffusers_script.py"
    model = ROOT / "guard/models/signet-mini"
    done = subprocess.run(
        [sys.executable, script, str(model), "a red circle", str(tmp_path / "out.png")],
        cwd=ROOT,
        env={"SIGNET_HOME": str(home), "PATH": "/usr/bin", "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip().splitlines()[-1] == "trusted"
