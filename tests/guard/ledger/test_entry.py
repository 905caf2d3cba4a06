"""Entries: what the flow records fits the schema, says nothing personal, and nothing else can be slipped in."""

import json
import secrets
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from guard.errors import LedgerError
from guard.label.compositor import BadgeLabeller
from guard.ledger.entry import deletion_body, timestamp
from guard.ledger.entry_schema import MAX_ENTRY_BYTES, check_entry
from guard.ledger.image_store import FileImageStore
from guard.ledger.sqlite_store import SQLiteLedger
from guard.ledger.verify import verify_ledger
from guard.pipeline import Gateway
from guard.records import Failure, Finding, GenerationRequest, LabelMode, RecordedImage, Refusal
from guard.stages import Stages
from tests.fakes import (
    CornerWatermarker,
    FixedClock,
    PlainGenerator,
    ScriptedImageChecker,
    ScriptedPromptChecker,
    ThresholdPolicy,
    TrailerReader,
    TrailerSigner,
)
from tests.guard.ledger.samples import image_id, open_ledger, refusal, registration, release

PROMPT = "a very particular sentence about Jane Example"
BAD = Finding(
    checker="prompt.terms",
    category="violence_gore",
    score=0.99,
    severity=7,
    reason=f"Something in {PROMPT}.",
    hard=True,
)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[SQLiteLedger]:
    opened = open_ledger(tmp_path / "ledger.sqlite")
    yield opened
    opened.close()


@pytest.fixture
def stages(ledger: SQLiteLedger, tmp_path: Path) -> Stages:
    return Stages(
        prompt_checkers=[ScriptedPromptChecker()],
        image_checkers=[ScriptedImageChecker()],
        policy=ThresholdPolicy(),
        generators={"fake": PlainGenerator()},
        default_model="fake",
        labeller=BadgeLabeller(),
        watermarker=CornerWatermarker(),
        signer=TrailerSigner(),
        reader=TrailerReader(),
        ledger=ledger,
        images=FileImageStore(tmp_path / "images"),
        clock=FixedClock(),
    )


def run(stages: Stages, **fields: Any) -> Any:
    request = GenerationRequest(prompt=PROMPT, negative_prompt="blurry hands", seed=5, **fields)
    (outcome,) = Gateway(stages, random_bytes=secrets.token_bytes).generate(request).outcomes
    return outcome


def test_a_real_release_is_recorded_bound_and_audited(stages: Stages, ledger: SQLiteLedger, tmp_path: Path) -> None:
    outcome = run(stages, label=LabelMode.BASIC)
    assert isinstance(outcome, RecordedImage)
    proof = ledger.proof(outcome.image_id)
    assert proof is not None
    assert proof.body["image"]["sha256"] == outcome.signed.sha256
    assert proof.body["image"]["label"] == "basic"
    assert proof.body["manifest"]["time_stamp"] == "not_configured"
    assert [verdict["stage"] for verdict in proof.body["verdicts"]] == ["prompt", "image"]
    registered = ledger.registration(outcome.image_id)
    assert registered is not None
    assert registered.fingerprints == outcome.signed.fingerprints
    report = verify_ledger(tmp_path / "ledger.sqlite", images=FileImageStore(tmp_path / "images"), hash_images=True)
    assert report.problems == ()


def test_a_real_refusal_and_a_real_failure_are_recorded(stages: Stages, ledger: SQLiteLedger) -> None:
    refused = run(replace(stages, prompt_checkers=[ScriptedPromptChecker(findings=[BAD])]))
    failed = run(replace(stages, generators={"fake": PlainGenerator(error=RuntimeError(PROMPT))}))
    assert isinstance(refused, Refusal)
    assert isinstance(failed, Failure)
    bodies = [proof.body for proof in map(ledger.entry, range(2)) if proof is not None]
    assert [body["kind"] for body in bodies] == ["refusal", "failure"]
    assert bodies[0]["appeal_id"] == refused.appeal_id
    assert bodies[0]["verdict"]["findings"][0] == {
        "checker": "prompt.terms",
        "category": "violence_gore",
        "score": 0.99,
        "severity": 7,
        "hard": True,
    }
    assert bodies[1]["stage"] == failed.stage


