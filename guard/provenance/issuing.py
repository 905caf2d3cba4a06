"""Issuing certificates of our own authorities (development CA, mutual TLS) and writing key files that are new."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from guard.errors import KeyMaterialError
from guard.provenance.trust import CLAIM_SIGNING_EKU

DEVELOPMENT_ORGANISATION = "DEVELOPMENT - not for production"
BACKDATE = timedelta(minutes=5)
"""Certificates begin this much earlier: clocks of signer and reader differ by minutes at most."""
PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey


def issue_leaf(
    public_key: ec.EllipticCurvePublicKey,
    *,
    common_name: str,
    issuer: x509.Certificate,
    issuer_key: ec.EllipticCurvePrivateKey,
    not_before: datetime,
    not_after: datetime,
) -> x509.Certificate:
    """Issue a development claim-signing certificate with emailProtection and c2pa-kp-claimSigning.

    c2pa-rs accepts claimSigning alone only where it is named in ``trust_config``; emailProtection beside it makes the
    development files verify in other tools with nothing but the root configured.
    """
    purposes = [ExtendedKeyUsageOID.EMAIL_PROTECTION, ObjectIdentifier(CLAIM_SIGNING_EKU)]
    return _end_entity(
        named(common_name),
        public_key,
        issuer=issuer,
        issuer_key=issuer_key,
        not_before=not_before,
        not_after=not_after,
        purposes=purposes,
    ).sign(issuer_key, hashes.SHA256())


def issue_tls(
    public_key: ec.EllipticCurvePublicKey,
    *,
    common_name: str,
    hosts: tuple[x509.GeneralName, ...],
    issuer: x509.Certificate,
    issuer_key: ec.EllipticCurvePrivateKey,
    not_before: datetime,
    not_after: datetime,
    organisation: str,
) -> x509.Certificate:
    """Issue a TLS certificate: for a server where ``hosts`` names addresses, else for a client."""
    purpose = ExtendedKeyUsageOID.SERVER_AUTH if hosts else ExtendedKeyUsageOID.CLIENT_AUTH
    builder = _end_entity(
        named(common_name, organisation=organisation),
        public_key,
        issuer=issuer,
        issuer_key=issuer_key,
        not_before=not_before,
        not_after=not_after,
        purposes=[purpose],
    )
    if hosts:
        builder = builder.add_extension(x509.SubjectAlternativeName(hosts), critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


def issue_authority(
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
            not_before=now - BACKDATE,
            not_after=now + timedelta(days=days),
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
        .add_extension(_key_usage(sign=False), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
        .sign(issuer_key, hashes.SHA256())
    )


def named(common_name: str, *, organisation: str = DEVELOPMENT_ORGANISATION) -> x509.Name:
    """Return a name of organisation and common name."""
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def signing_usage() -> x509.KeyUsage:
    """Return the key usage of a claim signer: digitalSignature alone (C2PA 2.4 section 14.5)."""
    return _key_usage(sign=True)


def certificate_pem(certificate: x509.Certificate) -> bytes:
    """Return a certificate as PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def private_pem(key: PrivateKey, *, passphrase: bytes | None = None) -> bytes:
    """Return a private key as PKCS #8 PEM, encrypted where a passphrase is given (scrypt or PBKDF2, AES-256)."""
    encryption = (
        serialization.BestAvailableEncryption(passphrase) if passphrase is not None else serialization.NoEncryption()
    )
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)


def write_new(path: Path, content: bytes, *, secret: bool) -> None:
    """Create a file that did not exist, with its mode from the first instant on. Raises OSError."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if secret else 0o644)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def write_folder(folder: Path, contents: Mapping[str, tuple[bytes, bool]]) -> tuple[str, ...]:
    """Make a folder of key files; all of it or nothing.

    Args:
        folder: must not exist, or be empty.
        contents: relative name -> (content, secret).

    Returns:
        The names, sorted.

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
            for name, (content, secret) in contents.items():
                write_new(part / name, content, secret=secret)
            if folder.exists():
                folder.rmdir()  # empty; Windows does not rename onto it
            part.rename(folder)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise
    except OSError as exc:
        raise KeyMaterialError(f"{folder} cannot be written: {exc.strerror or exc}.") from exc
    return tuple(sorted(contents))


def _end_entity(
    subject: x509.Name,
    public_key: ec.EllipticCurvePublicKey,
    *,
    issuer: x509.Certificate,
    issuer_key: ec.EllipticCurvePrivateKey,
    not_before: datetime,
    not_after: datetime,
    purposes: list[ObjectIdentifier],
) -> x509.CertificateBuilder:
    """Return what leaves share."""
    return (
        _builder(subject, public_key, issuer=issuer.subject, not_before=not_before, not_after=not_after)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(sign=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
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
