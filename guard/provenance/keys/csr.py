"""Certificate signing requests, for keys in files and for keys that never leave their holder.

``cryptography`` signs a request with anything that implements its abstract private key, so a key elsewhere needs only a
thin adapter; nothing of the request is put together by hand.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, NoReturn

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from guard.errors import KeyMaterialError
from guard.provenance.issuing import PrivateKey, signing_usage
from guard.provenance.keys.interfaces import KeyHandle, PublicKey
from guard.provenance.keys.signature_forms import algorithm_name, der_ecdsa, hash_for
from guard.provenance.trust import CLAIM_SIGNING_EKU

RSA_BITS = 3072
"""For new RSA keys: 128 bits of security (NIST SP 800-57 part 1, table 2); C2PA wants 2048 and more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestSubject:
    """Whom a certificate is asked for.

    Attributes:
        organisation: legal name, 1 to 64 characters.
        common_name: name shown as the signer, 1 to 64 characters.
        country: ISO 3166 code, or empty.
    """

    organisation: str
    common_name: str
    country: str = ""

    def name(self) -> x509.Name:
        """Return the X.509 name. Raises KeyMaterialError."""
        for text in (self.organisation, self.common_name):
            if not 1 <= len(text) <= 64 or not text.isprintable():
                raise KeyMaterialError(f"The name {text[:70]!r} cannot be used; expected 1 to 64 printable characters.")
        if self.country and not re.fullmatch(r"[A-Z]{2}", self.country):
            raise KeyMaterialError(f"The country {self.country!r} cannot be used; expected a code as DE or US.")
        country = [x509.NameAttribute(NameOID.COUNTRY_NAME, self.country)] if self.country else []
        return x509.Name(
            [
                *country,
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, self.organisation),
                x509.NameAttribute(NameOID.COMMON_NAME, self.common_name),
            ]
        )


def new_private_key(algorithm: str) -> PrivateKey:
    """Make a private key for es256, es384, es512, ps256 or ed25519. Raises KeyMaterialError for another name."""
    curves: dict[str, ec.EllipticCurve] = {"es256": ec.SECP256R1(), "es384": ec.SECP384R1(), "es512": ec.SECP521R1()}
    if algorithm in curves:
        return ec.generate_private_key(curves[algorithm])
    if algorithm == "ps256":
        return rsa.generate_private_key(65537, RSA_BITS)
    if algorithm == "ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    raise KeyMaterialError(f"The algorithm {algorithm!r} is not one of {', '.join(curves)}, ps256, ed25519.")


def build_request(subject: RequestSubject, *, key: PrivateKey | KeyHandle) -> bytes:
    """Return a PEM request for a claim-signing certificate.

    Args:
        subject: whom it is for.
        key: a private key, or a handle of one that is elsewhere.

    Raises:
        KeyMaterialError: the subject or the key cannot be used.
        SigningError: the key elsewhere failed.

    Source: C2PA 2.4 section 14.5 and the C2PA certificate policy: digitalSignature, c2pa-kp-claimSigning; beside it
    emailProtection for validators that know no other usage. Authorities decide on the extensions; ours are a wish.
    """
    purposes = [ExtendedKeyUsageOID.EMAIL_PROTECTION, ObjectIdentifier(CLAIM_SIGNING_EKU)]
    builder = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(subject.name())
        .add_extension(signing_usage(), critical=True)
        .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    )
    private = key if isinstance(key, PrivateKey) else _adapted(key)
    algorithm = algorithm_name(private.public_key())
    if algorithm == "ed25519":
        request = builder.sign(private, None)
    elif algorithm == "ps256":  # the one scheme that keys for C2PA are allowed for
        pss = padding.PSS(padding.MGF1(hash_for(algorithm)), hash_for(algorithm).digest_size)
        request = builder.sign(private, hash_for(algorithm), rsa_padding=pss)
    else:
        request = builder.sign(private, hash_for(algorithm))
    return request.public_bytes(serialization.Encoding.PEM)


def _adapted(handle: KeyHandle) -> PrivateKey:
    """Return a handle as a private key that can sign and nothing else."""
    public = handle.public_key()
    if isinstance(public, ec.EllipticCurvePublicKey):
        return _HeldECKey(handle, public)
    if isinstance(public, rsa.RSAPublicKey):
        return _HeldRSAKey(handle, public)
    return _HeldEd25519Key(handle, public)


class _Held:
    """What the three adapters share."""

    def __init__(self, handle: KeyHandle, public: PublicKey) -> None:
        self._handle = handle
        self._public = public

    def public_key(self) -> Any:
        return self._public

    @property
    def key_size(self) -> int:
        return int(getattr(self._public, "key_size", 256))

    def private_bytes(self, *args: object, **kwargs: object) -> NoReturn:
        raise KeyMaterialError("The private key is elsewhere and cannot be read.")

    private_bytes_raw = private_numbers = exchange = decrypt = private_bytes

    def __copy__(self) -> Any:
        return self

    def __deepcopy__(self, memo: dict[Any, Any]) -> Any:
        return self


class _HeldECKey(_Held, ec.EllipticCurvePrivateKey):
    """An EC key elsewhere."""

    @property
    def curve(self) -> ec.EllipticCurve:
        curve: ec.EllipticCurve = self._public.curve  # type: ignore[union-attr]
        return curve

    def sign(self, data: Any, signature_algorithm: object) -> bytes:
        return der_ecdsa(self._handle.sign(bytes(data)))


class _HeldRSAKey(_Held, rsa.RSAPrivateKey):
    """An RSA key elsewhere; its handle signs with PSS."""

    def sign(self, data: Any, padding: object, algorithm: object) -> bytes:
        return self._handle.sign(bytes(data))


class _HeldEd25519Key(_Held, ed25519.Ed25519PrivateKey):
    """An Ed25519 key elsewhere."""

    def sign(self, data: Any) -> bytes:
        return self._handle.sign(bytes(data))


def request_fits(request_pem: bytes, leaf: x509.Certificate) -> bool:
    """Return whether a certificate was issued for the key of a request. Raises KeyMaterialError."""
    try:
        request = x509.load_pem_x509_csr(request_pem)
    except ValueError as exc:
        raise KeyMaterialError("request.pem cannot be read as a certificate signing request.") from exc
    return _spki(request.public_key()) == _spki(leaf.public_key())


def _spki(key: Any) -> bytes:
    return bytes(key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo))
