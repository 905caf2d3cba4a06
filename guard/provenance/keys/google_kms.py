"""A signing key version in Google Cloud KMS; the digest goes there with its CRC-32C, the signature comes back with one.

Source: Cloud KMS documentation, "Create and validate signatures" and "Verifying end-to-end data integrity": a client
checks ``verified_digest_crc32c``, the echoed name and ``signature_crc32c``, and repeats or fails otherwise.
"""

from __future__ import annotations

from typing import Any

from cryptography.hazmat.primitives.serialization import load_pem_public_key

from guard.errors import ConfigError, KeyMaterialError, SigningError
from guard.provenance.keys.interfaces import KeyAccess, PublicKey
from guard.provenance.keys.reference import GoogleReference
from guard.provenance.keys.signature_forms import algorithm_name, digest_of, hash_for, raw_ecdsa

_CASTAGNOLI = 0x82F63B78
"""CRC-32C polynomial, reflected. Source: RFC 3385 section 4."""


class GoogleKMSKey:
    """``KeyHandle`` over google-cloud-kms; its client may be shared between threads."""

    def __init__(self, reference: GoogleReference, *, client: Any, deadline_s: float) -> None:
        """Take a ``KeyManagementServiceClient``; see ``open_client``."""
        self._name = reference.name
        self._client = client
        self._deadline_s = deadline_s
        self._algorithm: str | None = None

    def public_key(self) -> PublicKey:
        """Return the key's public half. Raises SigningError, KeyMaterialError."""
        answer = self._call("get_public_key", {"name": self._name})
        try:
            key = load_pem_public_key(answer.pem.encode("ascii"))
        except ValueError as exc:
            raise KeyMaterialError(f"{self._name} has no public key that can be read; expected a signing key.") from exc
        if not isinstance(key, PublicKey):
            raise KeyMaterialError(f"{self._name} is a {type(key).__name__}; expected an EC, Ed25519 or RSA key.")
        return key

    def sign(self, data: bytes) -> bytes:
        """Return the raw signature. Raises SigningError, KeyMaterialError."""
        if self._algorithm is None:
            self._algorithm = algorithm_name(self.public_key())
        if self._algorithm == "ed25519":
            request: dict[str, Any] = {"name": self._name, "data": data, "data_crc32c": {"value": crc32c(data)}}
        else:
            digest = digest_of(self._algorithm, data)
            request = {
                "name": self._name,
                "digest": {hash_for(self._algorithm).name: digest},
                "digest_crc32c": {"value": crc32c(digest)},
            }
        answer = self._call("asymmetric_sign", request)
        signature = bytes(answer.signature)
        arrived = answer.verified_data_crc32c if "data" in request else answer.verified_digest_crc32c
        if not arrived or answer.name != self._name or answer.signature_crc32c != crc32c(signature):
            raise SigningError(
                f"The answer of Google Cloud KMS for {self._name} was damaged on its way.",
                next_step="Try again; if it persists, look for a proxy in between.",
            )
        return raw_ecdsa(signature, self._algorithm) if self._algorithm.startswith("es") else signature

    def _call(self, operation: str, request: dict[str, Any]) -> Any:
        """Ask KMS. Raises SigningError."""
        from google.api_core.exceptions import GoogleAPIError, ServiceUnavailable
        from google.api_core.retry import Retry, if_exception_type
        from google.auth.exceptions import GoogleAuthError

        # the client's own rule would try again for 60 s, whatever the timeout of one attempt (measured)
        retry = Retry(predicate=if_exception_type(ServiceUnavailable), initial=0.05, timeout=self._deadline_s)
        try:
            return getattr(self._client, operation)(request=request, timeout=self._deadline_s, retry=retry)
        except (GoogleAPIError, GoogleAuthError) as exc:
            raise SigningError(
                f"Google Cloud KMS failed on {operation} for {self._name}: {type(exc).__name__}.",
                next_step="Check network, the key version's state, and the role cloudkms.signerVerifier.",
            ) from exc


def open_client(*, access: KeyAccess) -> Any:
    """Return a KMS client; credentials are the application default ones. Raises ConfigError."""
    try:
        from google.auth.exceptions import GoogleAuthError
        from google.cloud import kms_v1
    except ImportError as exc:
        raise ConfigError("google-cloud-kms is not installed.", next_step="pip install 'signet-gateway[gcp]'") from exc
    try:
        return kms_v1.KeyManagementServiceClient()
    except GoogleAuthError as exc:
        raise ConfigError(
            f"There are no Google credentials on this machine (asked within {access.deadline_s:g} s).",
            next_step="Set GOOGLE_APPLICATION_CREDENTIALS, or run where a service account is attached.",
        ) from exc


def crc32c(data: bytes) -> int:
    """Return the CRC-32C of some bytes; they are digests and signatures, so bit by bit is fast enough."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (_CASTAGNOLI if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF
