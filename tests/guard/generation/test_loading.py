"""From a source to a loaded pipeline: only pinned, verified, code-free files, on the device that was asked for."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from guard.errors import ConfigError, OutOfMemoryError, WeightsError
from guard.generation.diffusers_backend import DiffusersGenerator
from guard.generation.loading import choose_device, choose_dtype, load_model
from guard.generation.model_files import loaded_files, read_index
from guard.generation.model_spec import Device, ModelSpec, Offload, Precision
from guard.records import Operation
from guard.weights import content_digest, sha256_file
from tests.guard.generation.conftest import Folders, Generators
from tests.guard.generation.requests import generate, pictures_for, spec_of

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def copy(folders: Folders, tmp_path: Path) -> Path:
    """A copy of the tiny SD model that a test may damage."""
    return Path(shutil.copytree(folders("sd"), tmp_path / "sd"))


def digest_of(folder: Path, **settings: Any) -> str:
    return load_model(spec_of(folder, **settings)).card.digest


def edit_index(folder: Path, **changes: Any) -> None:
    path = folder / "model_index.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_hub_model_loads_from_the_cache_like_a_folder(
    folders: Folders, generators: Generators, tmp_path: Path
) -> None:
    snapshot = tmp_path / "models--someone--tiny" / "snapshots" / COMMIT
    shutil.copytree(folders("sd"), snapshot)
    hub = ModelSpec(
        id="hub", source="someone/tiny", revision=COMMIT, cache_dir=tmp_path, device=Device.CPU, native_size=(32, 32)
    )
    made = generate(DiffusersGenerator(hub))
    own = generate(generators("sd"))
    np.testing.assert_array_equal(made.images[0], own.images[0])
    assert (made.model.revision, made.model.digest) == (COMMIT, own.model.digest)


def test_a_hub_model_that_is_not_cached_is_refused_without_the_network(tmp_path: Path) -> None:
    spec = ModelSpec(id="hub", source="someone/tiny", revision=COMMIT, cache_dir=tmp_path, device=Device.CPU)
    with pytest.raises(WeightsError, match=f"commit {COMMIT} of someone/tiny is not in the local cache and downloads"):
        load_model(spec)


@pytest.mark.parametrize("source", ["missing", "."])
def test_a_folder_without_a_pipeline_is_refused(tmp_path: Path, source: str) -> None:
    with pytest.raises(WeightsError, match="is not a diffusers pipeline folder"):
        load_model(ModelSpec(id="x", source=tmp_path / source))


@pytest.mark.parametrize("suffix", [".bin", ".ckpt", ".pt", ".pth"])
def test_weights_that_can_run_code_are_refused(copy: Path, suffix: str) -> None:
    weights = copy / "unet" / "diffusion_pytorch_model.safetensors"
    weights.rename(weights.with_suffix(suffix))
    with pytest.raises(WeightsError, match=f"'unet' has its weights only as 'diffusion_pytorch_model\\{suffix}'"):
        load_model(spec_of(copy))


def test_a_pickle_beside_safetensors_is_not_opened(copy: Path, generators: Generators) -> None:
    (copy / "unet" / "diffusion_pytorch_model.bin").write_bytes(b"not even a pickle")
    assert digest_of(copy) == generators("sd").load().digest


def test_a_folder_with_code_is_refused(copy: Path) -> None:
    (copy / "unet" / "modeling.py").write_text("raise SystemExit")
    with pytest.raises(WeightsError, match=r"carries code: unet.modeling\.py"):
        load_model(spec_of(copy))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"_class_name": ["pipeline", "MyPipeline"]}, "names no pipeline class of diffusers"),
        ({"_class_name": "NoSuchPipeline"}, "has no pipeline 'NoSuchPipeline'"),
        ({"unet": ["os", "system"]}, "component 'unet' .* comes from 'os'; only diffusers, transformers"),
        ({"unet": ["my_module", "MyUNet"]}, "comes from 'my_module'"),
        ({"unet": ["diffusers", "NoSuchModel"]}, "cannot be loaded"),
    ],
)
def test_an_index_that_names_foreign_classes_is_refused(copy: Path, changes: dict[str, Any], message: str) -> None:
    edit_index(copy, **changes)
    with pytest.raises(WeightsError, match=message):
        load_model(spec_of(copy))


@pytest.mark.parametrize("text", ["{", "[]", "{}"])
def test_a_broken_index_is_refused(copy: Path, text: str) -> None:
    (copy / "model_index.json").write_text(text)
    with pytest.raises(WeightsError, match=r"model_index\.json"):
        load_model(spec_of(copy))


@pytest.mark.parametrize("content", [b"", b"damaged", None])
def test_damaged_or_missing_weights_are_refused(copy: Path, content: bytes | None) -> None:
    path = copy / "unet" / "diffusion_pytorch_model.safetensors"
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(WeightsError, match="cannot be loaded"):
        load_model(spec_of(copy))


def test_the_safety_checker_is_left_out_without_a_word(copy: Path, generators: Generators) -> None:
    edit_index(copy, safety_checker=["stable_diffusion", "StableDiffusionSafetyChecker"], requires_safety_checker=True)
    loaded = load_model(spec_of(copy))
    assert loaded.pipeline.safety_checker is None
    np.testing.assert_array_equal(
        generate(DiffusersGenerator(spec_of(copy))).images[0], generate(generators("sd")).images[0]
    )


@pytest.mark.parametrize("operation", list(Operation))
def test_the_librarys_own_watermark_is_never_applied(
    folders: Folders, generators: Generators, monkeypatch: pytest.MonkeyPatch, operation: Operation
) -> None:
    from diffusers.pipelines import stable_diffusion_xl

    folder, plain = folders("sdxl"), generate(generators("sdxl"), **pictures_for(operation)).images[0]

    def installed(*args: object) -> bool:
        return True

    for suffix in ("", "_img2img", "_inpaint"):
        module = f"{stable_diffusion_xl.__name__}.pipeline_stable_diffusion_xl{suffix}"
        monkeypatch.setattr(f"{module}.is_invisible_watermark_available", installed)
        monkeypatch.setattr(f"{module}.StableDiffusionXLWatermarker", lambda: pytest.fail("made"), raising=False)
    made = generate(DiffusersGenerator(spec_of(folder)), **pictures_for(operation))
    np.testing.assert_array_equal(made.images[0], plain)


def test_pinned_digests_are_checked(copy: Path) -> None:
    files = [p for p in sorted(copy.rglob("*")) if p.is_file()]
    digests = {p.relative_to(copy).as_posix(): sha256_file(p) for p in files}
    assert digest_of(copy, digests=digests) == digest_of(copy)
    (copy / "unet" / "config.json").write_text((copy / "unet" / "config.json").read_text() + "\n")
    with pytest.raises(WeightsError, match="has SHA-256"):
        load_model(spec_of(copy, digests=digests))


def test_the_pinned_content_digest_is_checked(copy: Path) -> None:
    digest = digest_of(copy)
    assert digest_of(copy, digest=digest) == digest
    with pytest.raises(WeightsError, match=f"has SHA-256 {digest}; expected {'0' * 64}"):
        load_model(spec_of(copy, digest="0" * 64))


def test_the_digest_covers_what_is_loaded_and_nothing_else(copy: Path) -> None:
    digest = digest_of(copy)
    (copy / "README.md").write_text("documents do not count")
    (copy / "sd-v1.safetensors").write_bytes(b"a single-file checkpoint beside the folders is not loaded")
    shutil.copy(copy / "unet" / "diffusion_pytorch_model.safetensors", copy / "unet" / "x.fp16.safetensors")
    assert digest_of(copy) == digest
    path = copy / "scheduler" / "scheduler_config.json"
    path.write_text(path.read_text() + " ")
    assert digest_of(copy) != digest


def test_the_digest_of_a_variant_is_that_of_its_files(copy: Path) -> None:
    plain = digest_of(copy)
    weights = copy / "unet" / "diffusion_pytorch_model.safetensors"
    shutil.copy(weights, weights.with_name("diffusion_pytorch_model.fp16.safetensors"))
    spec = spec_of(copy, variant="fp16")
    names = {p.relative_to(copy).as_posix(): p for p in loaded_files(copy, read_index(copy), spec)}
    assert "unet/diffusion_pytorch_model.fp16.safetensors" in names
    assert "unet/diffusion_pytorch_model.safetensors" not in names
    assert "vae/diffusion_pytorch_model.safetensors" in names
    expected = content_digest({name: sha256_file(path) for name, path in names.items()})
    assert load_model(spec).card.digest == expected != plain


def test_sharded_weights_and_their_index_are_covered(copy: Path) -> None:
    unet = copy / "unet"
    for name in ("m-00001-of-00002.safetensors", "m.fp16-00001-of-00001.safetensors"):
        (unet / name).write_bytes(b"x")
    for name in ("m.safetensors.index.json", "m.safetensors.index.fp16.json"):
        (unet / name).write_text("{}")

    def names(variant: str | None) -> set[str]:
        found = loaded_files(copy, read_index(copy), spec_of(copy, variant=variant))
        return {p.name for p in found if p.parent.name == "unet"}

    assert names(None) == {
        "config.json",
        "diffusion_pytorch_model.safetensors",
        "m-00001-of-00002.safetensors",
        "m.safetensors.index.json",
    }
    assert names("fp16") == {"config.json", "m.fp16-00001-of-00001.safetensors", "m.safetensors.index.fp16.json"}


def test_sd3_loads_without_its_long_text_encoder(folders: Folders, generators: Generators) -> None:
    spec = spec_of(folders("sd3"), skip_components=("text_encoder_3", "tokenizer_3"))
    generator = DiffusersGenerator(spec)
    made = generate(generator)
    assert generator._loaded is not None
    assert generator._loaded.pipeline.text_encoder_3 is None
    assert (made.images[0] != generate(generators("sd3")).images[0]).any()
    assert made.model.digest != generators("sd3").load().digest


def test_only_components_that_exist_can_be_left_out(folders: Folders) -> None:
    with pytest.raises(ConfigError, match="no component to skip named text_encoder_9"):
        load_model(spec_of(folders("sd3"), skip_components=("text_encoder_9",)))


def test_a_pipeline_that_reports_no_steps_is_refused(folders: Folders) -> None:
    with pytest.raises(ConfigError, match="DDPMPipeline reports no steps, so it could not be cancelled"):
        load_model(spec_of(folders("unconditional")))


def test_a_default_scheduler_that_cannot_sample_the_model_is_refused_at_load(folders: Folders) -> None:
    with pytest.raises(ConfigError, match="'euler_a' cannot sample it; possible: flow_euler"):
        load_model(spec_of(folders("flux"), scheduler="euler_a"))


@pytest.mark.parametrize(
    ("name", "multiple", "native"),
    [("sd", 8, 32), ("mini", 16, 64), ("sdxl", 8, 32), ("sd3", 8, 32), ("flux", 8, 128)],
)
def test_limits_come_from_the_models_configuration(folders: Folders, name: str, multiple: int, native: int) -> None:
    limits = load_model(spec_of(folders(name), native_size=None, max_side=130)).limits
    assert (limits.multiple, limits.native) == (multiple, (native, native))
    assert limits.max_side == 128


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"native_size": (50, 32)}, "multiples of 8 pixels"), ({"max_side": 4, "native_size": None}, "at least 8 pixels")],
)
def test_sizes_that_the_model_cannot_make_are_refused(folders: Folders, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_model(spec_of(folders("sd"), **settings))


def test_bfloat16_works_on_cpu(folders: Folders) -> None:
    generator = DiffusersGenerator(spec_of(folders("sd"), precision=Precision.BFLOAT16))
    image = generate(generator).images[0]
    assert generator._loaded is not None
    assert generator._loaded.pipeline.unet.dtype is torch.bfloat16
    assert image.std() > 5


def test_automatic_choices_without_an_accelerator(folders: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    spec = ModelSpec(id="x", source=folders("sd"))
    assert choose_device(spec) == "cpu"
    assert choose_dtype(spec, "cpu") is torch.float32
    for settings, message in (
        ({"device": Device.CUDA}, "device 'cuda', which torch does not see"),
        ({"device": Device.MPS}, "device 'mps', which torch does not see"),
        ({"offload": Offload.MODEL}, "offload 'model' needs an accelerator"),
        ({"precision": Precision.FLOAT16}, "float16 does not run on cpu"),
    ):
        with pytest.raises(ConfigError, match=message):
            load_model(ModelSpec(id="x", source=folders("sd"), **settings))


def test_automatic_choices_with_an_accelerator(folders: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    spec = ModelSpec(id="x", source=folders("sd"))
    assert choose_device(spec) == "cuda"
    assert choose_dtype(spec, "cuda") is torch.float16
    assert choose_dtype(spec, "mps") is torch.float16
    assert choose_device(ModelSpec(id="x", source=folders("sd"), device=Device.MPS)) == "mps"


@pytest.mark.parametrize("where", ["from_pretrained", "to"])
def test_a_model_that_does_not_fit_is_out_of_memory_and_can_be_tried_again(
    folders: Folders, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    import diffusers

    def full(*args: Any, **kwargs: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory")

    generator = DiffusersGenerator(spec_of(folders("sd")))
    with monkeypatch.context() as patch:
        patch.setattr(diffusers.StableDiffusionPipeline, where, full)
        with pytest.raises(OutOfMemoryError, match="does not fit"):
            generate(generator)
    assert generate(generator).images[0].shape == (32, 32, 3)


def test_old_scheduler_settings_load_without_a_warning(copy: Path) -> None:
    path = copy / "scheduler" / "scheduler_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"steps_offset": 0}))
    assert load_model(spec_of(copy)).pipeline.scheduler.config.steps_offset == 1


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an accelerator")
@pytest.mark.parametrize("offload", list(Offload))
@pytest.mark.parametrize("name", ["sd", "sdxl", "sd3", "flux"])
def test_an_accelerator_makes_nearly_the_same_picture(
    folders: Folders, generators: Generators, name: str, offload: Offload
) -> None:
    spec = spec_of(folders(name), device=Device.CUDA, offload=offload, precision=Precision.FLOAT32)
    made, own = generate(DiffusersGenerator(spec), count=2), generate(generators(name), count=2)
    for one, other in zip(made.images, own.images, strict=True):
        assert np.abs(one.astype(int) - other.astype(int)).mean() < 2
