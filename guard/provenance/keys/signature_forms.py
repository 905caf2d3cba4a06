"""Forms of one signature: what COSE wants (r || s) and what tokens and clouds return (DER); digests by algorithm."""

from __future__ import annotations

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from guard.errors import KeyMaterialError, SigningError
from guard.provenance.certificates import ECDSA_SIZES, algorithm_of
from guard.provenance.keys.interfaces import PublicKey

_CURVES: dict[str, ec.EllipticCurve] = {
    "1.2.840.10045.3.1.7": ec.SECP256R1(),
    "1.3.132.0.34": ec.SECP384R1(),
    "1.3.132.0.35": ec.SECP521R1(),
}
"""Curves by object identifier. Source: RFC 5480 section 2.1.1.1."""


def hash_for(algorithm: str) -> hashes.SHA256 | hashes.SHA384 | hashes.SHA512:
    """Return the hash of a C2PA algorithm other than ed25519. Source: RFC 9053 section 2.1, RFC 8230 section 2."""
    if algorithm == "es384":
        return hashes.SHA384()
    return hashes.SHA512() if algorithm == "es512" else hashes.SHA256()


def digest_of(algorithm: str, data: bytes) -> bytes:
    """Return the digest that a token or cloud signs for ``algorithm``."""
    digest = hashes.Hash(hash_for(algorithm))
    digest.update(data)
    return digest.finalize()


def raw_ecdsa(der: bytes, algorithm: str) -> bytes:
    """Return r || s of a DER signature. Raises SigningError when it is none, or too large for the curve."""
    size = ECDSA_SIZES[algorithm]
    try:
        r, s = decode_dss_signature(der)
        return r.to_bytes(size, "big") + s.to_bytes(size, "big")
    except (ValueError, OverflowError) as exc:
        raise SigningError(
            f"The key service answered {len(der)} bytes that are no {algorithm} signature in DER.",
            next_step="Check that the configured key has the algorithm of its certificate.",
        ) from exc


def der_ecdsa(raw: bytes) -> bytes:
    """Return the DER form (as certificates and requests carry it) of r || s."""
    half = len(raw) // 2
    return encode_dss_signature(int.from_bytes(raw[:half], "big"), int.from_bytes(raw[half:], "big"))


def algorithm_name(key: PublicKey) -> str:
    """Return the C2PA name of a key's algorithm. Raises KeyMaterialError."""
    return algorithm_of(key)[0]


def curve_by_oid(oid: str) -> ec.EllipticCurve:
    """Return the curve with an object identifier. Raises KeyMaterialError for one that C2PA does not know."""
    curve = _CURVES.get(oid)
    if curve is None:
        raise KeyMaterialError(f"The token's key is on the curve {oid}; expected P-256, P-384 or P-521.")
    return curve
