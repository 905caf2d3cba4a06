"""A local development CA: what ``signet keys init`` makes so that the whole flow works on a fresh machine.

root -> intermediate -> claim-signing leaf (ES256), an Ed25519 ledger key and a watermark master key. All names say
"DEVELOPMENT - not for production". The root's private key is thrown away once the intermediate is signed, so that an
imported development root cannot be used to issue anything else.

Source: the leaf follows the C2PA certificate profile (2.4 section 14.5: v3, digitalSignature, AKI, an accepted EKU) and
assurance level 1 of the conformance programme (at most 366 days).
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from guard.errors import KeyMaterialError
from guard.provenance import keys_folder as layout
from guard.provenance.keys_folder import KeyInfo, list_keys
from guard.provenance.trust import CLAIM_SIGNING_EKU

ORGANISATION = "DEVELOPMENT - not for production"
LEAF_DAYS = 365
INTERMEDIATE_DAYS = 5 * 365
ROOT_DAYS = 10 * 365
_BACKDATE = timedelta(minutes=5)
"""Certificates begin this much earlier: clocks of signer and reader differ by minutes at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeysSummary:
    """What ``init_development_keys`` made.

    Attributes:
        folder: the new key folder.
        files: its files, relative, sorted.
        keys: fact sheets of the certificates and keys.
    """

    folder: Path
    files: tuple[str, ...]
    keys: tuple[KeyInfo, ...]


def init_development_keys(folder: Path, *, now: datetime) -> KeysSummary:
    """Make a complete development key folder; all of it or nothing.

    Args:
        folder: must not exist, or be empty.
        now: start of validity, timezone-aware.

    Raises:
        KeyMaterialError: the folder exists and is not empty, or cannot be written.
    """
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise KeyMaterialError(
                f"{folder} exists and is not empty; keys are never overwritten.",
                next_step="Choose another folder, or move this one away; old marks can only be verified with its keys.",
            )
        folder.parent.mkdir(parents=True, exist_ok=True)
        part = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.partial")
        part.mkdir(mode=0o700)
        try:
            for name, (content, secret) in _contents(now).items():
                _write(part / name, content, secret=secret)
            if folder.exists():
                folder.rmdir()  # empty; Windows does not rename onto it
            part.rename(folder)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise
    except OSError as exc:
        raise KeyMaterialError(f"{folder} cannot be written: {exc.strerror or exc}.") from exc
    files = sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())
    return KeysSummary(folder=folder, files=tuple(files), keys=list_keys(folder, now=now))


def _contents(now: datetime) -> dict[str, tuple[bytes, bool]]:
    """Make all keys and return file name -> (content, secret)."""
    tag = secrets.token_hex(4)
    root_key, intermediate_key, leaf_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
    ledger_key = ed25519.Ed25519PrivateKey.generate()
    root_name = _name(f"Signet development root {tag}")
    intermediate_name = _name(f"Signet development intermediate {tag}")
    root = _authority(
        root_name, root_key, issuer=root_name, issuer_key=root_key, path_length=1, now=now, days=ROOT_DAYS
    )
    intermediate = _authority(
        intermediate_name,
        intermediate_key,
        issuer=root_name,
        issuer_key=root_key,
        path_length=0,
        now=now,
        days=INTERMEDIATE_DAYS,
    )
    leaf = issue_leaf(
        leaf_key.public_key(),
        common_name=f"Signet development claim signer {tag}",
        issuer=intermediate,
        issuer_key=intermediate_key,
        not_before=now - _BACKDATE,
        not_after=now + timedelta(days=LEAF_DAYS),
    )
    described = {
        "version": layout.FORMAT_VERSION,
        "environment": layout.DEVELOPMENT,
        "created": now.astimezone(UTC).isoformat(timespec="seconds"),
        "warning": f"{ORGANISATION}: signatures made with these keys prove nothing to anybody else.",
    }
    return {
        layout.DESCRIPTION: (json.dumps(described, indent=2).encode() + b"\n", False),
        layout.SIGNER_CHAIN: (_pem(leaf) + _pem(intermediate), False),
        layout.SIGNER_KEY: (_private_pem(leaf_key), True),
        layout.MANIFEST_ANCHORS: (_pem(root), False),
        layout.LEDGER_PRIVATE: (_private_pem(ledger_key), True),
        layout.LEDGER_PUBLIC: (_public_pem(ledger_key), False),
        layout.WATERMARK_MASTER: (secrets.token_bytes(layout.MASTER_KEY_BYTES).hex().encode() + b"\n", True),
        "ca/intermediate.pem": (_pem(intermediate), False),
        "ca/intermediate.key.pem": (_private_pem(intermediate_key), True),
    }


def issue_leaf(
    public_key: ec.EllipticCurvePublicKey,
    *,
    common_name: str,
    issuer: x509.Certificate,
    issuer_key: ec.EllipticCurvePrivateKey,
    not_before: datetime,
    not_after: datetime,
) -> x509.Certificate:
    """Issue a claim-signing certificate with emailProtection and c2pa-kp-claimSigning.

    c2pa-rs accepts claimSigning alone only where it is named in ``trust_config``; emailProtection beside it makes the
    development files verify in other tools with nothing but the root configured.
    """
    purposes = [ExtendedKeyUsageOID.EMAIL_PROTECTION, ObjectIdentifier(CLAIM_SIGNING_EKU)]
    return (
        _builder(_name(common_name), public_key, issuer=issuer.subject, not_before=not_before, not_after=not_after)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(sign=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
        .sign(issuer_key, hashes.SHA256())
    )


def _authority(
    subject: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    *,
    issuer: x509.Name,
    issuer_key: ec.EllipticCurvePrivateKey,
    path_length: int,
    now: datetime,
    days: int,
) -> x509.Certificate:
    """Issue a CA certificate."""
    return (
        _builder(
            subject,
            key.public_key(),
            issuer=issuer,
            not_before=now - _BACKDATE,
            not_after=now + timedelta(days=days),
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
        .add_extension(_key_usage(sign=False), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
        .sign(issuer_key, hashes.SHA256())
    )


def _builder(
    subject: x509.Name,
    public_key: ec.EllipticCurvePublicKey,
    *,
    issuer: x509.Name,
    not_before: datetime,
    not_after: datetime,
) -> x509.CertificateBuilder:
    """Return what all certificates share."""
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_after)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def _key_usage(*, sign: bool) -> x509.KeyUsage:
    """Return the key usage of a leaf (``sign``) or of an authority."""
    return x509.KeyUsage(
        digital_signature=sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=not sign,
        crl_sign=not sign,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common_name: str) -> x509.Name:
    """Return a name that says what it is."""
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, ORGANISATION),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _private_pem(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _public_pem(key: ed25519.Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def _write(path: Path, content: bytes, *, secret: bool) -> None:
    """Create a file that did not exist, with its mode from the first instant on."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if secret else 0o644)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
