"""API keys: shown once, kept as SHA-256 digests in a file, compared in constant time.

A key is 32 random bytes, so a plain digest is enough (nothing to guess, unlike a password).
File format, one key a line: ``name tenant scopes sha256`` with scopes separated by commas.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from guard.errors import ConfigError
from guard.tenant import TENANT_PATTERN

PREFIX = "signet_"
"""Makes a leaked key recognisable to secret scanners."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


class Scope(StrEnum):
    """What a key may do."""

    GENERATE = "generate"
    DETECT = "detect"
    READ = "read"
    REVIEW = "review"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who is calling."""

    name: str
    tenant: str
    scopes: frozenset[Scope]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredKey:
    """One line of the key file."""

    caller: Caller
    digest: str


class APIKeys:
    """The keys of one installation."""

    def __init__(self, keys: Sequence[StoredKey]) -> None:
        self._keys = tuple(keys)

    def __len__(self) -> int:
        return len(self._keys)

    def identify(self, presented: str) -> Caller | None:
        """Return whose key this is, or None; takes the same time for every wrong key."""
        digest = hashlib.sha256(presented.encode()).hexdigest()
        found: Caller | None = None
        for key in self._keys:
            if hmac.compare_digest(key.digest, digest):
                found = key.caller
        return found


def load_api_keys(path: Path) -> APIKeys:
    """Read a key file.

    Raises:
        ConfigError: the file is missing or a line is malformed (the line's number is named, not its content).
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as exc:
        raise ConfigError(f"The API key file {path} cannot be read: {exc.strerror}.") from exc
    except UnicodeDecodeError as exc:
        raise ConfigError(f"The API key file {path} is not text.") from exc
    keys = []
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith("#"):
            continue
        parts = line.split()
        if len(parts) != 4 or not re.fullmatch(r"[0-9a-f]{64}", parts[3]):
            raise ConfigError(f"Line {number} of {path} is not `name tenant scopes sha256`.")
        try:
            scopes = frozenset(Scope(scope) for scope in parts[2].split(","))
        except ValueError as exc:
            raise ConfigError(f"Line {number} of {path} names an unknown scope.") from exc
        if not re.fullmatch(TENANT_PATTERN, parts[1]):
            raise ConfigError(f"Line {number} of {path} names a tenant that records do not accept.")
        keys.append(StoredKey(caller=Caller(name=parts[0], tenant=parts[1], scopes=scopes), digest=parts[3]))
    return APIKeys(keys)


def add_api_key(path: Path, *, name: str, tenant: str, scopes: frozenset[Scope]) -> str:
    """Create a key, append its digest to the file (mode 0600) and return the key; it is never shown again.

    Raises:
        ConfigError: a name with other characters than letters, digits and ``_.-``.
    """
    for value in (name, tenant):
        if not _NAME.fullmatch(value):
            raise ConfigError(f"{value!r} is not a usable name.", next_step="Use letters, digits and _ . - only.")
    key = PREFIX + secrets.token_urlsafe(32)
    line = f"{name} {tenant} {','.join(sorted(scopes))} {hashlib.sha256(key.encode()).hexdigest()}\n"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(descriptor, "a", encoding="utf-8") as file:
        file.write(line)
    return key
