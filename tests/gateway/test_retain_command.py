"""``signet ledger retain``: old pictures and thumbnails go, the ledger still verifies, copies are still traced back."""

import json
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from gateway.cli.main import app
from gateway.review.cases import Case, CaseStatus, Part
from gateway.review.store import ReviewStore
from guard import Signet
from guard.assembly import build_core
from guard.ledger.entry import deletion_body
from guard.ledger.image_store import Deleted
from guard.provenance.dev_ca import init_development_keys
from guard.settings import load_settings
from guard.signing.request import SignedFile
from service import create_app
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
        {"images_deleted": 1, "thumbnails_erased": 1, "withheld_erased": 0},
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
        "withheld_erased": 0,
    }


@pytest.mark.parametrize("options", [("--images-days", "1"), ("--images-days", "0", "--tenant", "other")])
def test_what_is_young_or_anothers_stays(home: Path, signed: SignedFile, options: tuple[str, ...]) -> None:
    row = run(home, "retain", "--thumbnails-days", "1", *options)[1]
    assert (row["images_deleted"], row["thumbnails_erased"]) == (0, 0)


def test_nothing_to_do_is_a_usage_error(home: Path) -> None:
    code, row = run(home, "retain")
    assert (code, row["error"]) == (2, "invalid_request")


def test_a_deletion_that_a_crash_kept_off_the_record_is_recorded_later(home: Path, signed: SignedFile) -> None:
    core = build_core(load_settings(home=home))
    core.images.delete(signed.image_id, reason="retention", at=datetime(2026, 1, 2, tzinfo=UTC))  # and then a crash
    core.close()
    assert run(home, "retain", "--images-days", "0")[1]["images_deleted"] == 1
    assert run(home, "retain", "--images-days", "0")[1]["images_deleted"] == 0
    core = build_core(load_settings(home=home))
    assert (core.ledger.size(), core.ledger.deleted_ids()) == (2, {signed.image_id})
    core.close()


def test_bytes_that_a_crash_left_in_a_temporary_file_go_too(home: Path, signed: SignedFile) -> None:
    (stored,) = (home / "images").rglob(f"{signed.image_id}.*")
    left = stored.with_name(".tmp-left")
    left.write_bytes(stored.read_bytes())
    os.utime(left, (1, 1))
    run(home, "retain", "--images-days", "0")
    assert not left.exists()


def test_an_erased_thumbnail_is_in_no_journal_while_a_service_has_the_ledger_open(
    home: Path, signed: SignedFile
) -> None:
    service = build_core(load_settings(home=home))
    row = service.ledger.registration(signed.image_id)
    assert row is not None
    service.ledger.append(  # so that there is a journal
        deletion_body(at=datetime.now(UTC), image_id=signed.image_id, tenant="local", reason="test")
    )
    text = row.fingerprints.thumbnail.encode()[:64]
    assert any(text in file.read_bytes() for file in home.glob("ledger.sqlite3*"))
    assert run(home, "retain", "--thumbnails-days", "0")[1]["thumbnails_erased"] == 1
    assert not any(text in file.read_bytes() for file in home.glob("ledger.sqlite3*"))
    service.close()


def test_withheld_content_whose_time_is_over_goes_without_any_key(home: Path) -> None:
    store = ReviewStore(home / "review.sqlite3")
    long_ago = datetime(2020, 1, 1, tzinfo=UTC)
    store.add(case_of(long_ago), {Part.TEXTS: b"sealed"})
    store.close()
    assert run(home, "retain", "--images-days", "365")[1]["withheld_erased"] == 1
    assert not (home / "keys" / "quarantine.key").exists()


def test_withheld_content_is_kept_and_no_key_is_made_while_the_key_is_away(home: Path) -> None:
    store = ReviewStore(home / "review.sqlite3")
    store.add(case_of(datetime.now(UTC)), {Part.TEXTS: b"sealed"})
    store.close()
    answer = CliRunner().invoke(app, ["review", "list", "--home", str(home), "--json"])
    assert (answer.exit_code, "is missing" in answer.stdout) == (2, True)
    assert not (home / "keys" / "quarantine.key").exists()


def test_a_service_erases_by_itself(home: Path) -> None:
    store = ReviewStore(home / "review.sqlite3")
    store.add(case_of(datetime(2020, 1, 1, tzinfo=UTC)), {Part.TEXTS: b"sealed"})
    with TestClient(create_app(load_settings(home=home))):
        give_up = time.monotonic() + 120
        while store.has_sealed() and time.monotonic() < give_up:
            time.sleep(0.05)
    assert not store.has_sealed()
    store.close()


@pytest.mark.parametrize("option", ["--images-days", "--thumbnails-days"])
def test_more_days_than_a_calendar_has_are_a_usage_error(home: Path, option: str) -> None:
    assert CliRunner().invoke(app, ["ledger", "retain", option, "99999999", "--home", str(home)]).exit_code == 2


def case_of(withheld_at: datetime) -> Case:
    return Case(
        appeal_id="1" * 16,
        request_id="ab" * 16,
        image_id=None,
        tenant="local",
        stage="prompt",
        action="block",
        category="hate",
        reason="r",
        rules=(),
        findings=(),
        policy_id="p",
        policy_digest="d",
        withheld_at=withheld_at,
        expires_at=withheld_at + timedelta(days=30),
        status=CaseStatus.OPEN,
        parts=frozenset(),
    )
