"""Policies name adapters; the assembly builds them, or the start stops."""

from pathlib import Path

import pytest

from guard.assembly import build_prompt_checkers
from guard.errors import ConfigError, PolicyError, WeightsError
from guard.policy.decide import Policy
from guard.policy.load import load_policy
from guard.prompt_check.generative_guard import GenerativeGuard
from guard.prompt_check.hf_classifier import HFClassifier
from guard.prompt_check.moderation_endpoint import ModerationEndpoint
from guard.prompt_check.report import examine_text
from guard.records import Action
from tests.guard.prompt_check import tiny_models

POLICIES = Path(__file__).resolve().parents[3] / "policies"
DEFAULT = (POLICIES / "generation.default.yaml").read_text(encoding="utf-8")
MODERATION = "    - {id: prompt.moderation.mine, url: 'http://127.0.0.1:9/v1/moderations', timeout_s: 1.0%s}\n"


def policy_with(folder: Path, *entries: str) -> Policy:
    path = folder / "mine.yaml"
    path.write_text(DEFAULT.replace("  image:\n", "".join(entries) + "  image:\n", 1), encoding="utf-8")
    return load_policy(path)


def hf_entry(folder: Path, digest: str, category: str = "violence_gore") -> str:
    return (
        f"    - {{id: prompt.hf.tiny, folder: {str(folder)!r}, digest: {digest!r}, "
        f"labels: {{BLOOD: {category}}}, report_above: 0.0}}\n"
    )


def test_every_kind_is_built_and_decides(tmp_path: Path) -> None:
    (tmp_path / "hf").mkdir()
    (tmp_path / "guard").mkdir()
    digest = tiny_models.classifier(tmp_path / "hf", multi_label=True, bias=(0.0, 30.0, 0.0))
    words = tiny_models.guard(tmp_path / "guard", answers=("unsafe", "safe"), prompt="a", lean=0.0)
    policy = policy_with(
        tmp_path,
        hf_entry(tmp_path / "hf", digest),
        f"    - {{id: prompt.guard.x, style: llama_guard, folder: {str(tmp_path / 'guard')!r}, digest: {words!r}}}\n",
        MODERATION % ", on_failure: degrade",
    )
    checkers = build_prompt_checkers(policy, terms=POLICIES / "terms")
    kinds = [type(checker) for checker in checkers[2:]]
    assert kinds == [HFClassifier, GenerativeGuard, ModerationEndpoint]
    report = examine_text("a lighthouse at dawn", checkers=checkers, policy=policy)
    assert report.decision.action is Action.BLOCK
    assert report.decision.category == "violence_gore"
    assert report.score > 0.99


def test_an_endpoint_that_must_answer_withholds_when_it_does_not(tmp_path: Path) -> None:
    from guard.errors import CheckError

    policy = policy_with(tmp_path, MODERATION % "")
    checkers = build_prompt_checkers(policy, terms=POLICIES / "terms")
    with pytest.raises(CheckError):
        examine_text("a lighthouse at dawn", checkers=checkers, policy=policy)


def test_a_model_that_is_not_there_stops_the_start(tmp_path: Path) -> None:
    policy = policy_with(tmp_path, hf_entry(tmp_path / "none", "0" * 64))
    with pytest.raises(WeightsError):
        build_prompt_checkers(policy, terms=POLICIES / "terms")


def test_prompts_do_not_leave_the_machine_in_the_clear(tmp_path: Path) -> None:
    policy = policy_with(tmp_path, "    - {id: prompt.moderation.far, url: 'http://example.org/v1/moderations'}\n")
    with pytest.raises(ConfigError, match="https"):
        build_prompt_checkers(policy, terms=POLICIES / "terms")


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("    - {id: prompt.hf.tiny, folder: x, digest: short, labels: {A: hate}}\n", "digest"),
        (f"    - {{id: prompt.hf.tiny, folder: x, digest: {'0' * 64!r}, labels: {{}}}}\n", "labels"),
        (f"    - {{id: prompt.hf.tiny, folder: x, digest: {'0' * 64!r}, labels: {{A: weather}}}}\n", "labels.A"),
        (f"    - {{id: prompt.guard.a, folder: x, digest: {'0' * 64!r}, style: oracle}}\n", "style"),
        ("    - {id: prompt.moderation.a, url: 'ftp://example.org'}\n", "url"),
        ("    - {id: prompt.moderation.a, url: 'https://example.org', on_failure: allow}\n", "on_failure"),
        ("    - {id: prompt.moderation.a, url: 'https://example.org', api_key: secret}\n", "api_key"),
    ],
)
def test_a_wrong_entry_is_no_policy(tmp_path: Path, entry: str, message: str) -> None:
    with pytest.raises(PolicyError, match=message):
        policy_with(tmp_path, entry)
