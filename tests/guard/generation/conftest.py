"""Tiny models saved once a session, loaded once each."""

from collections.abc import Callable
from pathlib import Path

import pytest

from guard.generation.diffusers_backend import DiffusersGenerator
from tests.guard.generation.requests import spec_of

Folders = Callable[[str], Path]
Generators = Callable[[str], DiffusersGenerator]


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """The models are too small to gain from threads, and the machine may be busy."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    """Name of a tiny model -> its folder, written when first asked for."""
    from tests.guard.generation.tiny_models import BUILDERS

    root = tmp_path_factory.mktemp("models")

    def folder(name: str) -> Path:
        return root / name if (root / name).is_dir() else BUILDERS[name](root / name)

    return folder


@pytest.fixture(scope="session")
def generators(folders: Folders) -> Generators:
    """Name of a tiny model -> a loaded generator with default settings, shared by the session."""
    made: dict[str, DiffusersGenerator] = {}

    def generator(name: str) -> DiffusersGenerator:
        if name not in made:
            made[name] = DiffusersGenerator(spec_of(folders(name)))
        return made[name]

    return generator
