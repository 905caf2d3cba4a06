"""What a key that stays elsewhere offers, whatever holds it; one file per holder beside this one.

``CallbackKeySource`` (guard/provenance/key_source.py) turns any ``KeyHandle`` and a certificate chain into a
``KeySource`` and checks every signature against the chain, so a holder needs no checks of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

PublicKey = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey
DEFAULT_DEADLINE_S = 5.0
"""Longest wait for one signature: cloud services answer in 20-200 ms; a request that waits longer is better refused."""


class KeyHandle(Protocol):
    """A private key that may be used but not read."""

    def public_key(self) -> PublicKey:
        """Return its public half. Raises SigningError, KeyMaterialError."""
        ...

    def sign(self, data: bytes) -> bytes:
        """Return the raw signature (ECDSA: r || s, RSA: PSS) over ``data``. Raises SigningError."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyAccess:
    """What this process needs to reach keys that are elsewhere.

    Attributes:
        deadline_s: longest time for one signature, all retries included, > 0.
        passphrase: gives the PIN of a token, or the passphrase of an encrypted key; None when there is none.
        ca_file: PEM, who vouches for a signing service.
        certificate_file: PEM, this front end's own certificate for a signing service.
        key_file: its private key.
    """

    deadline_s: float = DEFAULT_DEADLINE_S
    passphrase: Callable[[], bytes] | None = field(default=None, repr=False)
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
