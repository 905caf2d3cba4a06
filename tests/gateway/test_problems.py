"""Every error of the tree has one status code, also when only its code is known."""

import pytest

from gateway.problems import status_of, status_of_code
from guard.errors import DeadlineError, GuardError, OutOfMemoryError, SigningError, UnsupportedMediaError, WeightsError


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (OutOfMemoryError, 503),
        (DeadlineError, 503),
        (WeightsError, 503),
        (SigningError, 500),
        (UnsupportedMediaError, 415),
    ],
)
def test_the_code_alone_gives_the_same_status_as_the_error(error: type[GuardError], status: int) -> None:
    assert status_of(error("x")) == status_of_code(error.code) == status


def test_an_unknown_code_is_our_fault() -> None:
    assert status_of_code("no_such_code") == 500
