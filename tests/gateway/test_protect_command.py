"""``signet protect``: what is added is withheld by the installation's policy from then on."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data
from typer.testing import CliRunner

from gateway.cli.main import app


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    Image.fromarray(data.astronaut()).save(folder / "work.png")
    Image.fromarray(data.coffee()).convert("RGB").save(folder / "other.jpg", quality=90)
    return folder


def signet(*arguments: object, home: Path) -> tuple[int, list[dict], str]:
    """Run a command; return its exit code, its JSON rows and what it said on standard error."""
    result = CliRunner().invoke(app, [str(a) for a in arguments], env={"SIGNET_HOME": str(home), "COLUMNS": "200"})
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    rows = [json.loads(line) for line in result.stdout.splitlines() if line.startswith("{")]
    return result.exit_code, rows, result.stderr


def test_a_protected_picture_is_withheld_and_others_are_not(pictures: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert signet("protect", "add", pictures / "work.png", "--list", "works", "--json", home=home)[0] == 0
    Image.open(pictures / "work.png").resize((300, 300)).save(pictures / "copy.jpg", quality=70)
    code, rows, _ = signet("protect", "check", pictures, "--json", home=home)
    assert code == 1
    assert {Path(row["path"]).name: len(row["matches"]) for row in rows} == {
        "work.png": 1,
        "copy.jpg": 1,
        "other.jpg": 0,
    }
    code, (copy, other), _ = signet("check-image", pictures / "copy.jpg", pictures / "other.jpg", "--json", home=home)
    assert (code, copy["decision"], other["decision"]) == (1, "block", "allow")
    assert "trademark_style" in copy["categories"]


def test_a_shared_list_goes_out_and_in_again(pictures: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    signet("protect", "add", pictures, "--list", "removed", home=first)
    exported = CliRunner().invoke(app, ["protect", "export", "removed"], env={"SIGNET_HOME": str(first)}).stdout
    (tmp_path / "removed.csv").write_text(exported)
    arguments = ("protect", "import", tmp_path / "removed.csv", "--list", "shared", "--category", "shocking", "--hard")
    assert signet(*arguments, "--json", home=second)[1] == [{"list": "shared", "added": 2}]
    _, (row,), _ = signet("protect", "list", "--json", home=second)
    assert row == {"list": "shared", "category": "shocking", "severity": 7, "hard": True, "entries": 2}
    code, (checked,), _ = signet("check-image", pictures / "work.png", "--json", home=second)
    assert (code, checked["decision"]) == (1, "block")
    assert signet("protect", "remove", "shared", "--json", home=second)[1] == [{"list": "shared", "removed": 2}]
    assert signet("protect", "check", pictures, home=second)[0] == 0


def test_a_plain_picture_is_not_taken(tmp_path: Path) -> None:
    Image.fromarray(np.full((128, 128, 3), 255, np.uint8)).save(tmp_path / "white.png")
    code, (row,), _ = signet("protect", "add", tmp_path / "white.png", "--json", home=tmp_path / "home")
    assert code == 3
    assert "too plain" in row["reason"]
    assert signet("protect", "list", "--json", home=tmp_path / "home")[1] == []


def test_a_match_that_the_policy_would_let_pass_is_said_beforehand(pictures: Path, tmp_path: Path) -> None:
    arguments = ("protect", "add", pictures / "work.png", "--category", "sexual", "--severity", "1")
    assert "withholds nothing for sexual" in signet(*arguments, home=tmp_path / "home")[2]
    assert "withholds nothing" not in signet(*arguments, "--hard", home=tmp_path / "home")[2]


@pytest.mark.parametrize("arguments", [("export", "nothing"), ("remove", "nothing"), ("import", "missing.csv")])
def test_what_is_not_there_is_a_usage_error(arguments: tuple[str, ...], tmp_path: Path) -> None:
    more = ("--list", "x", "--category", "shocking") if arguments[0] == "import" else ()
    assert signet("protect", *arguments, *more, home=tmp_path / "home")[0] == 2


def test_a_file_name_that_is_no_text_stops_nothing(pictures: Path, tmp_path: Path) -> None:
    (pictures / "work.png").rename(os.fsdecode(os.fsencode(pictures) + b"/\xff.png"))
    code, rows, _ = signet("protect", "add", pictures, "--list", "works", "--json", home=tmp_path / "home")
    assert (code, [row["list"] for row in rows]) == (0, ["works", "works"])
    exported = CliRunner().invoke(app, ["protect", "export", "works"], env={"SIGNET_HOME": str(tmp_path / "home")})
    assert "?.png" in exported.stdout
