"""docs/provenance.md: its example runs as printed."""

import re
from pathlib import Path

import pytest

from guard.provenance import bounds
from guard.provenance.read import DEADLINE_S
from guard.records import ImageFormat
from tests.guard.provenance.support import encoded

DOCUMENT = (Path(__file__).resolve().parents[3] / "docs/provenance.md").read_text(encoding="utf-8")


def test_the_example_runs_and_prints_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SIGNET_HOME", str(tmp_path / ".signet"))
    (tmp_path / "in.png").write_bytes(encoded(ImageFormat.PNG, side=300))
    exec(compile(example, "docs/provenance.md", "exec"), {})  # noqa: S102 - our own document
    assert capsys.readouterr().out == "trusted\n"
    assert "# trusted" in example


def test_limits_are_those_of_the_code() -> None:
    flat = " ".join(DOCUMENT.split())
    assert f"{bounds.MAX_CHUNKS:_} container chunks".replace("_", " ") in flat
    assert f"{bounds.MAX_JUMBF_BOXES:_} JUMBF boxes".replace("_", " ") in flat
    assert f"deadline ({DEADLINE_S:.0f} s)" in flat
