"""Shared by the tests of key holders: SoftHSM tokens, made once per test run."""

import pytest

from tests.guard.provenance.keys.holders import KEYS, Token, make_tokens


@pytest.fixture(scope="session")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Token]:
    wanted = [f"signet-test/algorithm-{algorithm}/{algorithm}" for algorithm in KEYS]
    wanted += ["signet-test/claims/es256", "signet-test/second/es384", "signet-test/twice/es256"]
    wanted += ["signet-test/twice/es256", "locked/claims/es256", "by-passphrase/claims/es256"]
    return make_tokens(tmp_path_factory.mktemp("softhsm"), wanted)


@pytest.fixture(scope="session")
def token(tokens: dict[str, Token]) -> Token:
    return tokens["signet-test"]
