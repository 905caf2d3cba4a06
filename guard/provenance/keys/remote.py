"""A signing key behind a signing service, reached by HTTP over mutual TLS; the service's side is signing_service.py.

Protocol, version 1 (all bodies JSON)::

    GET  /v1/keys/ID         -> {"version": 1, "id", "algorithm", "certificate_chain_pem"}
    POST /v1/keys/ID/sign    {"version": 1, "data": BASE64}  ->  {"version": 1, "signature": BASE64}
    any error                -> {"error": TEXT}

Both ends show a certificate of the operator's own CA (TLS 1.3 only). The whole data go over, not a digest, so that the
service can refuse whatever is not a C2PA signature structure.

Retry rule: making a signature changes nothing, so a connection that is refused, reset or closed early, and an answer
503, are tried again after 0.05 and 0.2 s, all within the one deadline. Anything else fails at once.
"""

from __future__ import annotations

import base64
import binascii
import json
import ssl
import time
from typing import Any

from cryptography import x509

from guard.errors import KeyMaterialError, SigningError
from guard.provenance.http_exchange import Answer, exchange
from guard.provenance.keys.interfaces import KeyAccess, PublicKey
from guard.provenance.keys.reference import ServiceReference

PROTOCOL_VERSION = 1
MAX_ANSWER_BYTES = 64 * 1024
"""Largest answer: a chain of ten certificates has 20 kB."""
_PAUSES_S = (0.05, 0.2)


class RemoteKey:
    """``KeyHandle`` over a signing service."""

    def __init__(self, reference: ServiceReference, *, access: KeyAccess) -> None:
        """Prepare; nothing is sent yet.

        Raises:
            KeyMaterialError: the certificate files for mutual TLS are not configured or cannot be read.
        """
        self._base = f"{reference.url}/v1/keys/{reference.key_id}"
        self._where = reference.url
        self._deadline_s = access.deadline_s
        self._tls = client_context(access)

    def certificate_chain(self) -> str:
        """Return the chain that the service holds for this key. Raises SigningError."""
        answer = self._ask("GET", self._base, b"")
        chain = _fields(answer, self._where).get("certificate_chain_pem")
        if not isinstance(chain, str):
            raise _malformed(self._where)
        return chain

    def public_key(self) -> PublicKey:
        """Return the key of the service's certificate. Raises SigningError, KeyMaterialError."""
        try:
            leaf = x509.load_pem_x509_certificate(self.certificate_chain().encode("ascii"))
        except ValueError as exc:
            raise _malformed(self._where) from exc
        key = leaf.public_key()
        if not isinstance(key, PublicKey):
            raise KeyMaterialError(f"{self._where} holds a {type(key).__name__}; expected an EC, Ed25519 or RSA key.")
        return key

    def sign(self, data: bytes) -> bytes:
        """Return the raw signature. Raises SigningError."""
        body = json.dumps({"version": PROTOCOL_VERSION, "data": base64.b64encode(data).decode("ascii")})
        answer = self._ask("POST", f"{self._base}/sign", body.encode("ascii"))
        try:
            return base64.b64decode(str(_fields(answer, self._where)["signature"]), validate=True)
        except (KeyError, binascii.Error, ValueError) as exc:
            raise _malformed(self._where) from exc

    def _ask(self, method: str, url: str, body: bytes) -> Answer:
        """Send a request, again after a failure that a repetition can heal. Raises SigningError."""
        ends = time.monotonic() + self._deadline_s
        for pause_s in (*_PAUSES_S, None):
            left_s = ends - time.monotonic()
            try:
                if left_s <= 0:
                    raise TimeoutError
                headers = {"Content-Type": "application/json", "Accept": "application/json"}
                answer = exchange(
                    url,
                    method=method,
                    body=body,
                    headers=headers,
                    deadline_s=left_s,
                    max_bytes=MAX_ANSWER_BYTES,
                    tls=self._tls,
                )
                if answer.status != 503 or pause_s is None:
                    return answer
            except TimeoutError as exc:
                raise SigningError(
                    f"The signing service {self._where} did not answer within {self._deadline_s:g} s.",
                    next_step="Check that it runs and is reachable; SIGNET_SIGNER_DEADLINE_S sets the time.",
                ) from exc
            except ssl.SSLError as exc:
                raise _not_accepted(self._where, exc) from exc
            except OSError as exc:
                if pause_s is None:
                    raise SigningError(
                        f"The signing service {self._where} cannot be reached: {exc}.",
                        next_step="Check that it runs (`signet signer serve`) and that no firewall is in between.",
                    ) from exc
            except ValueError as exc:
                raise _malformed(self._where) from exc
            time.sleep(min(pause_s or 0.0, max(ends - time.monotonic(), 0.0)))
        raise AssertionError("unreachable: the last attempt returns or raises")  # pragma: no cover


def client_context(access: KeyAccess) -> ssl.SSLContext:
    """Return TLS settings of a front end: TLS 1.3, the operator's CA only, our own certificate.

    Raises:
        KeyMaterialError: a file is not configured or cannot be used.
    """
    files = (access.ca_file, access.certificate_file, access.key_file)
    if None in files:
        raise KeyMaterialError(
            "A signing service needs mutual TLS, but not all of its files are configured.",
            next_step="Set SIGNET_SIGNER_CA, SIGNET_SIGNER_CERTIFICATE and SIGNET_SIGNER_KEY; "
            "`signet signer init` makes them.",
        )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # checks the host name and wants a certificate
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    try:
        context.load_verify_locations(access.ca_file)
        # without a password, OpenSSL would ask for that of an encrypted key on the terminal, and wait
        context.load_cert_chain(
            str(access.certificate_file), str(access.key_file), password=access.passphrase or (lambda: b"")
        )
    except (OSError, ssl.SSLError) as exc:
        raise KeyMaterialError(
            f"The files for the signing service cannot be used ({', '.join(str(f) for f in files)}): {exc}.",
            next_step="Check that they are PEM and that key and certificate belong together.",
        ) from exc
    return context


def _fields(answer: Answer, where: str) -> dict[str, Any]:
    """Return the fields of a good answer. Raises SigningError with what the service said."""
    try:
        fields = json.loads(answer.body)
    except ValueError as exc:
        raise _malformed(where) from exc
    if not isinstance(fields, dict):
        raise _malformed(where)
    if answer.status != 200:
        said = str(fields.get("error", "no reason"))[:200]
        raise SigningError(
            f"The signing service {where} refused ({answer.status}): {said!r}.",
            next_step="Read the log of the signing service; it names this front end and the reason.",
        )
    if fields.get("version") != PROTOCOL_VERSION:
        raise _malformed(where)
    return fields


def _malformed(where: str) -> SigningError:
    return SigningError(
        f"The signing service {where} gave an answer that is not of protocol version {PROTOCOL_VERSION}.",
        next_step="Check the address, and that both ends run the same major version.",
    )


def _not_accepted(where: str, exc: ssl.SSLError) -> SigningError:
    """Say which end did not accept the other."""
    if isinstance(exc, ssl.SSLCertVerificationError):
        return SigningError(
            f"The signing service {where} showed a certificate that is not accepted: {exc.verify_message}.",
            next_step="Check SIGNET_SIGNER_CA and the host name in the service's certificate.",
        )
    return SigningError(
        f"The signing service {where} did not accept this front end: {exc.reason or exc}.",
        next_step="Check SIGNET_SIGNER_CERTIFICATE; the service must trust its issuer.",
    )
