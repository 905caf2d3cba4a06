"""``signet review``: who looked is noted under the account's name, and what was withheld stays private."""

import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from gateway.cli.main import app
from gateway.review.queue import ReviewQueue
from gateway.review.store import ReviewStore
from gateway.review.vault import Vault
from guard.policy.schema import QuarantineRules
from guard.provenance.dev_ca import init_development_keys
from tests.gateway.review.test_queue import ONE, Clock, admitted, refusal

pytestmark = pytest.mark.skipif(os.name != "posix", reason="accounts and file modes of POSIX")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    init_development_keys(tmp_path / "keys", now=datetime.now(UTC))
    with queue_of(tmp_path) as (queue, clock):
        queue.hold(refusal(ONE), admitted=admitted(clock), pixels=np.full((32, 32, 3), 9, np.uint8))
    return tmp_path


@contextmanager
def queue_of(home: Path) -> Iterator[tuple[ReviewQueue, Clock]]:
    clock = Clock(datetime.now(UTC))
    vault = Vault.from_file(home / "keys" / "quarantine.key")
    queue = ReviewQueue(ReviewStore(home / "review.sqlite3"), vault, rules=QuarantineRules(), clock=clock)
    yield queue, clock
    queue.close()


def review(home: Path, *arguments: str) -> dict[str, Any]:
    answer = CliRunner().invoke(app, ["review", *arguments, "--home", str(home), "--json"])
    assert answer.exit_code == 0, answer.output
    return json.loads(answer.stdout)


def test_openings_are_noted_under_the_account_and_shown(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "mallory")
    review(home, "decide", ONE, "upheld", "--reason", "Right.")
    shown = review(home, "show", ONE)
    assert shown["reviewer"] != "mallory"
    assert [access["what"] for access in shown["accesses"]] == ["decided upheld", "texts"]
    assert {access["who"] for access in shown["accesses"]} == {shown["reviewer"]}


def test_a_number_without_an_account_is_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 2**31 - 7)
    assert review(home, "show", ONE)["accesses"][0]["who"] == f"uid {2**31 - 7}"


def test_the_withheld_picture_is_for_its_owner_only(home: Path, tmp_path: Path) -> None:
    (tmp_path / "out.png").touch(mode=0o644)
    review(home, "show", ONE, "--picture", str(tmp_path / "out.png"))
    assert stat.S_IMODE((tmp_path / "out.png").stat().st_mode) == 0o600
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")
