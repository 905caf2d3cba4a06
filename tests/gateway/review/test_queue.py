"""What was refused is kept encrypted, for as long as the policy says, and every opening is noted."""

import json
import sqlite3
import stat
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from gateway.review.cases import CaseStatus, Part, ReviewOutcome
from gateway.review.queue import ReviewQueue, UnknownCaseError
from gateway.review.store import ReviewError, ReviewStore
from gateway.review.vault import Vault
from guard.errors import ConfigError, RequestError, VerificationError
from guard.media import decode
from guard.policy.schema import QuarantineRules
from guard.records import (
    Action,
    AdmittedRequest,
    Decision,
    Finding,
    GenerationRequest,
    ImageID,
    Refusal,
    RequestID,
)

PROMPT = "an unmistakable sentence about a walrus"
PICTURE = np.full((64, 48, 3), 137, np.uint8)


@dataclass
class Clock:
    """A clock that stands still until it is moved."""

    time: datetime = field(default_factory=lambda: datetime(2026, 11, 22, 12, 0, tzinfo=UTC))

    def now(self) -> datetime:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def queue(tmp_path: Path, clock: Clock):
    opened = make(tmp_path, clock)
    yield opened
    opened.close()


def make(folder: Path, clock: Clock, **rules) -> ReviewQueue:
    return ReviewQueue(
        ReviewStore(folder / "review.sqlite3"),
        Vault.from_file(folder / "keys" / "quarantine.key"),
        rules=QuarantineRules(**rules),
        clock=clock,
    )


def refusal(appeal_id: str, *, category: str = "violence_gore") -> Refusal:
    finding = Finding(checker="prompt.terms", category=category, score=0.9, severity=6, reason="Asks for gore.")
    return Refusal(
        request_id=RequestID("ab" * 16),
        image_id=ImageID("00" * 8),
        stage="image",
        decision=Decision(
            action=Action.BLOCK, category=category, reason="No gore.", rules=("r1",), findings=(finding,)
        ),
        appeal_id=appeal_id,
    )


def admitted(clock: Clock, tenant: str = "local") -> AdmittedRequest:
    return AdmittedRequest(
        request=GenerationRequest(prompt=PROMPT, negative_prompt="fog", tenant=tenant),
        request_id=RequestID("ab" * 16),
        image_ids=(ImageID("00" * 8),),
        seed=1,
        policy_id="generation.default",
        policy_digest="d" * 64,
        admitted_at=clock.now(),
    )


ONE, TWO, THREE = "1" * 16, "2" * 16, "3" * 16


def test_a_refusal_comes_back_with_its_texts_and_its_picture(queue: ReviewQueue, clock: Clock) -> None:
    queue.hold(refusal(ONE), admitted=admitted(clock), pixels=PICTURE)
    case = queue.case(ONE, tenant="local")
    assert (case.stage, case.action, case.category, case.rules) == ("image", "block", "violence_gore", ("r1",))
    assert case.findings[0].score == 0.9
    assert case.parts == {Part.TEXTS, Part.PICTURE}
    texts = queue.open_part(ONE, Part.TEXTS, tenant="local", who="ada")
    assert json.loads(texts) == {"prompt": PROMPT, "negative_prompt": "fog"}
    picture = queue.open_part(ONE, Part.PICTURE, tenant="local", who="ada")
    np.testing.assert_array_equal(decode(picture).rgb, PICTURE)


def test_nothing_of_the_content_stands_in_the_files(queue: ReviewQueue, clock: Clock, tmp_path: Path) -> None:
    queue.hold(refusal(ONE), admitted=admitted(clock), pixels=PICTURE)
    stored = b"".join(file.read_bytes() for file in tmp_path.glob("review.sqlite3*"))
    assert b"walrus" not in stored
    assert b"IHDR" not in stored
    assert stat.S_IMODE((tmp_path / "review.sqlite3").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "keys" / "quarantine.key").stat().st_mode) == 0o600


