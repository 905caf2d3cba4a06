"""Sixty-six real files through the real engine: origin x what happened to the file -> level, first reason, words."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from detectors.assembly import build_detection_engine
from detectors.evidence import Evidence, Grade
from detectors.report.as_text import render_text
from detectors.report.model import build_report
from detectors.upload import load_upload
from detectors.verdict import HEADLINES, Verdict, VerdictLevel
from guard.assembly import build_core
from guard.provenance.dev_ca import init_development_keys
from guard.settings import load_settings
from tests.detectors.composed_files import TREATMENTS, Origins, build_origins
from tests.detectors.test_verdict_table import LEVELS

ORIGINS = ("released", "released as JPEG", "imported", "stranger's", "camera", "plain")
EXPECTED = {
    # treatment:            released, as JPEG, imported, stranger's, camera, plain
    "as it is": "PPNLNN",
    "stripped": "PPNNNN",
    "JPEG 75": "PPNNNN",
    "smaller WebP": "PPNNNN",
    "mirrored": "PPNNNN",
    "cropped": "PPNNNN",
    "infotext": "PPLLLL",
    "says AI": "PPLLLL",
    "says camera": "PPNNNN",
    "SDXL mark": "PPLLLL",
    "others' credentials": "PPUUUU",
}
FIRST = {
    "infotext": "metadata.generator_traces",
    "says AI": "metadata.embedded_fields",
    "says camera": "metadata.embedded_fields",
    "SDXL mark": "watermark.open_marks",
    "others' credentials": "metadata.credentials",
}
"""What a report begins with where our own mark and ledger do not decide."""
CASES = [
    (origin, treatment, LEVELS[row[column]])
    for treatment, row in EXPECTED.items()
    for column, origin in enumerate(ORIGINS)
]
ACCUSING = ("authentic", "genuine", "fake", "fraud", "forged", "liar", "real photo", "is real", "cheat", "deceptive")
_ORDER = [Grade.CONCLUSIVE, Grade.CONFLICTING, Grade.SUPPORTING, Grade.NEUTRAL]


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str, str], Verdict]]:
    """Judge composed files with the default policy in an installation that released the first two."""
    ours, theirs = tmp_path_factory.mktemp("ours"), tmp_path_factory.mktemp("theirs")
    for home in (ours, theirs):
        init_development_keys(home / "keys", now=datetime.now(UTC))
    origins: Origins = build_origins(ours, theirs)
    settings = load_settings(home=str(ours))
    core = build_core(settings)
    engine = build_detection_engine(settings, core=core)
    yield lambda origin, treatment: engine.judge(load_upload(TREATMENTS[treatment](origins, origin))).verdict
    core.close()


def test_there_are_enough_cases() -> None:
    assert len(CASES) == 66
    assert set(EXPECTED) == set(TREATMENTS)


@pytest.mark.parametrize(("origin", "treatment", "level"), CASES)
def test_composed_file(judged: Callable[[str, str], Verdict], origin: str, treatment: str, level: VerdictLevel) -> None:
    verdict = judged(origin, treatment)
    assert verdict.level is level
    assert verdict.headline == HEADLINES[level]
    grades = {item.id: item.grade for item in verdict.results if isinstance(item, Evidence)}
    ranks = [_ORDER.index(grades[reason.evidence_id]) for reason in verdict.reasons]
    assert ranks == sorted(ranks)
    first = verdict.reasons[0].evidence_id
    if origin.startswith("released"):
        assert first == ("metadata.credentials" if treatment == "as it is" else "watermark.gateway_mark")
        assert verdict.generator is not None
    elif origin == "stranger's" and treatment == "as it is":
        assert first == "metadata.credentials"
    elif level is not VerdictLevel.NO_EVIDENCE:
        assert first == FIRST[treatment]
    report = build_report(
        verdict, path="x", sha256="0" * 64, media_type="image/png", size=(1, 1), policy_id="p", policy_digest="0" * 64
    )
    text = render_text(report).lower()
    assert not [word for word in ACCUSING if word in text]
