"""A signed report: a DSSE envelope with Ed25519, verifiable with the operator's public ledger key alone.

Source: DSSE v1.0.2 (secure-systems-lab/dsse, "protocol.md"): the signature covers ``PAE(type, body)``, so a report can
never be taken for a tree head or any other text that the same key signs.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from guard.errors import RequestError, VerificationError

PAYLOAD_TYPE: Final = "application/vnd.signet.robustness+json"
MAX_BYTES: Final = 64 * 1024 * 1024
"""A report of 70 attacks is below 1 MB; what is larger is refused unread."""


def sign_report(report: dict[str, Any], private_key: bytes) -> str:
    """Return the signed report as JSON text.

    Args:
        report: JSON-ready, finite numbers only.
        private_key: 32 raw bytes, Ed25519 seed: the operator's ledger key.
    """
    key = Ed25519PrivateKey.from_private_bytes(private_key)
    body = json.dumps(report, ensure_ascii=False, allow_nan=False, sort_keys=True).encode()
    envelope = {
        "payloadType": PAYLOAD_TYPE,
        "payload": base64.b64encode(body).decode(),
        "signatures": [
            {
                "keyid": _key_id(key.public_key().public_bytes_raw()),
                "sig": base64.b64encode(key.sign(_pae(body))).decode(),
            }
        ],
    }
    return json.dumps(envelope, indent=1) + "\n"


def open_report(text: str, public_key: bytes) -> dict[str, Any]:
    """Return the report of an envelope once its signature by ``public_key`` (32 raw bytes) has been checked.

    Raises:
        RequestError: not such an envelope.
        VerificationError: not signed by this key, or changed since.
    """
    try:
        if len(text) > MAX_BYTES:
            raise ValueError("too large")
        envelope = json.loads(text)
        body = base64.b64decode(envelope["payload"], validate=True)
        signatures = [
            (entry["keyid"], base64.b64decode(entry["sig"], validate=True)) for entry in envelope["signatures"]
        ]
        kind = envelope["payloadType"]
    except (ValueError, KeyError, TypeError, RecursionError, binascii.Error) as exc:
        raise RequestError("This is no signed robustness report.", next_step="Name the .json file of a run.") from exc
    if kind != PAYLOAD_TYPE:
        raise RequestError(f"The envelope holds {kind!r}, not a robustness report.")
    wanted = _key_id(public_key)
    for key_id, signature in signatures:
        if key_id == wanted:
            try:
                Ed25519PublicKey.from_public_bytes(public_key).verify(signature, _pae(body))
            except InvalidSignature as exc:
                raise VerificationError("The report's signature is wrong: it was changed after signing.") from exc
            report: dict[str, Any] = json.loads(body)
            return report
    raise VerificationError(f"The report is not signed by the key {wanted[:16]}.")


def _pae(body: bytes) -> bytes:
    """Return what is signed: DSSE's pre-authentication encoding."""
    kind = PAYLOAD_TYPE.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(body), body)


def _key_id(public_key: bytes) -> str:
    """Return the SHA-256 of the raw public key as hex."""
    return hashlib.sha256(public_key).hexdigest()
