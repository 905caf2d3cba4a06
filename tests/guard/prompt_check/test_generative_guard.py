"""Guard models that answer in words, with a tiny Llama."""

from pathlib import Path

import pytest
import torch

from guard.errors import CheckError, ConfigError
from guard.prompt_check.generative_guard import STYLES, GenerativeGuard
from tests.guard.prompt_check import tiny_models

TEXT = "angry wolf"


def asked(style: str, text: str = TEXT) -> str:
    return STYLES[style].template.replace("{text}", text) + STYLES[style].lead


def made(folder: Path, digest: str, style: str, **changes: object) -> GenerativeGuard:
    given: dict[str, object] = {
        "checker_id": "prompt.guard.tiny",
        "folder": folder,
        "digest": digest,
        "style": style,
        "otherwise": "shocking",
        "report_above": 0.3,
        "severity": 3,
    }
    return GenerativeGuard(**{**given, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(("style", "answers"), [("llama_guard", ("unsafe", "safe")), ("shield_gemma", ("Yes", "No"))])
def test_the_score_is_how_likely_the_unsafe_answer_is(tmp_path: Path, style: str, answers: tuple[str, str]) -> None:
    for name, lean, expected in (("bad", 3.0, 0.9526), ("good", -3.0, 0.0474)):
        folder = tmp_path / name
        folder.mkdir()
        digest = tiny_models.guard(folder, answers=answers, prompt=asked(style), lean=lean)
        result = made(folder, digest, style).examine([("prompt", TEXT)])
        assert result.probability == pytest.approx(expected, abs=0.01)
        assert bool(result.findings) == (name == "bad")


def test_both_degrees_of_qwen3_guard_count(tmp_path: Path) -> None:
    """With three answers of equal logit, two of them say "not safe"."""
    digest = tiny_models.guard(
        tmp_path, answers=("Unsafe", "Safe"), prompt=asked("qwen3_guard"), lean=0.0, after=("Unsafe", "Controversial")
    )
    checker = made(tmp_path, digest, "qwen3_guard")
    assert len(set(checker._unsafe)) == 2
    with torch.no_grad():
        checker._model.lm_head.weight.zero_()
    assert checker.examine([("prompt", TEXT)]).probability == pytest.approx(2 / 3, abs=1e-4)


def test_the_category_is_read_from_the_answer(tmp_path: Path) -> None:
    digest = tiny_models.guard(
        tmp_path, answers=("unsafe", "safe"), prompt=asked("llama_guard"), lean=4.0, after=("unsafe", "S10")
    )
    (finding,) = made(tmp_path, digest, "llama_guard").examine([("prompt", TEXT)]).findings
    assert finding.category == "hate"


def test_an_answer_without_a_known_category_is_not_lost(tmp_path: Path) -> None:
    digest = tiny_models.guard(tmp_path, answers=("unsafe", "safe"), prompt=asked("llama_guard"), lean=4.0)
    (finding,) = made(tmp_path, digest, "llama_guard", otherwise="harassment").examine([("prompt", TEXT)]).findings
    assert finding.category == "harassment"


def test_an_unknown_style_stops_the_start(tmp_path: Path) -> None:
    digest = tiny_models.guard(tmp_path, answers=("unsafe", "safe"), prompt="a", lean=1.0)
    with pytest.raises(ConfigError, match="style"):
        made(tmp_path, digest, "oracle")


def test_weights_that_are_no_numbers_fail_closed(tmp_path: Path) -> None:
    digest = tiny_models.guard(tmp_path, answers=("unsafe", "safe"), prompt=asked("llama_guard"), lean=float("nan"))
    with pytest.raises(CheckError, match="not a number"):
        made(tmp_path, digest, "llama_guard").examine([("prompt", TEXT)])


def test_a_text_that_is_too_long_fails_closed(tmp_path: Path) -> None:
    digest = tiny_models.guard(tmp_path, answers=("unsafe", "safe"), prompt=asked("llama_guard"), lean=1.0)
    with pytest.raises(CheckError, match="tokens"):
        made(tmp_path, digest, "llama_guard").examine([("prompt", "a" * 5000)])
