"""The engine: every detector alone, within its budget, and the policy decides which run."""

import time
from dataclasses import dataclass

import pytest

from detectors.engine import DetectionEngine
from detectors.evidence import Direction, Evidence, Failed, Family, Grade, Skipped, Technique
from detectors.policy import DetectionPolicy, RecognitionPolicy
from detectors.upload import Upload
from detectors.verdict import VerdictLevel
from guard.errors import DetectorError, PolicyError
from tests.detectors.builders import POLICY, evidence, upload


@dataclass
class Scripted:
    id: str = "metadata.some"
    version: str = "1"
    family: Family = Family.METADATA
    technique: Technique = Technique.METADATA
    time_budget_s: float = 1.0
    answer: Evidence | Skipped | None = None
    error: Exception | None = None
    sleep_s: float = 0.0
    calls: int = 0

    def examine(self, upload: Upload) -> Evidence | Skipped:
        self.calls += 1
        time.sleep(self.sleep_s)
        if self.error is not None:
            raise self.error
        return self.answer or evidence(id=self.id, family=self.family)


def engine(*detectors: Scripted, enabled: tuple[str, ...] | None = None) -> DetectionEngine:
    policy = DetectionPolicy(
        version=1,
        id="test",
        detectors=enabled or tuple(d.id for d in detectors),
        fusion=POLICY,
        recognition=RecognitionPolicy(pdq_max_distance=31, pdq_min_quality=50),
    )
    return DetectionEngine(detectors, policy, policy_digest="d" * 64)


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (Scripted(error=DetectorError("weights are gone")), "weights are gone"),
        (Scripted(error=ZeroDivisionError()), "unexpected ZeroDivisionError"),
        (Scripted(sleep_s=0.3, time_budget_s=0.05), "no answer within 0.05 s"),
        (Scripted(answer=evidence(llr=float("nan"))), "not finite"),
    ],
)
def test_a_broken_detector_is_reported_and_the_others_count(broken: Scripted, said: str) -> None:
    good = Scripted(id="watermark.some", answer=evidence(Grade.CONCLUSIVE, Direction.AI, id="watermark.some"))
    verdict = engine(broken, good).judge(upload()).verdict
    assert verdict.level is VerdictLevel.PROVEN_AI
    failed = verdict.results[0]
    assert isinstance(failed, Failed)
    assert said in failed.reason


def test_a_budget_is_a_detectors_own_and_an_overrun_costs_the_next_one_nothing() -> None:
    stuck = Scripted(id="stuck", sleep_s=1.5, time_budget_s=0.1)
    steady = [Scripted(id=f"steady-{n}", sleep_s=0.3, time_budget_s=0.6) for n in range(3)]
    start = time.monotonic()
    results = engine(stuck, *steady).judge(upload()).verdict.results
    assert [isinstance(result, Failed) for result in results] == [True, False, False, False]
    assert time.monotonic() - start < 1.5


def test_only_what_the_policy_lists_runs_in_its_order() -> None:
    a, b, c = Scripted(id="a"), Scripted(id="b"), Scripted(id="c")
    examination = engine(a, b, c, enabled=("c", "a")).judge(upload())
    assert [result.id for result in examination.verdict.results] == ["c", "a"]
    assert b.calls == 0


def test_families_can_be_chosen() -> None:
    meta = Scripted(id="a")
    learned = Scripted(id="b", family=Family.LEARNED)
    engine(meta, learned).judge(upload(), families=frozenset({Family.LEARNED}))
    assert (meta.calls, learned.calls) == (0, 1)


def test_a_policy_that_names_a_missing_detector_does_not_start() -> None:
    with pytest.raises(PolicyError, match=r"not there: learned\.cnn"):
        engine(Scripted(id="a"), enabled=("a", "learned.cnn"))


def test_two_detectors_with_one_id_do_not_start() -> None:
    with pytest.raises(PolicyError, match="share one id"):
        engine(Scripted(id="a"), Scripted(id="a"), enabled=("a",))


def test_examination_says_what_it_was_reached_on() -> None:
    seen = engine(Scripted(id="a")).judge(upload(name="holiday.png"))
    assert (seen.name, seen.media_type, seen.width, seen.height) == ("holiday.png", "image/png", 256, 256)
    assert len(seen.sha256) == 64