def test_nothing_of_the_prompt_reaches_the_file(stages: Stages, ledger: SQLiteLedger, tmp_path: Path) -> None:
    run(stages)
    run(replace(stages, prompt_checkers=[ScriptedPromptChecker(findings=[BAD])]))
    run(replace(stages, signer=TrailerSigner(error=RuntimeError(PROMPT))))
    assert ledger.size() == 3
    ledger.close()
    content = (tmp_path / "ledger.sqlite").read_bytes()
    for words in (PROMPT, "Jane", "particular", "blurry", BAD.reason):
        assert words.encode() not in content


@pytest.mark.parametrize("build", [lambda: release(1), lambda: refusal(1), lambda: failure(), lambda: deletion()])
def test_unknown_missing_and_mistyped_fields_are_refused(build: Any) -> None:
    body = build()
    assert check_entry(body).kind == body["kind"]
    for key in body:
        with pytest.raises(LedgerError, match="does not fit"):
            check_entry({name: value for name, value in body.items() if name != key})
        with pytest.raises(LedgerError, match="does not fit"):
            check_entry({**body, key: object()})
    with pytest.raises(LedgerError, match="prompt: extra_forbidden"):
        check_entry({**body, "prompt": "x"})


def failure() -> dict[str, Any]:
    return {
        **{key: refusal(1)[key] for key in ("v", "at", "request_id", "tenant", "policy", "timings_ms")},
        "kind": "failure",
        "image_id": None,
        "stage": "generation",
        "code": "out_of_memory",
        "model": None,
    }


def deletion() -> dict[str, Any]:
    at = datetime(2026, 11, 22, 12, tzinfo=UTC)
    return deletion_body(at=at, image_id=image_id(1), tenant="local", reason="retention")


def nested(body: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    """Return a copy with the value at a dotted path replaced."""
    copy = json.loads(json.dumps(body))
    *parents, last = path.split(".")
    place = copy
    for name in parents:
        place = place[int(name)] if isinstance(place, list) else place[name]
    place[last] = value
    return copy


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("v", 2),
        ("v", True),
        ("kind", "note"),
        ("at", "2026-11-22 12:00:00"),
        ("request_id", "x" * 32),
        ("image_id", "00AA"),
        ("tenant", "a sentence with spaces"),
        ("policy.id", ""),
        ("policy.extra", "x"),
        ("image.width", 0),
        ("image.width", "64"),
        ("image.sha256", "0" * 63),
        ("image.media_type", "image/gif"),
        ("watermark.log10_p", 0.1),
        ("watermark.log10_p", float("nan")),
        ("manifest.label", "urn with spaces"),
        ("model.name", "line\nfeed"),
        ("verdicts", []),
        ("verdicts.0.action", "maybe"),
        ("verdicts.0.reason", "a sentence"),
        ("verdicts.0.rules", ["a rule that quotes a prompt"]),
        ("timings_ms", {"generation": 1.5}),
        ("timings_ms", {"generation": -1}),
        ("timings_ms", {"a prompt as key": 1}),
    ],
)
def test_values_out_of_form_are_refused_without_being_quoted(path: str, value: object) -> None:
    body = nested(release(1), path, value)
    with pytest.raises(LedgerError) as caught:
        check_entry(body)
    assert "sentence" not in str(caught.value)
    assert "as key" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_body_that_is_too_large_is_refused() -> None:
    finding = {"checker": "c" * 100, "category": "d" * 100, "score": 0.5, "severity": 1, "hard": False}
    verdict = {"stage": "prompt", "action": "allow", "category": None, "rules": [], "findings": [finding] * 200}
    body = {**release(1), "verdicts": [verdict] * 8}
    with pytest.raises(LedgerError, match=f"at most {MAX_ENTRY_BYTES}"):
        check_entry(body)


def test_the_leaf_is_canonical_and_independent_of_key_order() -> None:
    body = release(1, registration(1))
    entry = check_entry(body)
    assert check_entry(dict(reversed(body.items()))).data == entry.data
    assert json.loads(entry.data) == body
    assert (entry.kind, entry.image_id, entry.image_sha256) == ("release", image_id(1), registration(1).sha256)


def test_times_are_utc_with_milliseconds() -> None:
    east = timezone(timedelta(hours=2))
    assert timestamp(datetime(2026, 11, 22, 14, 0, 0, 123456, tzinfo=east)) == "2026-11-22T12:00:00.123Z"
    with pytest.raises(LedgerError, match="time zone"):
        timestamp(datetime(2026, 11, 22))
