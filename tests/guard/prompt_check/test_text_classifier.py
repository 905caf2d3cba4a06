import json
import shutil
from datetime import UTC, datetime
from hashlib import sha256
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import numpy_helper

from guard import records
from guard.errors import CheckError, WeightsError
from guard.prompt_check.text_classifier import (
    MAX_CHARS,
    MODEL_FOLDER,
    WINDOW_CHARS,
    WINDOW_STEP,
    TextClassifier,
    spread,
    windows,
)

HARMLESS = "a lighthouse at dawn, oil painting, calm sea"
RISKY = "a decapitated man, severed heads, blood and gore everywhere"


@pytest.fixture(scope="session")
def classifier() -> TextClassifier:
    return TextClassifier(report_above=0.2)


def test_it_tells_an_obvious_violation_from_a_harmless_prompt(classifier: TextClassifier) -> None:
    assert classifier.score(HARMLESS).violating < 0.1
    assert classifier.score(RISKY).violating > 0.7


def test_findings_name_the_leading_category_at_full_probability(classifier: TextClassifier) -> None:
    result = classifier.examine([("prompt", RISKY)])
    best = max(result.findings, key=lambda finding: finding.score)
    assert best.score == result.probability > 0.7
    assert best.category in {"violence_gore", "shocking", "extremism"}
    assert all(f.checker == "prompt.classifier" and 0.2 <= f.score <= 1 and not f.hard for f in result.findings)


def test_a_harmless_prompt_has_a_probability_but_no_finding(classifier: TextClassifier) -> None:
    result = classifier.examine([("prompt", HARMLESS)])
    assert result.findings == ()
    assert 0 < result.probability < 0.2


def test_a_disguise_changes_little(classifier: TextClassifier) -> None:
    plain = classifier.score(RISKY).violating
    for disguised in (RISKY.replace("e", "\u0435"), "\u200b".join(RISKY), RISKY.upper(), RISKY.replace("o", "0")):
        assert classifier.score(disguised).violating > plain - 0.15


def test_harmless_words_around_it_do_not_hide_a_violation(classifier: TextClassifier) -> None:
    padding = ", soft light over a quiet meadow with flowers and birds" * 12
    buried = padding + ", " + RISKY + padding
    scores = classifier.score(buried)
    assert scores.violating > 10 * classifier.score(padding).violating
    assert scores.violating > 0.2
    at = buried.index(RISKY)
    assert scores.start <= at + len(RISKY) // 2 < scores.end
    spans = [span for f in classifier.check_texts([("prompt", buried)]) for span in f.spans]
    assert {(span.start, span.end) for span in spans} == {(scores.start, scores.end)}


@given(probability=st.floats(0, 1), places=st.integers(1, 50))
def test_more_places_to_look_at_make_one_find_weaker(probability: float, places: int) -> None:
    found = spread(probability, places)
    assert 0.0 <= found <= probability + 1e-12
    assert spread(probability, 1) == pytest.approx(probability)
    assert spread(probability, places + 1) <= found + 1e-12


def test_a_long_harmless_prompt_does_not_become_suspect(classifier: TextClassifier) -> None:
    parts = ["a lighthouse at dawn, oil painting", "a fishing village in the mist", "boats in a harbour, gulls"]
    assert classifier.score(", ".join(parts * 6)).violating < 0.3


def test_the_negative_prompt_is_scored_only_where_it_counts(classifier: TextClassifier) -> None:
    texts = [("prompt", HARMLESS), ("negative_prompt", RISKY)]
    assert classifier.check_texts(texts) == ()
    assert classifier.check_texts(texts, negative_counts=True) != ()
    assert classifier.check_texts([("negative_prompt", f"({RISKY}:-1.2)")]) != ()


def test_the_worst_field_counts(classifier: TextClassifier) -> None:
    both = classifier.examine([("prompt", HARMLESS), ("prompt_2", RISKY)])
    assert both.probability == classifier.score(RISKY).violating


def test_it_is_deterministic(classifier: TextClassifier) -> None:
    assert TextClassifier(report_above=0.2).score(RISKY) == classifier.score(RISKY)


