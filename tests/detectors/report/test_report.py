"""Reports: the promised JSON keys, text without control characters, HTML that escapes everything and runs nothing."""

import json
from html.parser import HTMLParser

import pytest

from detectors.evidence import Direction, Grade, Observation
from detectors.fusion import fuse
from detectors.report.as_html import render_html
from detectors.report.as_json import render_json
from detectors.report.as_text import render_text
from detectors.report.model import Report, build_report
from tests.detectors.builders import POLICY, evidence, failed, picture

HOSTILE = '<script>alert(1)</script>\x1b[31m\u202egnp.exe & "quotes" {{ 7*7 }}'


@pytest.fixture
def report() -> Report:
    seen = (Observation(name="prompt", value=HOSTILE, where=HOSTILE),)
    results = [
        evidence(Grade.SUPPORTING, Direction.AI, generator=HOSTILE, reason=HOSTILE, observations=seen),
        evidence(id="metadata.other"),
        failed(),
    ]
    return build_report(
        fuse(results, POLICY),
        path=HOSTILE,
        sha256="ab" * 32,
        media_type="image/png",
        size=(256, 128),
        policy_id="test",
        policy_digest="cd" * 32,
    )


def test_json_has_the_promised_keys(report: Report) -> None:
    row = json.loads(render_json(report))
    assert row["verdict"] == "LIKELY_AI"
    assert {"path", "verdict", "llr_nats", "evidence", "generator"} <= row.keys()
    assert {"id", "family", "technique", "status", "llr_nats", "reason"} <= row["evidence"][0].keys()
    assert [item["status"] for item in row["evidence"]] == ["found", "nothing_found", "failed"]
    assert row["generator"] == {HOSTILE: 1.0}


def test_text_cannot_drive_a_terminal(report: Report) -> None:
    text = render_text(report)
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "LIKELY_AI" in text
    assert "\\x1b" in text


class _Elements(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag, attrs) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data) -> None:
        self.text.append(data)


def test_html_escapes_runs_nothing_and_fetches_nothing(report: Report) -> None:
    page = _Elements()
    page.feed(render_html(report, pixels=picture()))
    names = [tag for tag, _ in page.tags]
    assert "script" not in names
    assert any("<script>alert(1)</script>" in text for text in page.text), "shown as text, not lost"
    assert not any("49" in text and "{{" not in text and "alert" in text for text in page.text)
    for tag, attributes in page.tags:
        assert not any(name.startswith("on") for name in attributes), tag
        assert all(not str(attributes.get(name, "data:")).startswith("http") for name in ("src", "href"))
    assert "\u202e" not in "".join(page.text)
    assert sum(tag == "img" for tag in names) == 1


def test_html_without_a_picture_has_no_image(report: Report) -> None:
    page = _Elements()
    page.feed(render_html(report))
    assert "img" not in [tag for tag, _ in page.tags]
