"""Shared by the tests of content credentials: two identities and workers, made once."""

from collections.abc import Iterator

import pytest

from guard.isolation import WorkerPool
from guard.provenance.read import C2PACredentialReader
from tests.guard.provenance.support import Identity


@pytest.fixture(scope="session")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Identity:
    return Identity.make(tmp_path_factory.mktemp("keys") / "ours")


@pytest.fixture(scope="session")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Identity:
    return Identity.make(tmp_path_factory.mktemp("keys") / "foreign")


@pytest.fixture(scope="session")
def pool() -> Iterator[WorkerPool]:
    with WorkerPool(size=1, preload=("c2pa", "guard.provenance.read")) as made:
        yield made


@pytest.fixture(scope="session")
def reader(ours: Identity, pool: WorkerPool) -> C2PACredentialReader:
    return ours.reader(pool)
