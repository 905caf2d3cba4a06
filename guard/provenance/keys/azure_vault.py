"""A signing key version in Azure Key Vault or a Managed HSM; the digest goes there, r || s comes back.

Source: Azure Key Vault REST reference, "Sign" (ES256, ES384, ES512, PS256; no Ed25519) and "Get Key" (JSON Web Key).
"""

from __future__ import annotations

from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, rsa

from guard.errors import ConfigError, KeyMaterialError, SigningError
from guard.provenance.keys.interfaces import KeyAccess, PublicKey
from guard.provenance.keys.reference import AzureReference
from guard.provenance.keys.signature_forms import algorithm_name, digest_of

_CURVES: dict[str, ec.EllipticCurve] = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1()}


class AzureVaultKey:
    """``KeyHandle`` over azure-keyvault-keys."""

    def __init__(self, reference: AzureReference, *, client: Any) -> None:
        """Take a ``KeyClient``; see ``open_client``."""
        self._reference = reference
        self._client = client
        self._algorithm: str | None = None

    def public_key(self) -> PublicKey:
        """Return the key's public half. Raises SigningError, KeyMaterialError."""
        name, version = self._reference.name, self._reference.version
        return _public_key(self._call(lambda: self._client.get_key(name, version)).key)

    def sign(self, data: bytes) -> bytes:
        """Return the raw signature. Raises SigningError, KeyMaterialError."""
        from azure.keyvault.keys.crypto import SignatureAlgorithm

        if self._algorithm is None:
            self._algorithm = algorithm_name(self.public_key())
        algorithm = SignatureAlgorithm(self._algorithm.upper())
        digest = digest_of(self._algorithm, data)
        name, version = self._reference.name, self._reference.version
        signer = self._client.get_cryptography_client(name, key_version=version)
        return bytes(self._call(lambda: signer.sign(algorithm, digest)).signature)

    def _call(self, ask: Any) -> Any:
        """Ask the vault. Raises SigningError."""
        from azure.core.exceptions import AzureError

        try:
            return ask()
        except (AzureError, ValueError, NotImplementedError) as exc:
            raise SigningError(
                f"Azure Key Vault failed for {self._reference.name}: {type(exc).__name__}.",
                next_step="Check network, the key version's state, and the role Key Vault Crypto User (sign, get).",
            ) from exc


def open_client(reference: AzureReference, *, access: KeyAccess) -> Any:
    """Return a KeyClient; credentials are Azure's default ones. Raises ConfigError."""
    try:
        from azure.identity import DefaultAzureCredential
        from azure.keyvault.keys import KeyClient
    except ImportError as exc:
        raise ConfigError(
            "azure-keyvault-keys and azure-identity are not installed.",
            next_step="pip install 'signet-gateway[azure]'",
        ) from exc
    timeout_s = access.deadline_s / 2
    return KeyClient(
        reference.vault_url,
        DefaultAzureCredential(),
        connection_timeout=timeout_s,
        read_timeout=timeout_s,
        retry_total=1,
    )


def _public_key(jwk: Any) -> PublicKey:
    """Return the public half of a JSON Web Key. Source: RFC 7518 sections 6.2.1 and 6.3.1. Raises KeyMaterialError."""
    kind = str(getattr(jwk.kty, "value", jwk.kty))
    if kind.startswith("RSA"):
        return rsa.RSAPublicNumbers(int.from_bytes(jwk.e, "big"), int.from_bytes(jwk.n, "big")).public_key()
    curve = _CURVES.get(str(getattr(jwk.crv, "value", jwk.crv)))
    if not kind.startswith("EC") or curve is None:
        raise KeyMaterialError(f"The vault's key is {kind} {jwk.crv}; expected EC P-256, P-384, P-521, or RSA.")
    return ec.EllipticCurvePublicNumbers(int.from_bytes(jwk.x, "big"), int.from_bytes(jwk.y, "big"), curve).public_key()