def test_another_key_or_another_case_opens_nothing(queue: ReviewQueue, clock: Clock, tmp_path: Path) -> None:
    for appeal_id in (ONE, TWO):
        queue.hold(refusal(appeal_id), admitted=admitted(clock), pixels=None)
    with sqlite3.connect(tmp_path / "review.sqlite3") as database:  # swap the two sealed texts
        database.execute("UPDATE sealed SET appeal_id = 'x' WHERE appeal_id = ?", (ONE,))
        database.execute("UPDATE sealed SET appeal_id = ? WHERE appeal_id = ?", (ONE, TWO))
    with pytest.raises(VerificationError, match="does not decrypt"):
        queue.open_part(ONE, Part.TEXTS, tenant="local", who="ada")
    queue.hold(refusal(THREE), admitted=admitted(clock), pixels=None)
    other = ReviewQueue(
        ReviewStore(tmp_path / "review.sqlite3"), Vault(bytes(32)), rules=QuarantineRules(), clock=clock
    )
    with pytest.raises(VerificationError, match="does not decrypt"):
        other.open_part(THREE, Part.TEXTS, tenant="local", who="ada")
    other.close()


def test_every_opening_is_noted_with_who_and_when(queue: ReviewQueue, clock: Clock) -> None:
    queue.hold(refusal(ONE), admitted=admitted(clock), pixels=PICTURE)
    queue.open_part(ONE, Part.PICTURE, tenant="local", who="ada")
    clock.time += timedelta(minutes=5)
    queue.decide(ONE, tenant="local", outcome=ReviewOutcome.UPHELD, reviewer="bob", reason="It is gore.")
    assert [(a.who, a.what) for a in queue.accesses(ONE, tenant="local")] == [
        ("ada", "picture"),
        ("bob", "decided upheld"),
    ]
    assert queue.accesses(ONE, tenant="local")[1].at == clock.now()


def test_content_is_erased_when_its_time_is_over_and_the_case_stays(tmp_path: Path, clock: Clock) -> None:
    queue = make(tmp_path, clock, retention_days=7)
    queue.hold(refusal(ONE), admitted=admitted(clock), pixels=PICTURE)
    clock.time += timedelta(days=6, hours=23)
    assert queue.case(ONE, tenant="local").parts
    clock.time += timedelta(hours=2)
    case = queue.case(ONE, tenant="local")
    assert case.parts == frozenset()
    assert case.category == "violence_gore"
    assert queue.open_part(ONE, Part.PICTURE, tenant="local", who="ada") is None
    queue.close()


def test_content_about_minors_is_never_kept(queue: ReviewQueue, clock: Clock) -> None:
    queue.hold(refusal(ONE, category="sexual_minors"), admitted=admitted(clock), pixels=PICTURE)
    second = refusal(TWO)
    also = replace(second.decision.findings[0], category="sexual_minors", severity=1)
    decision = replace(second.decision, findings=(*second.decision.findings, also))
    queue.hold(replace(second, decision=decision), admitted=admitted(clock), pixels=PICTURE)
    assert queue.case(ONE, tenant="local").parts == frozenset()
    assert queue.case(TWO, tenant="local").parts == frozenset()


@pytest.mark.parametrize(
    ("rules", "kept"),
    [({"keep_prompts": False}, {Part.PICTURE}), ({"keep_pictures": False}, {Part.TEXTS})],
)
def test_the_policy_says_what_is_kept(tmp_path: Path, clock: Clock, rules, kept) -> None:
    queue = make(tmp_path, clock, **rules)
    queue.hold(refusal(ONE), admitted=admitted(clock), pixels=PICTURE)
    assert queue.case(ONE, tenant="local").parts == kept
    queue.close()


def test_tenants_do_not_see_each_other(queue: ReviewQueue, clock: Clock) -> None:
    queue.hold(refusal(ONE), admitted=admitted(clock, tenant="ours"), pixels=None)
    assert queue.cases(tenant="theirs") == []
    for act in (
        lambda: queue.case(ONE, tenant="theirs"),
        lambda: queue.open_part(ONE, Part.TEXTS, tenant="theirs", who="eve"),
        lambda: queue.appeal(ONE, tenant="theirs", statement="please"),
        lambda: queue.decide(ONE, tenant="theirs", outcome=ReviewOutcome.UPHELD, reviewer="eve", reason="no"),
    ):
        with pytest.raises(UnknownCaseError):
            act()


def test_an_appeal_is_noted_once_and_a_decision_closes_it(queue: ReviewQueue, clock: Clock) -> None:
    queue.hold(refusal(ONE), admitted=admitted(clock), pixels=None)
    assert queue.appeal(ONE, tenant="local", statement="It was a wax museum.").status is CaseStatus.APPEALED
    assert queue.open_part(ONE, Part.STATEMENT, tenant="local", who="ada") == b"It was a wax museum."
    with pytest.raises(RequestError, match="already"):
        queue.appeal(ONE, tenant="local", statement="Again.")
    overturned = queue.decide(ONE, tenant="local", outcome=ReviewOutcome.OVERTURNED, reviewer="bob", reason="A museum.")
    assert (overturned.status, overturned.reviewer) == (CaseStatus.OVERTURNED, "bob")
    again = queue.decide(ONE, tenant="local", outcome=ReviewOutcome.UPHELD, reviewer="eve", reason="Looked again.")
    assert (again.status, again.reviewer, again.decision_reason) == (CaseStatus.UPHELD, "eve", "Looked again.")


