"""Heads and exports: they learn what can be learned, and the file gives what the module gave."""

from pathlib import Path

import numpy as np
import pytest
import torch

from detectors.evaluation.logistic import balanced_weights, fit_linear
from detectors.evaluation.metrics import auc
from detectors.learned.artefact_network import FAMILIES
from guard.inference import open_onnx
from training.pixels.crops import SIDE
from training.pixels.export import export_statistical
from training.pixels.heads import Examples, LinearGroups, fit_heads
from training.pixels.vectors import CUT, cut_and_save, processed

WIDTH = 24
RNG = np.random.default_rng(2)


def examples(count: int = 1200) -> Examples:
    labels = np.arange(count) % 2 == 1
    families = np.where(labels, np.arange(count) // 2 % len(FAMILIES), -1)
    features = RNG.normal(0, 1, (count, WIDTH)).astype(np.float32)
    features[:, 0] += 2 * labels
    features[np.arange(count), np.where(families >= 0, 1 + families, 0)] += 3.0 * (families >= 0)
    groups = [f"{'g' if label else 'r'}{index % 7}" for index, label in enumerate(labels)]
    return Examples(features=features, labels=labels, groups=groups, families=families)


def test_heads_learn_class_and_family_and_repeat_themselves() -> None:
    train, test = examples(), examples()
    first, second = (fit_heads(train, members=1, epochs=30) for _ in range(2))
    with torch.no_grad():
        logits = first(torch.from_numpy(test.features)).numpy()
        assert np.array_equal(logits, second(torch.from_numpy(test.features)).numpy())
    assert auc(test.labels, logits[:, 0].astype(float)) > 0.8
    named = logits[test.labels, 1:].argmax(axis=1)
    assert (named == test.families[test.labels]).mean() > 0.6


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's own, about the exporter that needs no more packages
def test_the_groups_of_the_linear_model_add_up_in_the_file_too(tmp_path: Path) -> None:
    data = examples()
    model = fit_linear(data.features, data.labels, balanced_weights(data.labels, data.groups), penalty=0.1)
    groups = LinearGroups(model, [slice(0, 5), slice(5, 20), slice(20, WIDTH)])
    export_statistical(groups, WIDTH, tmp_path / "linear.onnx")
    score, parts = open_onnx(tmp_path / "linear.onnx", name="The model").run(None, {"features": data.features})
    assert np.allclose(score.ravel(), model.scores(data.features), atol=1e-4)
    assert np.allclose(parts.sum(axis=1) + model.bias, score.ravel(), atol=1e-4)


def test_training_crops_are_cut_and_never_change_their_size() -> None:
    crop = RNG.integers(0, 256, (SIDE, SIDE, 3)).astype(np.uint8)
    shapes = {cut_and_save(crop, np.random.default_rng(seed)).shape for seed in range(30)}
    assert shapes == {(CUT, CUT, 3)}
    edited = [processed(crop, np.random.default_rng(seed)) for seed in range(30)]
    assert {part.shape for part in edited} == {crop.shape}
    unchanged = sum(np.array_equal(part, crop) for part in edited)
    assert 8 <= unchanged <= 22
