"""``signet robustness`` and ``signet watermark canary``: a small real run, its signed report, resuming, refusals."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from gateway.cli.main import app
from guard.provenance.dev_ca import init_development_keys
from guard.robustness.catalogue import ATTACKS


@pytest.fixture
def home(tmp_path: Path) -> Path:
    init_development_keys(tmp_path / "keys", now=datetime.now(UTC))
    return tmp_path


def run(home: Path, *arguments: str) -> tuple[int, dict[str, Any]]:
    answer = CliRunner().invoke(app, [*arguments, "--home", str(home), "--json"])
    return answer.exit_code, json.loads(answer.stdout)


def test_a_run_writes_a_signed_report_that_verifies_and_can_be_extended(home: Path) -> None:
    out = home / "out"
    arguments = ("robustness", "run", "--out", str(out), "--only", "none", "--only", "mirror", "--count")
    code, first = run(home, *arguments, "1")
    assert code == 0
    assert first["report"]["pictures"] == {"clouds": 1}
    code, second = run(home, *arguments, "2")
    assert code == 0
    assert second["report"]["pictures"] == {"clouds": 2}
    assert len((out / "results.jsonl").read_text().splitlines()) == 3
    assert "<svg" not in (out / "report.html").read_text()  # one point is no curve
    code, verified = run(home, "robustness", "verify", str(out / "report.json"))
    assert code == 0
    assert verified["report"] == second["report"]
    (out / "report.json").write_text((out / "report.json").read_text().replace('"sig": "', '"sig": "AAAA'))
    code, refused = run(home, "robustness", "verify", str(out / "report.json"))
    assert code == 1
    assert refused["error"] == "verification_failed"


def test_the_report_as_pdf_has_its_curves(home: Path) -> None:
    pytest.importorskip("typst")
    only = ("--only", "JPEG 90", "--only", "JPEG 50")
    code, _ = run(home, "robustness", "run", "--out", str(home / "o"), *only, "--count", "1", "--pdf")
    assert code == 0
    assert (home / "o" / "report.pdf").read_bytes().startswith(b"%PDF-")
    assert "<svg" in (home / "o" / "report.html").read_text()


def test_a_promise_that_is_not_kept_is_exit_code_1(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from guard.robustness.attack import Attack, AttackFamily

    wiped = Attack(id="wiped", family=AttackFamily.IN_PLACE, change=lambda x, _: x * 0, required=0.5)
    monkeypatch.setattr("gateway.cli.robustness.ATTACKS", (wiped,))
    code, answer = run(home, "robustness", "run", "--out", str(home / "o"), "--count", "1")
    assert code == 1
    assert answer["unmet"] == ["wiped"]


def test_unknown_attacks_and_folders_are_usage_errors(home: Path) -> None:
    code, answer = run(home, "robustness", "run", "--out", str(home / "o"), "--only", "magic")
    assert (code, answer["error"]) == (2, "invalid_request")
    code, answer = run(home, "robustness", "run", str(home / "nowhere"), "--out", str(home / "o"), "--only", "none")
    assert (code, answer["error"]) == (2, "invalid_request")


def test_a_folder_without_pictures_and_an_output_that_is_a_file_are_usage_errors(home: Path) -> None:
    (home / "empty").mkdir()
    code, answer = run(home, "robustness", "run", str(home / "empty"), "--out", str(home / "o"), "--only", "none")
    assert (code, answer["error"]) == (2, "invalid_request")
    assert "480 px" in answer["reason"]
    assert not (home / "o").exists()
    (home / "file").write_text("x")
    code, answer = run(home, "robustness", "run", "--out", str(home / "file"), "--only", "none")
    assert (code, answer["error"]) == (2, "invalid_request")


@pytest.mark.slow
def test_the_quick_run_for_ci_keeps_its_promises_on_computed_pictures(home: Path) -> None:
    code, answer = run(home, "robustness", "run", "--out", str(home / "o"), "--quick")
    assert (code, answer["unmet"]) == (0, [])
    assert answer["report"]["pictures"] == {"clouds": 4}


def test_every_attack_is_listed() -> None:
    answer = json.loads(CliRunner().invoke(app, ["robustness", "list", "--json"]).stdout)
    assert [row["id"] for row in answer["attacks"]] == [
        *[attack.id for attack in ATTACKS],
        "marked by another operator",
    ]


def test_another_operators_mark_over_ours_leaves_ours_readable(home: Path) -> None:
    only = ("--only", "marked by another operator")
    code, answer = run(home, "robustness", "run", "--out", str(home / "o"), *only, "--count", "2")
    assert code == 0
    (row,) = answer["report"]["attacks"]
    assert (row["family"], row["all"]["exact"]) == ("adversarial", 2)


def test_the_canary_passes_with_fresh_keys(home: Path) -> None:
    code, answer = run(home, "watermark", "canary")
    assert code == 0
    assert answer["ok"] is True
    assert len(answer["checks"]) == 21