@pytest.mark.parametrize("text", ["", "   ", "x" * 2001])
def test_reasons_and_statements_are_a_few_sentences(queue: ReviewQueue, clock: Clock, text: str) -> None:
    queue.hold(refusal(ONE), admitted=admitted(clock), pixels=None)
    with pytest.raises(RequestError, match="expected 1 to 2000"):
        queue.appeal(ONE, tenant="local", statement=text)
    with pytest.raises(RequestError, match="expected 1 to 2000"):
        queue.decide(ONE, tenant="local", outcome=ReviewOutcome.UPHELD, reviewer="bob", reason=text)


def test_decided_cases_are_a_labelled_set_without_content(queue: ReviewQueue, clock: Clock) -> None:
    for appeal_id in (ONE, TWO, THREE):
        queue.hold(refusal(appeal_id), admitted=admitted(clock), pixels=PICTURE)
    queue.decide(ONE, tenant="local", outcome=ReviewOutcome.UPHELD, reviewer="bob", reason="Right.")
    queue.decide(TWO, tenant="local", outcome=ReviewOutcome.OVERTURNED, reviewer="bob", reason="Wrong.")
    rows = {row["appeal_id"]: row for row in queue.labelled(tenant="local")}
    assert {key: row["label"] for key, row in rows.items()} == {ONE: "violating", TWO: "benign"}
    assert rows[ONE]["findings"][0]["category"] == "violence_gore"
    assert "walrus" not in json.dumps(list(rows.values()))


def test_pages_go_on_where_the_last_one_ended(queue: ReviewQueue, clock: Clock) -> None:
    for number in range(5):
        queue.hold(refusal(f"{number:016x}"), admitted=admitted(clock), pixels=None)
        clock.time += timedelta(seconds=1)
    first = queue.cases(tenant="local", limit=2)
    second = queue.cases(tenant="local", limit=10, before=first[-1].withheld_at)
    assert [int(case.appeal_id, 16) for case in first + second] == [4, 3, 2, 1, 0]


def test_a_broken_key_or_file_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("not hex")
    with pytest.raises(ConfigError, match="not hex digits"):
        Vault.from_file(tmp_path / "key")
    (tmp_path / "review.sqlite3").write_bytes(b"no database" * 100)
    with pytest.raises(ReviewError, match="could not open"):
        ReviewStore(tmp_path / "review.sqlite3")


def sealed_bytes(folder: Path, appeal_id: str, part: Part) -> bytes:
    with sqlite3.connect(folder / "review.sqlite3") as database:
        query = "SELECT content FROM sealed WHERE appeal_id = ? AND part = ?"
        return database.execute(query, (appeal_id, part.value)).fetchone()[0]


def test_the_journals_are_as_private_as_the_file(queue: ReviewQueue, clock: Clock, tmp_path: Path) -> None:
    queue.hold(refusal(ONE), admitted=admitted(clock), pixels=None)
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in tmp_path.glob("review.sqlite3*")}
    assert len(modes) == 3
    assert set(modes.values()) == {0o600}


def test_expired_content_goes_with_the_next_refusal_though_nobody_looks(tmp_path: Path, clock: Clock) -> None:
    queue = make(tmp_path, clock, retention_days=7)
    queue.hold(refusal(ONE), admitted=admitted(clock), pixels=None)
    clock.time += timedelta(days=8)
    queue.hold(refusal(TWO), admitted=admitted(clock), pixels=None)
    with sqlite3.connect(tmp_path / "review.sqlite3") as database:
        assert database.execute("SELECT DISTINCT appeal_id FROM sealed").fetchall() == [(TWO,)]
    queue.close()


def test_erased_content_is_in_no_journal_while_the_file_stays_open(tmp_path: Path, clock: Clock) -> None:
    queue = make(tmp_path, clock, retention_days=7)
    queue.hold(refusal(ONE), admitted=admitted(clock), pixels=None)
    content = sealed_bytes(tmp_path, ONE, Part.TEXTS)
    assert any(content in file.read_bytes() for file in tmp_path.glob("review.sqlite3*"))
    clock.time += timedelta(days=8)
    queue.case(ONE, tenant="local")
    assert not any(content in file.read_bytes() for file in tmp_path.glob("review.sqlite3*"))
    queue.close()


