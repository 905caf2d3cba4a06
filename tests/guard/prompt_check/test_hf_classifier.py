"""Hugging Face classifiers as checkers, with a tiny BERT."""

from pathlib import Path

import pytest
import torch

from guard.errors import CheckError, ConfigError, WeightsError
from guard.prompt_check.hf_classifier import HFClassifier
from tests.guard.prompt_check import tiny_models

LABELS = {"BLOOD": "violence_gore", "NUDE": "sexual"}


def made(folder: Path, digest: str, **changes: object) -> HFClassifier:
    given: dict[str, object] = {
        "checker_id": "prompt.hf.tiny",
        "folder": folder,
        "digest": digest,
        "labels": LABELS,
        "report_above": 0.0,
        "severity": 4,
        "max_tokens": 16,
    }
    return HFClassifier(**{**given, **changes})  # type: ignore[arg-type]


@pytest.fixture
def model(tmp_path: Path) -> tuple[Path, str]:
    return tmp_path, tiny_models.classifier(tmp_path)


def test_its_scores_are_the_models_own(model: tuple[Path, str]) -> None:
    checker = made(*model)
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokens = AutoTokenizer.from_pretrained(model[0])("an angry wolf", return_tensors="pt")
    tokens.pop("token_type_ids", None)
    with torch.inference_mode():
        own = AutoModelForSequenceClassification.from_pretrained(model[0]).eval()(**tokens).logits.softmax(-1)[0]
    found = {f.category: f.score for f in checker.examine([("prompt", "an angry wolf")]).findings}
    assert found == pytest.approx({"violence_gore": float(own[1]), "sexual": float(own[2])}, abs=1e-5)


def test_several_labels_may_apply_at_once(tmp_path: Path) -> None:
    digest = tiny_models.classifier(tmp_path, multi_label=True, bias=(0.0, 9.0, 9.0))
    found = made(tmp_path, digest).examine([("prompt", "the hill")]).findings
    assert sum(finding.score for finding in found) > 1.5


def test_the_worst_window_of_a_long_text_counts(model: tuple[Path, str]) -> None:
    checker = made(*model)
    short = [checker._score(text)["sexual"] for text in ("naked woman", "calm lake " * 6)]
    long = checker._score("calm lake " * 40 + "naked woman")["sexual"]
    assert long >= min(short)
    assert len(checker.examine([("prompt", "calm lake " * 40)]).findings) == 2


def test_only_what_is_above_the_limit_is_reported(model: tuple[Path, str]) -> None:
    assert made(*model, report_above=1.0).examine([("prompt", "angry wolf")]).findings == ()


def test_the_negative_prompt_counts_only_where_it_draws(model: tuple[Path, str]) -> None:
    checker = made(*model)
    assert checker.examine([("negative_prompt", "naked woman")]).findings == ()
    assert checker.examine([("negative_prompt", "naked woman")], negative_counts=True).findings != ()


def test_an_answer_that_is_no_number_fails_closed(tmp_path: Path) -> None:
    digest = tiny_models.classifier(tmp_path, bias=(0.0, float("nan"), 0.0))
    with pytest.raises(CheckError, match="not a number"):
        made(tmp_path, digest).examine([("prompt", "angry wolf")])


def test_any_exception_inside_fails_closed(model: tuple[Path, str]) -> None:
    checker = made(*model)
    checker._model = None
    with pytest.raises(CheckError, match="failed on a text"):
        checker.examine([("prompt", "angry wolf")])


def test_an_unknown_label_stops_the_start(model: tuple[Path, str]) -> None:
    with pytest.raises(ConfigError, match="no label GORE"):
        made(*model, labels={"GORE": "violence_gore"})


def test_changed_weights_stop_the_start(model: tuple[Path, str]) -> None:
    folder, digest = model
    with pytest.raises(WeightsError, match="SHA-256"):
        made(folder, "0" * 64)
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    with pytest.raises(WeightsError):
        made(folder, digest)


def test_a_missing_folder_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(WeightsError):
        made(tmp_path / "none", "0" * 64)
