"""Reading and checking X.509 chains for claim signing: which algorithm, whose, how long, and is it usable at all.

c2pa-rs says only "signature error" for most mistakes in a chain, at the first signature; these checks say what is wrong
when the key is loaded. What is accepted follows the measured behaviour of c2pa-rs 0.91.3 (docs/provenance.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from guard.errors import KeyMaterialError
from guard.provenance.trust import CLAIM_SIGNING_EKU, DOCUMENT_SIGNING_EKU

ECDSA_SIZES = {"es256": 32, "es384": 48, "es512": 66}
"""Bytes of r and of s. Source: RFC 9053 section 2.1."""
_CURVES = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}
_HASHES: dict[str, hashes.HashAlgorithm] = {
    "es256": hashes.SHA256(),
    "es384": hashes.SHA384(),
    "es512": hashes.SHA512(),
    "ps256": hashes.SHA256(),
}
_MIN_RSA_BITS = 2048
"""C2PA 2.4 section 14.5.1: RSA moduli of 2048 bits and more."""
ACCEPTED_EKUS = frozenset({ExtendedKeyUsageOID.EMAIL_PROTECTION.dotted_string, CLAIM_SIGNING_EKU, DOCUMENT_SIGNING_EKU})


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningChain:
    """A checked certificate chain of a claim signer.

    Attributes:
        pem: leaf first, then intermediates, without the root.
        algorithm: C2PA name of the leaf's algorithm: es256, es384, es512, ps256 or ed25519.
        signature_bytes: length of a raw signature by the leaf's key.
        subject: the leaf's name, RFC 4514.
        not_before: begin of the leaf's validity, UTC.
        not_after: its end.
    """

    pem: str
    algorithm: str
    signature_bytes: int
    subject: str
    not_before: datetime
    not_after: datetime

    def verify(self, signature: bytes, data: bytes) -> None:
        """Check a raw signature over ``data`` against the leaf. Raises KeyMaterialError when it does not fit."""
        if len(signature) != self.signature_bytes:
            der = self.algorithm in ECDSA_SIZES and signature[:1] == b"\x30"
            raise KeyMaterialError(
                f"The key gave {len(signature)} bytes{' (a DER signature)' if der else ''}; "
                f"expected {self.signature_bytes} for {self.algorithm}.",
                next_step="Return the raw signature; for ECDSA r || s, each of fixed length (RFC 9053 section 2.1).",
            )
        key = x509.load_pem_x509_certificates(self.pem.encode("ascii"))[0].public_key()
        try:
            _verify(key, self.algorithm, signature, data)
        except InvalidSignature as exc:
            raise KeyMaterialError(
                f"The key's signature does not verify with the certificate of {self.subject}.",
                next_step="Configure the private key that belongs to the first certificate of the chain.",
            ) from exc


def signing_chain(pem: str, *, now: datetime) -> SigningChain:
    """Parse and check a chain.

    Args:
        pem: leaf first, then intermediates.
        now: time at which the leaf has to be valid, timezone-aware.

    Raises:
        KeyMaterialError: unreadable, out of order, expired, wrong usage, or an algorithm C2PA does not know.
    """
    try:
        certificates = x509.load_pem_x509_certificates(pem.encode("ascii"))
        leaf = certificates[0]
        algorithm, size = algorithm_of(leaf.public_key())
        _check_leaf(leaf, now=now)
    except (ValueError, UnicodeEncodeError, x509.ExtensionNotFound) as exc:
        raise KeyMaterialError(f"The certificate chain cannot be used for claim signing: {exc}.") from exc
    for below, above in pairwise(certificates):
        if below.issuer != above.subject:
            raise KeyMaterialError(
                f"The chain is out of order: {name_of(below)} was issued by {below.issuer.rfc4514_string()}, "
                f"but {name_of(above)} follows.",
                next_step="Order the chain leaf first, each certificate followed by its issuer; leave the root out.",
            )
    return SigningChain(
        pem=pem,
        algorithm=algorithm,
        signature_bytes=size,
        subject=name_of(leaf),
        not_before=leaf.not_valid_before_utc,
        not_after=leaf.not_valid_after_utc,
    )


def algorithm_of(key: object) -> tuple[str, int]:
    """Return (C2PA algorithm name, bytes of a raw signature) of a public key. Raises KeyMaterialError."""
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _CURVES:
        algorithm = _CURVES[key.curve.name]
        return algorithm, 2 * ECDSA_SIZES[algorithm]
    if isinstance(key, ed25519.Ed25519PublicKey):
        return "ed25519", 64
    if isinstance(key, rsa.RSAPublicKey) and key.key_size >= _MIN_RSA_BITS:
        return "ps256", (key.key_size + 7) // 8
    raise KeyMaterialError(
        f"The key is a {type(key).__name__}; expected EC P-256, P-384 or P-521, Ed25519, or RSA of 2048 bits and more."
    )


def name_of(certificate: x509.Certificate) -> str:
    """Return the common name of a certificate, else its whole name."""
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if names else certificate.subject.rfc4514_string()


def _check_leaf(leaf: x509.Certificate, *, now: datetime) -> None:
    """Raise KeyMaterialError or ExtensionNotFound when c2pa-rs would refuse to sign with this leaf."""
    if not leaf.not_valid_before_utc <= now <= leaf.not_valid_after_utc:
        raise KeyMaterialError(
            f"The certificate of {name_of(leaf)} is valid from {leaf.not_valid_before_utc:%Y-%m-%d %H:%M} to "
            f"{leaf.not_valid_after_utc:%Y-%m-%d %H:%M} UTC; it is {now:%Y-%m-%d %H:%M}.",
            next_step="Renew the certificate; for development, make a new key folder with `signet keys init`.",
        )
    usage = leaf.extensions.get_extension_for_class(x509.KeyUsage).value
    purposes = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    if not usage.digital_signature or usage.key_cert_sign:
        raise KeyMaterialError(
            f"The certificate of {name_of(leaf)} is not for signatures; expected digitalSignature, no keyCertSign."
        )
    if not any(isinstance(extension.value, x509.AuthorityKeyIdentifier) for extension in leaf.extensions):
        raise KeyMaterialError(f"The certificate of {name_of(leaf)} has no authority key identifier; C2PA requires it.")
    if not ACCEPTED_EKUS & {purpose.dotted_string for purpose in purposes}:
        raise KeyMaterialError(
            f"The certificate of {name_of(leaf)} has no extended key usage that C2PA accepts; expected "
            "c2pa-kp-claimSigning, emailProtection or documentSigning."
        )


def _verify(key: object, algorithm: str, signature: bytes, data: bytes) -> None:
    """Verify a raw signature. Raises InvalidSignature."""
    if isinstance(key, ec.EllipticCurvePublicKey):
        half = ECDSA_SIZES[algorithm]
        r, s = int.from_bytes(signature[:half], "big"), int.from_bytes(signature[half:], "big")
        key.verify(encode_dss_signature(r, s), data, ec.ECDSA(_HASHES[algorithm]))
    elif isinstance(key, ed25519.Ed25519PublicKey):
        key.verify(signature, data)
    elif isinstance(key, rsa.RSAPublicKey):
        digest = _HASHES[algorithm]
        key.verify(signature, data, padding.PSS(padding.MGF1(digest), digest.digest_size), digest)