@pytest.mark.parametrize("text", ["", " ", "\u200b", "…", "a", "猫", "🦊", "\ud800", "x" * 5000, "¡!" * 50])
def test_odd_texts_get_a_finite_probability(classifier: TextClassifier, text: str) -> None:
    assert 0.0 <= classifier.examine([("prompt", text)]).probability <= 1.0


def test_a_text_that_is_too_long_fails_closed(classifier: TextClassifier) -> None:
    with pytest.raises(CheckError, match="characters"):
        classifier.score("a" * (MAX_CHARS + 1))


def copied(target: Path) -> Path:
    folder = target / "prompt"
    shutil.copytree(MODEL_FOLDER, folder)
    return folder


def repin(folder: Path) -> None:
    names = ("model.onnx", "vocab.txt")
    digests = {name: sha256((folder / name).read_bytes()).hexdigest() for name in names}
    (folder / "digests.json").write_text(json.dumps(digests))


def test_a_missing_model_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(WeightsError):
        TextClassifier(report_above=0.2, folder=tmp_path / "none")
    folder = copied(tmp_path)
    (folder / "model.onnx").unlink()
    with pytest.raises(WeightsError, match="lacks"):
        TextClassifier(report_above=0.2, folder=folder)


@pytest.mark.parametrize("name", ["model.onnx", "vocab.txt"])
def test_one_changed_byte_stops_the_start(tmp_path: Path, name: str) -> None:
    folder = copied(tmp_path)
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / name).write_bytes(bytes(data))
    with pytest.raises(WeightsError):
        TextClassifier(report_above=0.2, folder=folder)


def test_a_digest_file_that_pins_less_stops_the_start(tmp_path: Path) -> None:
    folder = copied(tmp_path)
    digests = json.loads((folder / "digests.json").read_text())
    del digests["vocab.txt"]
    (folder / "digests.json").write_text(json.dumps(digests))
    with pytest.raises(WeightsError):
        TextClassifier(report_above=0.2, folder=folder)


def altered(folder: Path, *, nan: bool = False, version: str | None = None) -> Path:
    model = onnx.load(folder / "model.onnx")
    if nan:
        (bias,) = [c for c in model.graph.initializer if c.name == "stack_bias"]
        bias.CopyFrom(numpy_helper.from_array(np.float32([np.nan]), "stack_bias"))
    if version is not None:
        onnx.helper.set_model_props(model, {"features_version": version, "categories": "sexual"})
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    repin(folder)
    return folder


def test_nan_weights_stop_the_start(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="finite"):
        TextClassifier(report_above=0.2, folder=altered(copied(tmp_path), nan=True))


def test_a_model_of_other_features_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="features"):
        TextClassifier(report_above=0.2, folder=altered(copied(tmp_path), version="999"))


def test_a_file_that_is_no_model_stops_the_start(tmp_path: Path) -> None:
    folder = copied(tmp_path)
    (folder / "model.onnx").write_bytes(b"not a model")
    repin(folder)
    with pytest.raises(WeightsError, match="cannot be loaded"):
        TextClassifier(report_above=0.2, folder=folder)


def test_the_shipped_model_is_small_and_carded() -> None:
    size = sum(file.stat().st_size for file in MODEL_FOLDER.iterdir())
    assert size <= 8_000_000
    card = (MODEL_FOLDER / "README.md").read_text(encoding="utf-8")
    assert "AUROC" in card
    assert "CC-BY-NC" in card


@settings(deadline=None)
@given(st.text(alphabet="ab ", max_size=2000))
def test_windows_cover_the_text_and_overlap(text: str) -> None:
    found = windows(text)
    assert found[0][0] == 0
    assert found[-1][1] == len(text)
    for (start, end), (following, _) in pairwise(found):
        assert start < following <= start + WINDOW_STEP
        assert end == start + WINDOW_CHARS


def test_a_request_is_checked_in_all_its_fields(classifier: TextClassifier) -> None:
    request = records.GenerationRequest(prompt=HARMLESS, prompt_2=RISKY)
    admitted = records.AdmittedRequest(
        request=request,
        request_id=records.RequestID("0" * 32),
        image_ids=(),
        seed=1,
        policy_id="p",
        policy_digest="0" * 64,
        admitted_at=datetime(2026, 11, 22, tzinfo=UTC),
    )
    findings = classifier.check(admitted)
    assert findings
    assert all(span.field == "prompt_2" for f in findings for span in f.spans)
