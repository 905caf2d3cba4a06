"""What could never be loaded is refused when it is configured."""

from pathlib import Path
from typing import Any

import pytest

from guard.errors import ConfigError
from guard.generation.model_spec import Device, ModelSpec, Offload, Precision, parse_source

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"id": " "}, "needs an id"),
        ({"source": "owner/name"}, "needs a pinned revision: got None"),
        ({"source": "owner/name", "revision": "main"}, "got 'main', expected the 40 hex digits"),
        ({"source": "owner/name", "revision": COMMIT[:7]}, "expected the 40 hex digits"),
        ({"source": "owner/name", "revision": COMMIT.upper()}, "expected the 40 hex digits"),
        ({"source": "name", "revision": COMMIT}, "'name' is not a hub id"),
        ({"source": "../name", "revision": COMMIT}, "is not a hub id"),
        ({"digest": "abc"}, "expected 64 lower-case hex digits"),
        ({"offload": Offload.MODEL, "device": Device.CPU}, "needs an accelerator"),
        ({"precision": Precision.FLOAT16, "device": Device.CPU}, "float16 does not run on cpu"),
        ({"max_side": 0}, "max_side is 0"),
        ({"max_count": 0}, "max_count is 0"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"steps": 0}, "steps is 0"),
        ({"steps": 151}, "steps is 151; max_steps is 150"),
        ({"scheduler": "fast"}, "'fast' is not known; possible: ddim, "),
        ({"native_size": (4096, 64)}, "native_size is"),
        ({"native_size": (0, 64)}, "native_size is"),
    ],
)
def test_impossible_settings_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ModelSpec(**{"id": "model", "source": Path("model"), **fields})


def test_a_pinned_hub_id_is_accepted() -> None:
    assert ModelSpec(id="m", source="stabilityai/sd-turbo", revision=COMMIT).source == "stabilityai/sd-turbo"


@pytest.mark.parametrize("text", ["/models/sd", "./sd", "../sd", ".", "C:\\models\\sd", "D:/sd"])
def test_paths_are_folders(text: str) -> None:
    assert parse_source(text) == Path(text)


def test_the_home_folder_is_expanded() -> None:
    assert parse_source("~/sd") == Path.home() / "sd"


def test_owner_and_name_is_a_hub_id_even_beside_a_folder_of_that_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "owner" / "name").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert parse_source("owner/name") == "owner/name"


@pytest.mark.parametrize("text", ["", "name", "a/b/c", "owner/na me", "owner/..", "https://host/owner/name"])
def test_everything_else_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="is not a hub id"):
        parse_source(text)
