"""Logs carry no content even when somebody passes it by mistake."""

import json

import pytest
import structlog

from gateway.logs import CONTENT_KEYS, configure


@pytest.mark.parametrize("name", sorted(CONTENT_KEYS))
def test_content_is_withheld(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    configure("info")
    structlog.get_logger("test").info("event", **{name: "a secret sentence", "request_id": "abc"})
    row = json.loads(capsys.readouterr().err)
    assert "secret" not in str(row)
    assert row["request_id"] == "abc"
    assert row["level"] == "info"


def test_level_is_respected(capsys: pytest.CaptureFixture[str]) -> None:
    configure("warning")
    structlog.get_logger("test").info("quiet")
    assert capsys.readouterr().err == ""
