"""Programs that tests need but do not install: in CI none may be missing, or its tests would skip in silence."""

import os
import shutil

import pytest

from tests.guard.provenance.keys.holders import SOFTHSM

required = pytest.mark.skipif(
    "TEST_PROGRAMS_REQUIRED" not in os.environ, reason="programs are required in CI only (TEST_PROGRAMS_REQUIRED)"
)


@required
@pytest.mark.parametrize("program", ["openssl", "softhsm2-util"])
def test_a_program_is_there(program: str) -> None:
    assert shutil.which(program), f"apt-get install {'softhsm2' if 'softhsm' in program else program}"


@required
def test_the_library_of_the_token_is_where_tests_look() -> None:
    assert SOFTHSM is not None
