"""Native signers of c2pa-python, one per process and key; the key's own errors are kept, for c2pa-python swallows them.

A key in a PEM file is handed to the native signer; any other key is asked through a callback, which costs 9.4 kB of
reserved space per file (measured).
"""

from __future__ import annotations

import functools
import os
import threading
from typing import Any

from guard.errors import GuardError
from guard.interfaces import KeySource
from guard.provenance.key_source import PEMKeySource
from guard.provenance.keys.ring import KeyRing


class NativeSigners:
    """Makes and keeps native signers for the key that signs now; safe to share between threads, and across a fork."""

    def __init__(self, keys: KeySource | KeyRing) -> None:
        """Take one key, or a ring whose current key is asked for at each signature."""
        self._keys = keys
        self._lock = threading.Lock()
        self._made: dict[str | None, tuple[int, KeySource, Any]] = {}
        self._failure = threading.local()

    def get(self, tsa_url: str | None) -> Any:
        """Return this process's native signer with or without a time-stamp address. Raises KeyMaterialError."""
        key = self._keys.current() if isinstance(self._keys, KeyRing) else self._keys
        with self._lock:
            made = self._made.get(tsa_url)
            if made is None or made[0] != os.getpid() or made[1] is not key:  # native objects are dead after a fork
                made = self._made[tsa_url] = (os.getpid(), key, self._make(key, tsa_url))
            return made[2]

    def clear_failure(self) -> None:
        """Forget the last failure of a key in this thread."""
        self._failure.error = None

    def failure(self) -> GuardError | None:
        """Return what the key raised in this thread since ``clear_failure``."""
        error: GuardError | None = getattr(self._failure, "error", None)
        return error

    def _make(self, key: KeySource, tsa_url: str | None) -> Any:
        """Make a native signer: with the key itself where it is in this process anyway, else with a callback."""
        from c2pa import C2paSignerInfo, C2paSigningAlg, Signer

        chain = key.certificate_chain_pem
        if isinstance(key, PEMKeySource):
            tsa = tsa_url.encode() if tsa_url else None  # b"" makes every signature fail
            return Signer.from_info(C2paSignerInfo(key.algorithm.encode(), chain.encode(), key.private_key_pem(), tsa))
        algorithm = C2paSigningAlg[key.algorithm.upper()]
        return Signer.from_callback(functools.partial(self._call, key), algorithm, chain, tsa_url)

    def _call(self, key: KeySource, data: bytes) -> bytes:
        """Ask the key; its error is kept for the caller, who runs in the same thread."""
        try:
            return key.sign(data)
        except GuardError as exc:
            self._failure.error = exc
            raise