def test_a_late_appeal_is_read_and_goes_in_its_own_time(tmp_path: Path, clock: Clock) -> None:
    queue = make(tmp_path, clock, retention_days=7)
    queue.hold(refusal(ONE), admitted=admitted(clock), pixels=None)
    clock.time += timedelta(days=8)
    queue.appeal(ONE, tenant="local", statement="I was away.")
    clock.time += timedelta(days=6)
    assert queue.open_part(ONE, Part.TEXTS, tenant="local", who="ada") is None
    assert queue.open_part(ONE, Part.STATEMENT, tenant="local", who="ada") == b"I was away."
    clock.time += timedelta(days=2)
    assert queue.open_part(ONE, Part.STATEMENT, tenant="local", who="ada") is None
    queue.close()


def test_an_appeal_against_a_decision_waits_for_another_one(queue: ReviewQueue, clock: Clock) -> None:
    def decide(outcome: ReviewOutcome) -> CaseStatus:
        return queue.decide(ONE, tenant="local", outcome=outcome, reviewer="bob", reason="Looked.").status

    queue.hold(refusal(ONE), admitted=admitted(clock), pixels=None)
    assert decide(ReviewOutcome.UPHELD) is CaseStatus.UPHELD
    clock.time += timedelta(hours=1)
    assert queue.appeal(ONE, tenant="local", statement="Look again.").status is CaseStatus.APPEALED
    assert [case.appeal_id for case in queue.cases(tenant="local", status=CaseStatus.APPEALED)] == [ONE]
    assert list(queue.labelled(tenant="local")) == []
    clock.time += timedelta(hours=1)
    assert decide(ReviewOutcome.OVERTURNED) is CaseStatus.OVERTURNED
    assert queue.cases(tenant="local", status=CaseStatus.APPEALED) == []
    assert len(queue.cases(tenant="local", status=CaseStatus.OVERTURNED)) == 1


def test_cases_of_one_moment_stay_on_one_page(queue: ReviewQueue, clock: Clock) -> None:
    for appeal_id in (ONE, TWO, THREE):
        queue.hold(refusal(appeal_id), admitted=admitted(clock), pixels=None)
    first = queue.cases(tenant="local", limit=2)
    rest = queue.cases(tenant="local", limit=2, before=first[-1].withheld_at)
    assert {case.appeal_id for case in first + rest} == {ONE, TWO, THREE}


def test_what_is_no_text_is_refused(queue: ReviewQueue, clock: Clock) -> None:
    queue.hold(refusal(ONE), admitted=admitted(clock), pixels=None)
    with pytest.raises(RequestError, match="no text"):
        queue.appeal(ONE, tenant="local", statement="a\udcff")
    with pytest.raises(RequestError, match="no text"):
        queue.decide(ONE, tenant="local", outcome=ReviewOutcome.UPHELD, reviewer="bob", reason="a\udcff")


def test_a_decision_is_never_stored_without_its_note(queue: ReviewQueue, clock: Clock, tmp_path: Path) -> None:
    queue.hold(refusal(ONE), admitted=admitted(clock), pixels=None)
    with sqlite3.connect(tmp_path / "review.sqlite3") as database:
        database.execute("CREATE TRIGGER full BEFORE INSERT ON accesses BEGIN SELECT RAISE(ABORT, 'full'); END")
    with pytest.raises(ReviewError):
        queue.decide(ONE, tenant="local", outcome=ReviewOutcome.UPHELD, reviewer="bob", reason="Right.")
    with pytest.raises(ReviewError):  # nor is anything opened that cannot be noted
        queue.open_part(ONE, Part.TEXTS, tenant="local", who="bob")
    assert queue.case(ONE, tenant="local").status is CaseStatus.OPEN


def test_a_lost_key_is_not_replaced_where_content_is_kept(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is missing"):
        Vault.from_file(tmp_path / "keys" / "quarantine.key", make=False)
    assert not (tmp_path / "keys").exists()


def test_a_new_key_leaves_nothing_beside_it(tmp_path: Path) -> None:
    sealed = Vault.from_file(tmp_path / "keys" / "quarantine.key").seal(b"text", context="c")
    assert [file.name for file in (tmp_path / "keys").iterdir()] == ["quarantine.key"]
    assert Vault.from_file(tmp_path / "keys" / "quarantine.key").open(sealed, context="c") == b"text"
