"""One installation for all tests of signing."""

from collections.abc import Iterator

import pytest

from tests.guard.provenance.support import Identity
from tests.guard.signing.bench import Bench


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    made = Bench.make(tmp_path_factory.mktemp("signing"))
    yield made
    made.ledger.close()


@pytest.fixture(scope="session")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Identity:
    """Somebody else who signs."""
    return Identity.make(tmp_path_factory.mktemp("keys") / "foreign")
