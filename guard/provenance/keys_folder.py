"""The key folder: which file holds what, loading all of it, listing it with expiry.

::

    keys.json                 {"version": 1, "environment": "development" | "production", "created": ...}
    signer/chain.pem          claim-signing certificate and its intermediates, leaf first
    signer/key.pem            its private key (production: encrypted); or key.uri, a key elsewhere
    signers/ID/...            further claim-signing keys, same files (guard/provenance/keys/ring.py)
    trust/manifest.pem        anchors for claim signers
    trust/tsa.pem             anchors for time-stamp authorities (optional)
    ledger/private.pem        Ed25519 key that signs tree heads (production: encrypted)
    ledger/public.pem         for auditors
    watermark/master.key      32 random bytes as 64 hex digits (production: sealed); all marks derive from it

The folder has mode 0700, secrets 0600; anything more open is refused. ``signet keys init`` makes a development folder
(guard/provenance/dev_ca.py), ``signet keys init --production`` one whose keys are encrypted.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from guard.errors import KeyMaterialError
from guard.interfaces import KeySource
from guard.provenance.certificates import algorithm_of, name_of
from guard.provenance.key_source import load_private_key, read_secret
from guard.provenance.keys.interfaces import KeyAccess
from guard.provenance.keys.ring import KeyRing, SignerEntry, list_signers, load_ring
from guard.provenance.keys.sealed import PREFIX, unseal
from guard.provenance.trust import TrustAnchors, load_anchors

FORMAT_VERSION = 1
DEVELOPMENT = "development"
PRODUCTION = "production"
DESCRIPTION = "keys.json"
SIGNER_CHAIN = "signer/chain.pem"
SIGNER_KEY = "signer/key.pem"
MANIFEST_ANCHORS = "trust/manifest.pem"
TSA_ANCHORS = "trust/tsa.pem"
LEDGER_PRIVATE = "ledger/private.pem"
LEDGER_PUBLIC = "ledger/public.pem"
WATERMARK_MASTER = "watermark/master.key"
MASTER_KEY_BYTES = 32
"""256 bits: the security level of the PRF that carriers derive from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFolder:
    """Everything in a key folder, loaded and checked.

    Attributes:
        path: the folder.
        development: True when the folder says that it is not for production.
        ring: claim-signing keys; ``signer`` is the one that signs now.
        anchors: who is trusted when files are read.
        ledger_private_key: 32 bytes, Ed25519 seed; signs tree heads.
        ledger_public_key: 32 bytes.
        watermark_master_key: 32 bytes.
    """

    path: Path
    development: bool
    ring: KeyRing = field(repr=False)
    anchors: TrustAnchors = field(repr=False)
    ledger_private_key: bytes = field(repr=False)
    ledger_public_key: bytes = field(repr=False)
    watermark_master_key: bytes = field(repr=False)

    @classmethod
    def load(
        cls,
        path: Path,
        *,
        now: datetime,
        passphrase: Callable[[], bytes] | None = None,
        access: KeyAccess | None = None,
        clock: Callable[[], datetime] | None = None,
    ) -> KeyFolder:
        """Load and check a key folder.

        Args:
            path: the folder.
            now: time at which a signing certificate has to be valid, timezone-aware.
            passphrase: called for the passphrase of encrypted keys (production).
            access: what reaches keys that are elsewhere; brings its own passphrase.
            clock: time at each signature, which decides the key; None means ``now`` for ever.

        Raises:
            KeyMaterialError: something is missing, open to other users, expired, or does not belong together.
        """
        development = read_environment(path) == DEVELOPMENT
        access = access or KeyAccess(passphrase=passphrase)
        ring = load_ring(path, now=now, clock=clock or (lambda: now), access=access, development=development)
        ledger = load_private_key(path / LEDGER_PRIVATE, passphrase=access.passphrase, development=development)
        if not isinstance(ledger, ed25519.Ed25519PrivateKey):
            raise KeyMaterialError(f"{path / LEDGER_PRIVATE} holds no Ed25519 key; got {type(ledger).__name__}.")
        return cls(
            path=path,
            development=development,
            ring=ring,
            anchors=folder_anchors(path),
            ledger_private_key=ledger.private_bytes_raw(),
            ledger_public_key=ledger.public_key().public_bytes_raw(),
            watermark_master_key=_read_master_key(path / WATERMARK_MASTER, access.passphrase),
        )

    @property
    def signer(self) -> KeySource:
        """Return the key that signs now. Raises KeyMaterialError when every certificate has expired."""
        return self.ring.current()


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyInfo:
    """One public fact sheet of a key folder; holds no secret.

    Attributes:
        role: what it is for, e.g. ``claim signer``.
        file: path relative to the folder.
        algorithm: es256, ed25519, ...
        name: common name, or what the key is.
        fingerprint: SHA-256 of the certificate or public key (DER), hex; empty for symmetric keys.
        not_after: end of validity, or None for keys without one.
        days_left: whole days until then, negative after it; None for keys without one.
        id: of a claim signer, for ``signet keys retire``; empty for others.
        state: of a claim signer: pending, scheduled, active, expired, retired; empty for others.
        place: of a claim signer: file, pkcs11, https, awskms, gcpkms, azurekms; empty for others.
    """

    role: str
    file: str
    algorithm: str
    name: str
    fingerprint: str
    not_after: datetime | None = None
    days_left: int | None = None
    id: str = ""
    state: str = ""
    place: str = ""


