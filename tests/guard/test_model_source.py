"""Weights of the operator are what was pinned, and never of a kind that can run code."""

from pathlib import Path

import pytest

from guard.errors import ConfigError, WeightsError
from guard.model_source import ModelSource, open_source, torch_device
from guard.weights import content_digest, sha256_file


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "README.md").write_text("what it is")
    return tmp_path


def pinned(folder: Path) -> ModelSource:
    names = ("model.safetensors", "config.json")
    return ModelSource(folder=folder, digest=content_digest({n: sha256_file(folder / n) for n in names}))


def test_the_pinned_folder_opens_whatever_is_written_about_it(folder: Path) -> None:
    source = pinned(folder)
    (folder / "README.md").write_text("something else")
    (folder / ".cache").mkdir()
    (folder / ".cache" / "config.json.metadata").write_text("when it was fetched")
    assert open_source(source, what="The model") == folder


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "added.json", "deep/tokenizer.json"])
def test_a_changed_or_added_file_is_refused(folder: Path, name: str) -> None:
    source = pinned(folder)
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text("other")
    with pytest.raises(WeightsError, match=r"The model in .* has SHA-256"):
        open_source(source, what="The model")


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "modeling.py", "x.pkl"])
def test_what_can_run_code_is_refused(folder: Path, name: str) -> None:
    source = pinned(folder)
    (folder / name).write_bytes(b"code")
    with pytest.raises(WeightsError, match="run code"):
        open_source(source, what="The model")


def test_a_missing_folder_says_so(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="does not exist"):
        open_source(ModelSource(folder=tmp_path / "none", digest="0" * 64), what="The model")


def test_a_hub_id_needs_a_full_commit() -> None:
    with pytest.raises(ConfigError, match="pinned revision"):
        open_source(ModelSource(hub="owner/name", revision="main", digest="0" * 64), what="The model")


def test_a_commit_that_is_not_in_the_cache_is_not_fetched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("huggingface_hub")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    source = ModelSource(hub="owner/name", revision="a" * 40, digest="0" * 64)
    with pytest.raises(WeightsError, match="not in the local cache") as caught:
        open_source(source, what="The model")
    assert f"--revision {'a' * 40}" in caught.value.diagnostics()


@pytest.mark.parametrize("places", [{}, {"folder": Path("x"), "hub": "owner/name", "revision": "a" * 40}])
def test_one_place_is_needed(places: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="either a folder or a hub id"):
        open_source(ModelSource(digest="0" * 64, **places), what="The model")


def test_a_device_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert torch_device("auto") == torch_device("cpu") == "cpu"
    with pytest.raises(ConfigError, match="'cuda' is not there"):
        torch_device("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert torch_device("auto") == "cuda"
