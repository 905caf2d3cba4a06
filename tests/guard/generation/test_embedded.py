"""The shipped model: found beside the package, pinned to its digests, loaded through the ordinary path."""

import json
import shutil
from pathlib import Path

import pytest

from guard.errors import WeightsError
from guard.generation.diffusers_backend import DiffusersGenerator
from guard.generation.embedded import signet_mini_folder, signet_mini_spec
from guard.generation.model_spec import Device
from guard.weights import sha256_file
from tests.guard.generation.conftest import Folders
from tests.guard.generation.requests import generate


@pytest.fixture
def shipped(folders: Folders, tmp_path: Path) -> Path:
    """A folder as the build ships it: a pipeline and its digests."""
    folder = Path(shutil.copytree(folders("mini"), tmp_path / "signet-mini"))
    files = [p for p in sorted(folder.rglob("*")) if p.is_file()]
    digests = {p.relative_to(folder).as_posix(): sha256_file(p) for p in files}
    (folder / "digests.json").write_text(json.dumps(digests))
    return folder


def test_the_shipped_model_makes_pictures_of_its_native_size(shipped: Path) -> None:
    made = generate(DiffusersGenerator(signet_mini_spec(folder=shipped, device=Device.CPU)), steps=1)
    assert made.images[0].shape == (256, 256, 3)
    assert made.guidance == 2.0
    assert (made.model.model_id, made.model.licence) == ("signet-mini", "Apache-2.0")


def test_a_changed_file_is_refused_before_loading(shipped: Path) -> None:
    path = shipped / "scheduler" / "scheduler_config.json"
    path.write_text(path.read_text() + " ")
    with pytest.raises(WeightsError, match=r"scheduler_config\.json has SHA-256"):
        DiffusersGenerator(signet_mini_spec(folder=shipped)).load()


def test_an_added_file_is_refused_before_loading(shipped: Path) -> None:
    (shipped / "unet" / "more.safetensors").write_bytes(b"x")
    with pytest.raises(WeightsError, match="do not pin"):
        DiffusersGenerator(signet_mini_spec(folder=shipped)).load()


def test_without_digests_there_is_no_spec(shipped: Path) -> None:
    (shipped / "digests.json").unlink()
    with pytest.raises(WeightsError, match="digests of the model folder cannot be read"):
        signet_mini_spec(folder=shipped)


def test_the_folder_lies_beside_the_package() -> None:
    import guard

    expected = Path(guard.__file__).parent / "models" / "signet-mini"
    if expected.is_dir():
        assert signet_mini_folder() == expected
    else:
        with pytest.raises(WeightsError, match="not part of this installation"):
            signet_mini_folder()
