"""The models file: every field arrives, every mistake is found before the service starts."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from guard.errors import ConfigError
from guard.generation.catalogue import Catalogue, ModelEntry, load_catalogue
from guard.generation.diffusers_backend import DiffusersGenerator
from guard.generation.model_spec import Device, ModelSpec, Offload, Precision
from guard.weights import content_digest
from tests.guard.generation.conftest import Folders
from tests.guard.generation.requests import generate

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def write(folder: Path, *models: dict[str, Any], version: int = 1) -> Path:
    path = folder / "models.yaml"
    path.write_text(yaml.safe_dump({"version": version, "models": list(models)}))
    return path


def test_every_field_arrives(tmp_path: Path) -> None:
    entry = {
        "id": "flux-dev",
        "source": "black-forest-labs/FLUX.1-dev",
        "revision": COMMIT,
        "name": "FLUX.1 [dev]",
        "licence": "FLUX.1-dev non-commercial",
        "digest": "0" * 64,
        "device": "cuda",
        "precision": "bfloat16",
        "offload": "model",
        "variant": "fp16",
        "native_size": [1024, 768],
        "max_side": 1536,
        "max_count": 2,
        "batch_size": 1,
        "steps": 20,
        "guidance": 3.5,
        "scheduler": "flow_euler",
        "max_steps": 60,
        "true_cfg": 4.0,
        "max_sequence_length": 256,
        "skip_components": ["image_encoder"],
        "lora_folders": ["loras", "/srv/loras"],
        "allow_download": True,
        "cache_dir": "cache",
    }
    assert set(entry) == set(ModelEntry.model_fields) - {"verify_digests"}
    spec = load_catalogue(write(tmp_path, entry))["flux-dev"]
    expected = ModelSpec(
        id="flux-dev",
        source="black-forest-labs/FLUX.1-dev",
        revision=COMMIT,
        name="FLUX.1 [dev]",
        licence="FLUX.1-dev non-commercial",
        digest="0" * 64,
        device=Device.CUDA,
        precision=Precision.BFLOAT16,
        offload=Offload.MODEL,
        variant="fp16",
        native_size=(1024, 768),
        max_side=1536,
        max_count=2,
        batch_size=1,
        steps=20,
        guidance=3.5,
        scheduler="flow_euler",
        max_steps=60,
        true_cfg=4.0,
        max_sequence_length=256,
        skip_components=("image_encoder",),
        lora_folders=(tmp_path / "loras", Path("/srv/loras")),
        allow_download=True,
        cache_dir=tmp_path / "cache",
    )
    assert spec == expected


def test_the_defaults_of_file_and_spec_are_the_same(tmp_path: Path) -> None:
    spec = load_catalogue(write(tmp_path, {"id": "x", "source": "./x"}))["x"]
    assert spec == ModelSpec(id="x", source=tmp_path / "x")


def test_the_device_of_the_installation_is_the_default(tmp_path: Path) -> None:
    path = write(tmp_path, {"id": "a", "source": "./a"}, {"id": "b", "source": "./b", "device": "mps"})
    assert {i: s.device for i, s in load_catalogue(path, device=Device.CPU).items()} == {
        "a": Device.CPU,
        "b": Device.MPS,
    }


def test_a_listed_folder_generates(folders: Folders, tmp_path: Path) -> None:
    path = write(tmp_path, {"id": "tiny", "source": str(folders("sd")), "native_size": [32, 32], "steps": 2})
    spec = load_catalogue(path, device=Device.CPU)["tiny"]
    made = generate(DiffusersGenerator(spec), steps=None)
    assert (made.model.model_id, made.steps, made.images[0].shape) == ("tiny", 2, (32, 32, 3))


def test_the_digests_of_a_folder_are_read_when_asked_for(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "digests.json").write_text(json.dumps({"model_index.json": "0" * 64}))
    listed = load_catalogue(write(tmp_path, {"id": "m", "source": "./m", "verify_digests": True}))["m"]
    assert listed.digests is not None
    assert content_digest(listed.digests) == content_digest({"model_index.json": "0" * 64})
    assert (
        dataclasses.replace(listed, digests=None) == load_catalogue(write(tmp_path, {"id": "m", "source": "./m"}))["m"]
    )


@pytest.mark.parametrize(
    ("models", "message"),
    [
        ([], "models"),
        ([{"id": "x"}], "source"),
        ([{"id": "X y", "source": "./x"}], "id"),
        ([{"id": "x", "source": "./x", "colour": "red"}], "colour"),
        ([{"id": "x", "source": "./x", "max_side": "many"}], "max_side"),
        ([{"id": "x", "source": "./x", "device": "tpu"}], "device"),
        ([{"id": "x", "source": "./x", "steps": 0}], "steps is 0"),
        ([{"id": "x", "source": "./x", "scheduler": "fast"}], "'fast' is not known"),
        ([{"id": "x", "source": "owner/name"}], "needs a pinned revision"),
        ([{"id": "x", "source": "owner/name", "revision": "main"}], "needs a pinned revision"),
        ([{"id": "x", "source": "name"}], "is not a hub id"),
        ([{"id": "x", "source": "./x"}, {"id": "x", "source": "./y"}], "lists the model 'x' twice"),
        ([{"id": "x", "source": "owner/name", "revision": COMMIT, "verify_digests": True}], "is for folders"),
        ([{"id": "x", "source": "./x", "verify_digests": True}], "digests of the model folder cannot be read"),
    ],
)
def test_mistakes_are_found_at_start_up(tmp_path: Path, models: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_catalogue(write(tmp_path, *models))


def test_another_version_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="version"):
        load_catalogue(write(tmp_path, {"id": "x", "source": "./x"}, version=2))


def test_the_example_of_the_documentation_is_valid(tmp_path: Path) -> None:
    document = (Path(__file__).parents[3] / "docs" / "models.md").read_text(encoding="utf-8")
    blocks = [block.partition("```")[0] for block in document.split("```yaml\n")[1:]]
    assert blocks
    for block in blocks:
        Catalogue.model_validate_json(json.dumps(yaml.safe_load(block)))
        path = tmp_path / "models.yaml"
        path.write_text(block.replace("verify_digests: true", "verify_digests: false"))
        assert load_catalogue(path)


def test_the_documentation_names_every_field() -> None:
    document = (Path(__file__).parents[3] / "docs" / "models.md").read_text(encoding="utf-8")
    missing = [name for name in ModelEntry.model_fields if f"| `{name}` |" not in document]
    assert missing == []
