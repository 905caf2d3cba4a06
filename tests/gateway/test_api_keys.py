"""API keys: only digests are stored, wrong keys are nobody's, malformed files do not start."""

import stat
from pathlib import Path

import pytest

from gateway.auth.api_keys import Scope, add_api_key, load_api_keys
from guard.errors import ConfigError


def test_a_new_key_identifies_its_caller(tmp_path: Path) -> None:
    file = tmp_path / "keys.txt"
    key = add_api_key(file, name="newsroom", tenant="press", scopes=frozenset({Scope.DETECT}))
    other = add_api_key(file, name="studio", tenant="art", scopes=frozenset(Scope))
    keys = load_api_keys(file)
    caller = keys.identify(key)
    assert caller is not None
    assert (caller.name, caller.tenant, caller.scopes) == ("newsroom", "press", {Scope.DETECT})
    assert keys.identify(other).name == "studio"  # type: ignore[union-attr]
    assert keys.identify(key[:-1]) is None
    assert keys.identify("") is None
    assert key not in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize("line", ["one two", "a b generate short", "a b fly " + "0" * 64])
def test_a_malformed_line_is_named_by_number_only(tmp_path: Path, line: str) -> None:
    file = tmp_path / "keys.txt"
    file.write_text(f"# comment\n\n{line}\n")
    with pytest.raises(ConfigError, match="Line 3") as caught:
        load_api_keys(file)
    assert line not in str(caught.value)


def test_unusable_names_and_missing_files(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not a usable name"):
        add_api_key(tmp_path / "k", name="a b", tenant="t", scopes=frozenset(Scope))
    with pytest.raises(ConfigError, match="cannot be read"):
        load_api_keys(tmp_path / "none")
