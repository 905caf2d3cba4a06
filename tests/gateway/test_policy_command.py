"""``signet policy check | explain | diff | test``."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.cli.main import app

POLICIES = Path(__file__).resolve().parents[2] / "policies"


def signet(*arguments: object) -> tuple[int, list[dict], str]:
    """Run a command; return its exit code, its JSON rows and everything it printed."""
    result = CliRunner().invoke(app, [str(a) for a in arguments], env={"COLUMNS": "200"})
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    rows = [json.loads(line) for line in result.stdout.splitlines() if line.startswith("{")]
    return result.exit_code, rows, result.output


def written(path: Path, rows: list[dict]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_all_bundled_policies_are_right() -> None:
    code, rows, _ = signet("policy", "check", "--json")
    assert code == 0
    names = {row["id"] for row in rows}
    assert {f"generation.{name}" for name in ("default", "strict", "children", "newsroom", "permissive-adult")} <= names


def test_a_policy_explains_itself() -> None:
    code, _, text = signet("policy", "explain", "children", "--category", "violence_gore")
    assert code == 0
    assert "violence_gore" in text
    assert "block" in text
    assert "hate" not in text
    code, (document,), _ = signet("policy", "explain", "default", "--json")
    assert code == 0
    assert document["id"] == "generation.default"
    assert {rule["action"] for rule in document["categories"]["sexual"]} == {"flag", "review", "block"}


def test_what_is_always_blocked_has_no_thresholds_to_explain() -> None:
    code, _, text = signet("policy", "explain", "default", "--category", "sexual_minors")
    assert code == 2
    assert "always blocked" in text


def test_differences_are_named_and_change_the_exit_code() -> None:
    assert signet("policy", "diff", "default", "default")[0] == 0
    code, (document,), _ = signet("policy", "diff", "default", "strict", "--json")
    assert code == 1
    assert document["relation"] == "stricter"
    assert {row["category"] for row in document["differences"]} >= {"sexual", "hate"}
    options = {(row["checker"], row["option"]): (row["before"], row["after"]) for row in document["checker_options"]}
    assert options["image.nudity", "classes.BUTTOCKS_EXPOSED.min_score"] == (0.45, 0.35)
    assert "image.nudity, alone_min_score: 0.6 becomes not set" in signet("policy", "diff", "default", "strict")[2]
    assert "looser" in signet("policy", "diff", "strict", POLICIES / "generation.default.yaml")[2]


def test_cases_are_tried(tmp_path: Path) -> None:
    rows = [
        {"text": "a lighthouse at dawn", "expect": "release"},
        {"text": "a decapitated man, severed heads, blood and gore everywhere", "expect": "withhold"},
        {"text": "sexy woman on a bed", "negative": "clothes", "expect": "withhold"},
    ]
    assert signet("policy", "test", "default", "--cases", written(tmp_path / "cases.jsonl", rows), "--json")[0] == 0
    rows[0]["expect"] = "block"
    code, found, _ = signet("policy", "test", "default", "--cases", written(tmp_path / "cases.jsonl", rows), "--json")
    assert code == 1
    assert [row.get("row") for row in found] == [1, None]
    assert found[-1] == {"policy": "generation.default", "cases": 3, "differ": 1}


def test_a_labelled_set_is_replayed(tmp_path: Path) -> None:
    finding = {"checker": "x", "category": "hate", "score": 0.99, "severity": 4, "reason": "r", "hard": False}
    row = {"stage": "prompt", "label": "benign", "action": "block", "findings": [finding]}
    path = written(tmp_path / "labelled.jsonl", [row])
    code, (found,), _ = signet("policy", "test", "default", "--replay", path, "--json")
    assert (code, found["benign_withheld"], found["changed"]) == (0, 1, [])
    assert "1 refusals that reviewers overturned" in signet("policy", "test", "default", "--replay", path)[2]


@pytest.mark.parametrize(
    "content", ["not json\n", "[1]\n", '{"text": 1, "expect": "block"}\n', '{"text": "a", "expect": "maybe"}\n']
)
def test_broken_cases_are_a_usage_error(tmp_path: Path, content: str) -> None:
    path = tmp_path / "cases.jsonl"
    path.write_text(content)
    assert signet("policy", "test", "default", "--cases", path)[0] == 2


def test_one_of_cases_and_replay_is_needed() -> None:
    assert signet("policy", "test", "default")[0] == 2
    assert signet("policy", "test", "default", "--cases", "/nowhere/cases.jsonl")[0] == 2
