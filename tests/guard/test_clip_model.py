"""A CLIP folder is pinned, loads offline through open_clip, and gives unit vectors."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from guard.clip_model import ClipModel
from guard.errors import CheckError, ConfigError, WeightsError
from guard.model_source import ModelSource
from tests.guard.image_check.tiny_models import noise, save_clip, source_of

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("open_clip") is None, reason="the extra clip is absent"),
    pytest.mark.filterwarnings("ignore"),  # of torch and timm, about themselves
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_clip(tmp_path_factory.mktemp("clip") / "model")


@pytest.fixture(scope="module")
def model(folder: Path) -> ClipModel:
    return ClipModel(source_of(folder))


def test_vectors_are_of_length_one_and_the_same_every_time(model: ClipModel) -> None:
    pictures = [noise(40, 60), noise(90, 33, seed=1)]
    vectors = model.embed_pictures(pictures)
    assert (vectors.shape, vectors.dtype) == ((2, model.dimensions), np.float32)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    np.testing.assert_allclose(vectors, model.embed_pictures(pictures), atol=1e-6)
    assert abs(float(vectors[0] @ vectors[1])) < 0.9999
    phrases = model.embed_phrases(["a dog", "a house on fire " * 50])
    np.testing.assert_allclose(np.linalg.norm(phrases, axis=1), 1.0, atol=1e-5)


def test_the_edges_of_a_long_picture_are_seen(model: ClipModel) -> None:
    middle = np.full((32, 320, 3), 127, np.uint8)
    edges = middle.copy()
    edges[:, :60] = noise(32, 60)
    one, other = model.embed_pictures([middle, edges])
    assert np.abs(one - other).max() > 1e-3  # a crop to the middle would make them equal


def test_weights_that_were_changed_stop_the_start(folder: Path) -> None:
    with pytest.raises(WeightsError, match="SHA-256"):
        ClipModel(ModelSource(folder=folder, digest="0" * 64))


def test_a_folder_without_its_weights_does_not_start_with_random_ones(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "open_clip_config.json").write_text((folder / "open_clip_config.json").read_text())
    (tmp_path / "other.safetensors").write_bytes((folder / "open_clip_model.safetensors").read_bytes()[:100])
    with pytest.raises(WeightsError, match="cannot be loaded"):
        ClipModel(source_of(tmp_path))


def test_a_text_tower_from_elsewhere_is_refused(folder: Path, tmp_path: Path) -> None:
    config = json.loads((folder / "open_clip_config.json").read_text())
    config["model_cfg"]["text_cfg"]["hf_model_name"] = "someone/elses-bert"
    (tmp_path / "open_clip_config.json").write_text(json.dumps(config))
    (tmp_path / "open_clip_model.safetensors").write_bytes((folder / "open_clip_model.safetensors").read_bytes())
    with pytest.raises(WeightsError, match="elses-bert"):
        ClipModel(source_of(tmp_path))


def test_without_the_library_the_message_names_the_extra(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setitem(__import__("sys").modules, "open_clip", None)
    with pytest.raises(ConfigError) as caught:
        ClipModel(source_of(folder))
    assert "signet-gateway[clip]" in caught.value.diagnostics()


def test_numbers_that_are_not_finite_fail_closed(folder: Path) -> None:
    import torch

    model = ClipModel(source_of(folder))
    with torch.no_grad():
        model._model.visual.proj.fill_(float("nan"))
    with pytest.raises(CheckError, match="not finite"):
        model.embed_pictures([noise(40, 40)])
