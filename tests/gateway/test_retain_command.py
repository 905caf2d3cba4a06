"""``signet ledger retain``: old pictures and thumbnails go, the ledger still verifies, copies are still traced back."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from gateway.cli.main import app
from guard import Signet
from guard.assembly import build_core
from guard.ledger.image_store import Deleted
from guard.provenance.dev_ca import init_development_keys
from guard.settings import load_settings
from guard.signing.request import SignedFile
from tests.guard.signing.bench import photo, stripped


@pytest.fixture
def home(tmp_path: Path) -> Path:
    init_development_keys(tmp_path / "keys", now=datetime.now(UTC))
    return tmp_path


@pytest.fixture
def signed(home: Path) -> SignedFile:
    with Signet(home=home) as signet:
        made = signet.sign(photo("coffee"), model="m")
    core = build_core(load_settings(home=home))
    core.images.put(made.image_id, made.data, media_type=made.media_type)
    core.close()
    return made


def run(home: Path, *arguments: str) -> tuple[int, dict[str, Any]]:
    answer = CliRunner().invoke(app, ["ledger", *arguments, "--home", str(home), "--json"])
    return answer.exit_code, json.loads(answer.stdout)


def test_what_is_old_enough_goes_and_is_recorded(home: Path, signed: SignedFile) -> None:
    assert run(home, "retain", "--images-days", "0", "--thumbnails-days", "0") == (
        0,
        {"images_deleted": 1, "thumbnails_erased": 1},
    )
    core = build_core(load_settings(home=home))
    row = core.ledger.registration(signed.image_id)
    state = core.images.state(signed.image_id)
    core.close()
    assert row is not None
    assert row.fingerprints.thumbnail == ""
    assert isinstance(state, Deleted)
    assert state.reason == "retention"
    code, report = run(home, "verify")
    assert (code, report["ok"], report["size"]) == (0, True, 2)
    with Signet(home=home) as signet:
        assert signet.recover(stripped(signed.data)).recovered


def test_a_second_run_finds_nothing_left(home: Path, signed: SignedFile) -> None:
    run(home, "retain", "--images-days", "0", "--thumbnails-days", "0")
    assert run(home, "retain", "--images-days", "0", "--thumbnails-days", "0")[1] == {
        "images_deleted": 0,
        "thumbnails_erased": 0,
    }


@pytest.mark.parametrize("options", [("--images-days", "1"), ("--images-days", "0", "--tenant", "other")])
def test_what_is_young_or_anothers_stays(home: Path, signed: SignedFile, options: tuple[str, ...]) -> None:
    assert run(home, "retain", "--thumbnails-days", "1", *options)[1] == {"images_deleted": 0, "thumbnails_erased": 0}


def test_nothing_to_do_is_a_usage_error(home: Path) -> None:
    code, row = run(home, "retain")
    assert (code, row["error"]) == (2, "invalid_request")
