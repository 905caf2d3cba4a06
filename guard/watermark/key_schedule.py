"""From one 32-byte master secret to everything secret in a mark; no key is in code, no key is shown.

Two levels, so that reading with many keys costs little: *which* spectral lines are lit depends on the master secret
alone (one geometry search serves every key); pilot phases, scrambling and pad depend on tenant and period too. Knowing
one tenant's period key does not help with another's.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from guard.errors import KeyMaterialError

MIN_MASTER_BYTES = 32
"""256 bits: the output length of the SHA-256 that derives everything else. Source: RFC 5869 section 3.1."""
_SALT = b"signet-gateway lattice v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyName:
    """Which key of the pool: one tenant's in one period (any text the operator uses, such as ``2026-11``)."""

    tenant: str
    period: str


FIRST_KEY = KeyName(tenant="local", period="1")
"""What an installation writes with until it names a period; always read, so that no early mark is lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySchedule:
    """The derived root of all mark keys (32 bytes, never printed)."""

    root: bytes = field(repr=False)

    @classmethod
    def from_master(cls, master_key: object) -> KeySchedule:
        """Extract the root from a master secret of at least 32 bytes.

        Raises:
            KeyMaterialError: the secret is shorter, or not bytes.

        Source: RFC 5869 section 2.2 (HKDF-Extract with HMAC-SHA-256).
        """
        if not isinstance(master_key, bytes) or len(master_key) < MIN_MASTER_BYTES:
            got = f"{len(master_key)} bytes" if isinstance(master_key, bytes) else type(master_key).__name__
            raise KeyMaterialError(
                f"The watermark master key has {got}; at least {MIN_MASTER_BYTES} random bytes are needed.",
                next_step="Make one with `signet keys init`, or with `openssl rand 32`.",
            )
        return cls(root=hmac.new(_SALT, master_key, hashlib.sha256).digest())

    def lattice_stream(self) -> KeyStream:
        """Return the stream that chooses the lit lines; the same for every tenant and period."""
        return KeyStream(self._expand(b"lattice"))

    def chip_stream(self, name: KeyName) -> KeyStream:
        """Return the stream behind pilot phases, scrambling and pad of one tenant and period."""
        tenant, period = name.tenant.encode(), name.period.encode()
        lengths = len(tenant).to_bytes(4, "big") + len(period).to_bytes(4, "big")
        return KeyStream(self._expand(b"chips" + lengths + tenant + period))

    def _expand(self, info: bytes) -> bytes:
        """Return 32 bytes bound to ``info`` (RFC 5869 section 2.3, one block)."""
        return hmac.new(self.root, info + b"\x01", hashlib.sha256).digest()


class KeyStream:
    """Deterministic draws from SHAKE-256(seed); the same on every platform and numpy version, for ever.

    numpy's own generators are not used because their streams may change between versions (NEP 19).
    """

    def __init__(self, seed: bytes) -> None:
        self._seed = seed
        self._draws = 0

    def words(self, count: int) -> NDArray[np.uint64]:
        """Return ``count`` uniform 64-bit words; every call gives new ones."""
        block = hashlib.shake_256(self._seed + self._draws.to_bytes(8, "big")).digest(8 * count)
        self._draws += 1
        return np.frombuffer(block, dtype=">u8").astype(np.uint64)

    def bits(self, count: int) -> NDArray[np.uint8]:
        """Return ``count`` uniform bits."""
        return (self.words(count) >> np.uint64(63)).astype(np.uint8)

    def quadrants(self, count: int) -> NDArray[np.int64]:
        """Return ``count`` uniform integers 0..3."""
        return (self.words(count) >> np.uint64(62)).astype(np.int64)

    def permutation(self, count: int) -> NDArray[np.int64]:
        """Return a uniform permutation of 0..count-1 (sort by 64-bit words; ties have probability < 2**-40)."""
        return np.argsort(self.words(count), kind="stable")