def list_keys(path: Path, *, now: datetime) -> tuple[KeyInfo, ...]:
    """Describe the certificates and keys of a folder; reads no private key. Raises KeyMaterialError."""
    read_environment(path)
    found = tuple(info for entry in list_signers(path, now=now) for info in _signer(path, entry, now=now))
    if (path / MANIFEST_ANCHORS).exists():  # a production folder has none before its first certificate
        found += _certificates(path, MANIFEST_ANCHORS, role="anchor for claim signers", now=now)
    if (path / TSA_ANCHORS).exists():
        found += _certificates(path, TSA_ANCHORS, role="anchor for time stamps", now=now)
    try:
        public = serialization.load_pem_public_key((path / LEDGER_PUBLIC).read_bytes())
    except (OSError, ValueError) as exc:
        raise KeyMaterialError(f"{path / LEDGER_PUBLIC} cannot be read as a public key.") from exc
    der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    digest = hashes.Hash(hashes.SHA256())
    digest.update(der)
    ledger = KeyInfo(
        role="ledger",
        file=LEDGER_PUBLIC,
        algorithm="ed25519",
        name="signs tree heads",
        fingerprint=digest.finalize().hex(),
    )
    master = KeyInfo(
        role="watermark",
        file=WATERMARK_MASTER,
        algorithm="256-bit secret",
        name="carriers derive from it",
        fingerprint="",
    )
    return (*found, ledger, master)


def folder_anchors(path: Path) -> TrustAnchors:
    """Return the anchors of a key folder; needs no passphrase and no key. Raises KeyMaterialError without any."""
    tsa = path / TSA_ANCHORS
    return load_anchors(manifest_files=(path / MANIFEST_ANCHORS,), tsa_files=(tsa,) if tsa.exists() else ())


def read_environment(path: Path) -> str:
    """Return ``development`` or ``production``. Raises KeyMaterialError when the folder is not a key folder."""
    file = path / DESCRIPTION
    try:
        described = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as exc:
        raise KeyMaterialError(f"{path} is not a key folder: {DESCRIPTION} is missing.") from exc
    except (OSError, ValueError) as exc:
        raise KeyMaterialError(f"{file} cannot be read as JSON: {exc}.") from exc
    version = described.get("version") if isinstance(described, dict) else None
    environment = described.get("environment") if isinstance(described, dict) else None
    if version != FORMAT_VERSION or environment not in (DEVELOPMENT, PRODUCTION):
        raise KeyMaterialError(
            f"{file} says version {version!r}, environment {environment!r}; expected version {FORMAT_VERSION}, "
            f"{DEVELOPMENT} or {PRODUCTION}."
        )
    return str(environment)


def _signer(path: Path, entry: SignerEntry, *, now: datetime) -> tuple[KeyInfo, ...]:
    """Describe one claim-signing key and its intermediates."""
    where = entry.folder.relative_to(path).as_posix()
    if entry.chain is not None:
        infos = _certificates(path, f"{where}/chain.pem", role="claim signer", now=now)
        return (replace(infos[0], id=entry.id, state=entry.state.value, place=entry.place), *infos[1:])
    return (
        KeyInfo(
            role="claim signer",
            file=f"{where}/request.pem",
            algorithm="",
            name="waits for its certificate",
            fingerprint="",
            id=entry.id,
            state=entry.state.value,
            place=entry.place,
        ),
    )


def _certificates(path: Path, file: str, *, role: str, now: datetime) -> tuple[KeyInfo, ...]:
    """Describe the certificates of one PEM file."""
    try:
        certificates = x509.load_pem_x509_certificates((path / file).read_bytes())
    except (OSError, ValueError) as exc:
        raise KeyMaterialError(f"{path / file} cannot be read as PEM certificates.") from exc
    return tuple(
        KeyInfo(
            role=role if index == 0 or "anchor" in role else "intermediate",
            file=file,
            algorithm=algorithm_of(certificate.public_key())[0],
            name=name_of(certificate),
            fingerprint=certificate.fingerprint(hashes.SHA256()).hex(),
            not_after=certificate.not_valid_after_utc,
            days_left=(certificate.not_valid_after_utc - now).days,
        )
        for index, certificate in enumerate(certificates)
    )


def _read_master_key(path: Path, passphrase: Callable[[], bytes] | None) -> bytes:
    """Read 64 hex digits, or such digits sealed with the passphrase. Raises KeyMaterialError."""
    content = read_secret(path)
    if content.startswith(PREFIX):
        if passphrase is None:
            raise KeyMaterialError(f"{path} is encrypted, but no passphrase is configured.")
        content = unseal(content, passphrase(), name=str(path))
    try:
        key = bytes.fromhex(content.decode("ascii"))
    except ValueError as exc:
        raise KeyMaterialError(f"{path} is not hexadecimal; expected {2 * MASTER_KEY_BYTES} digits.") from exc
    if len(key) != MASTER_KEY_BYTES:
        raise KeyMaterialError(f"{path} holds {len(key)} bytes; expected {MASTER_KEY_BYTES}.")
    return key
