"""Programs of others that our files are held against; missing ones skip, unless SIGNET_CONFORMANCE=required."""

import os
import shutil

import pytest


def require(condition: bool, what: str) -> None:
    """Skip the test when something is not installed; fail where the CI promises that it is."""
    if condition:
        return
    if os.environ.get("SIGNET_CONFORMANCE") == "required":
        pytest.fail(f"{what} is not installed")
    pytest.skip(f"{what} is not installed (make conformance)")


def program(*names: str) -> str:
    """Path of the first of these programs that is installed."""
    found = next((path for name in names if (path := shutil.which(name))), None)
    require(found is not None, names[0])
    assert found is not None
    return found
