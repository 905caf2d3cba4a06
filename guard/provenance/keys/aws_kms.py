"""A signing key in AWS KMS; the digest goes there, the signature comes back.

Source: AWS KMS API reference, Sign and GetPublicKey (MessageType DIGEST; ECDSA signatures are DER; Ed25519 takes the
message itself, at most 4096 bytes).
"""

from __future__ import annotations

from typing import Any

from cryptography.hazmat.primitives.serialization import load_der_public_key

from guard.errors import ConfigError, KeyMaterialError, SigningError
from guard.provenance.keys.interfaces import KeyAccess, PublicKey
from guard.provenance.keys.reference import AWSReference
from guard.provenance.keys.signature_forms import algorithm_name, digest_of, raw_ecdsa

_ALGORITHMS = {
    "es256": "ECDSA_SHA_256",
    "es384": "ECDSA_SHA_384",
    "es512": "ECDSA_SHA_512",
    "ps256": "RSASSA_PSS_SHA_256",
    "ed25519": "ED25519_SHA_512",
}


class AWSKMSKey:
    """``KeyHandle`` over boto3; its client may be shared between threads."""

    def __init__(self, reference: AWSReference, *, client: Any) -> None:
        """Take a ``boto3.client("kms")``; see ``open_client``."""
        self._key_id = reference.key_id
        self._client = client
        self._algorithm: str | None = None

    def public_key(self) -> PublicKey:
        """Return the key's public half. Raises SigningError, KeyMaterialError."""
        answer = self._call("get_public_key", KeyId=self._key_id)
        if answer.get("KeyUsage") != "SIGN_VERIFY":
            raise KeyMaterialError(
                f"The KMS key {self._key_id} is for {answer.get('KeyUsage')}; expected SIGN_VERIFY.",
                next_step="Make an asymmetric key with usage SIGN_VERIFY (ECC_NIST_P256 fits C2PA best).",
            )
        key = load_der_public_key(answer["PublicKey"])
        if not isinstance(key, PublicKey):
            raise KeyMaterialError(f"The KMS key {self._key_id} is a {type(key).__name__}; expected EC, Ed25519, RSA.")
        return key

    def sign(self, data: bytes) -> bytes:
        """Return the raw signature. Raises SigningError, KeyMaterialError."""
        if self._algorithm is None:
            self._algorithm = algorithm_name(self.public_key())
        raw_message = self._algorithm == "ed25519"
        answer = self._call(
            "sign",
            KeyId=self._key_id,
            Message=data if raw_message else digest_of(self._algorithm, data),
            MessageType="RAW" if raw_message else "DIGEST",
            SigningAlgorithm=_ALGORITHMS[self._algorithm],
        )
        signature = bytes(answer["Signature"])
        return raw_ecdsa(signature, self._algorithm) if self._algorithm.startswith("es") else signature

    def _call(self, operation: str, **arguments: Any) -> Any:
        """Ask KMS. Raises SigningError."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return getattr(self._client, operation)(**arguments)
        except ClientError as exc:
            code = exc.response.get("Error", {}).get("Code", "unknown")
            raise SigningError(
                f"AWS KMS refused {operation} for {self._key_id}: {code}.",
                next_step="Check the key's state and that this role may call kms:Sign and kms:GetPublicKey.",
            ) from exc
        except BotoCoreError as exc:
            raise SigningError(
                f"AWS KMS cannot be reached for {operation}: {type(exc).__name__}.",
                next_step="Check network, region and credentials of this machine.",
            ) from exc


def open_client(reference: AWSReference, *, access: KeyAccess) -> Any:
    """Return a KMS client; credentials come from boto3's usual places. Raises ConfigError."""
    try:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError
    except ImportError as exc:
        raise ConfigError("boto3 is not installed.", next_step="pip install 'signet-gateway[aws]'") from exc
    attempts = 2
    timeout_s = access.deadline_s / attempts
    config = Config(connect_timeout=timeout_s, read_timeout=timeout_s, retries={"total_max_attempts": attempts})
    try:
        return boto3.client("kms", region_name=reference.region, endpoint_url=reference.endpoint, config=config)
    except (BotoCoreError, ValueError) as exc:
        raise ConfigError(
            f"The AWS KMS client cannot be made: {exc}.", next_step="Name the key by its ARN, or set AWS_REGION."
        ) from exc
