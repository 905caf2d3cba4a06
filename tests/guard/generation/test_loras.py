"""Adapters change the pictures of one request and nothing afterwards; only pinned, local, safe files are opened."""

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from guard.errors import CancelledError, GenerationError, OutOfMemoryError, RequestError
from guard.generation.diffusers_backend import DiffusersGenerator
from guard.interfaces import GenerationHooks
from guard.records import LoRASpec, Operation
from tests.guard.generation.conftest import Folders
from tests.guard.generation.requests import generate, pictures_for, spec_of

MODELS = ("sd", "mini", "sdxl", "sd3", "flux")
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(scope="session")
def lora_folder(folders: Folders, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two random adapters for each tiny model, at ``<model>/<n>.safetensors``."""
    from tests.guard.generation.tiny_models import save_lora

    root = tmp_path_factory.mktemp("loras")
    for name in MODELS:
        for seed in (1, 2):
            save_lora(folders(name), root / name / f"{seed}.safetensors", seed=seed)
    return root


@pytest.fixture(scope="session")
def with_loras(folders: Folders, lora_folder: Path) -> dict[str, DiffusersGenerator]:
    """Generators that may open the adapters."""
    return {name: DiffusersGenerator(spec_of(folders(name), lora_folders=(lora_folder,))) for name in MODELS}


@pytest.mark.parametrize("operation", list(Operation))
@pytest.mark.parametrize("name", MODELS)
def test_an_adapter_changes_this_request_and_never_the_next(
    with_loras: dict[str, DiffusersGenerator], name: str, operation: Operation
) -> None:
    generator, fields = with_loras[name], pictures_for(operation)
    before = generate(generator, **fields).images[0]
    styled = generate(generator, loras=(LoRASpec(source=f"{name}/1.safetensors"),), **fields).images[0]
    after = generate(generator, **fields).images[0]
    assert (styled != before).mean() > 0.01
    np.testing.assert_array_equal(after, before)


def test_weights_and_combinations_count(with_loras: dict[str, DiffusersGenerator]) -> None:
    generator = with_loras["sd"]
    plain = generate(generator).images[0]
    one, two = (LoRASpec(source=f"sd/{n}.safetensors") for n in (1, 2))
    pictures = [
        generate(generator, loras=loras).images[0].tobytes()
        for loras in ((one,), (two,), (one, two), (dataclasses.replace(one, weight=0.3),))
    ]
    assert len({plain.tobytes(), *pictures}) == 5
    none = generate(generator, loras=(dataclasses.replace(one, weight=0.0),)).images[0]
    assert np.abs(none.astype(int) - plain.astype(int)).max() <= 1


def test_a_cancelled_request_takes_its_adapter_with_it(with_loras: dict[str, DiffusersGenerator]) -> None:
    generator = with_loras["sd"]
    before = generate(generator).images[0]
    done: list[int] = []
    hooks = GenerationHooks(on_step=lambda step, _: done.append(step), should_cancel=lambda: bool(done))
    with pytest.raises(CancelledError):
        generate(generator, hooks=hooks, loras=(LoRASpec(source="sd/1.safetensors"),))
    np.testing.assert_array_equal(generate(generator).images[0], before)


def test_the_card_names_the_adapters(with_loras: dict[str, DiffusersGenerator]) -> None:
    generator = with_loras["sd"]
    plain = generate(generator).model
    loras = (LoRASpec(source="sd/1.safetensors", weight=0.5), LoRASpec(source="sd/2.safetensors"))
    card = generate(generator, loras=loras).model
    assert card.name == "sd + LoRA sd/1.safetensors (0.5) + LoRA sd/2.safetensors (1)"
    other = generate(generator, loras=(dataclasses.replace(loras[0], weight=0.6), loras[1])).model
    assert len({plain.digest, card.digest, other.digest}) == 3
    assert generate(generator, loras=loras).model == card


def test_an_adapter_from_the_hub_needs_its_commit_in_the_cache(
    folders: Folders, lora_folder: Path, tmp_path: Path
) -> None:
    snapshot = tmp_path / "models--someone--style" / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (snapshot / "pytorch_lora_weights.safetensors").write_bytes((lora_folder / "sd" / "1.safetensors").read_bytes())
    generator = DiffusersGenerator(spec_of(folders("sd"), cache_dir=tmp_path))
    lora = LoRASpec(source="someone/style", revision=COMMIT)
    made = generate(generator, loras=(lora,))
    assert made.model.name == f"sd + LoRA someone/style@{COMMIT} (1)"
    assert (made.images[0] != generate(generator).images[0]).any()
    with pytest.raises(RequestError, match="not in the local cache and downloads are off"):
        generate(generator, loras=(dataclasses.replace(lora, revision=COMMIT[::-1]),))
    for revision in ("main", COMMIT[:12]):
        with pytest.raises(RequestError, match="expected the 40 hex digits of a commit"):
            generate(generator, loras=(dataclasses.replace(lora, revision=revision),))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("sd/missing.safetensors", "not in the LoRA folders"),
        ("../secret.safetensors", "not in the LoRA folders"),
        ("/etc/passwd", "not in the LoRA folders"),
        ("sd", "2 safetensors files were found"),
        ("sd/pickle.bin", "only .onnx, .safetensors are loaded"),
        ("sd/damaged.safetensors", "does not fit this model"),
        ("flux/1.safetensors", "does not fit this model"),
    ],
)
def test_other_sources_are_refused_and_leave_no_trace(
    with_loras: dict[str, DiffusersGenerator], lora_folder: Path, source: str, message: str
) -> None:
    (lora_folder.parent / "secret.safetensors").write_bytes(b"x")
    (lora_folder / "sd" / "pickle.bin").write_bytes(b"x")
    (lora_folder / "flux" / "x").write_bytes(b"x")
    damaged = lora_folder / "sd" / "damaged.safetensors"
    damaged.write_bytes(b"not safetensors")
    generator = with_loras["sd"]
    before = generate(generator).images[0]
    try:
        if source == "sd":
            damaged.unlink()
        with pytest.raises(RequestError, match=message):
            generate(generator, loras=(LoRASpec(source=source),))
    finally:
        damaged.unlink(missing_ok=True)
    np.testing.assert_array_equal(generate(generator).images[0], before)


def test_without_lora_folders_no_local_file_is_opened(folders: Folders, lora_folder: Path) -> None:
    generator = DiffusersGenerator(spec_of(folders("sd")))
    with pytest.raises(RequestError, match="not in the LoRA folders"):
        generate(generator, loras=(LoRASpec(source=str(lora_folder / "sd" / "1.safetensors")),))


def test_an_adapter_that_cannot_be_removed_takes_the_model_with_it(folders: Folders, lora_folder: Path) -> None:
    generator = DiffusersGenerator(spec_of(folders("sd"), lora_folders=(lora_folder,)))
    before = generate(generator).images[0]
    assert generator._loaded is not None

    def stuck() -> None:
        raise RuntimeError("layer is busy")

    generator._loaded.pipeline.unload_lora_weights = stuck
    with pytest.raises(GenerationError, match="could not be removed"):
        generate(generator, loras=(LoRASpec(source="sd/1.safetensors"),))
    assert not generator.is_loaded
    np.testing.assert_array_equal(generate(generator).images[0], before)


def test_an_adapter_that_does_not_fit_into_memory_is_out_of_memory(
    with_loras: dict[str, DiffusersGenerator], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object, **kwargs: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr("diffusers.StableDiffusionPipeline.load_lora_weights", full)
    with pytest.raises(OutOfMemoryError):
        generate(with_loras["sd"], loras=(LoRASpec(source="sd/1.safetensors"),))


@pytest.mark.parametrize("weight", [4.1, -5.0, math.inf, math.nan])
def test_weights_out_of_range_are_refused(with_loras: dict[str, DiffusersGenerator], weight: float) -> None:
    with pytest.raises(RequestError, match=r"LoRA weight .* is out of range"):
        generate(with_loras["sd"], loras=(LoRASpec(source="sd/1.safetensors", weight=weight),))


def test_the_number_of_adapters_is_limited(with_loras: dict[str, DiffusersGenerator]) -> None:
    with pytest.raises(RequestError, match="9 LoRA adapters were asked for; at most 8"):
        generate(with_loras["sd"], loras=(LoRASpec(source="sd/1.safetensors"),) * 9)
