"""The life of a signing key: request or issue a certificate, install it, let it take over, retire the old one.

::

    production    request_certificate -> (the authority) -> install_certificate -> ... -> retire
    development   rotate_development                                            -> ... -> retire

Nothing is ever overwritten, and certificates and anchors of retired keys stay where they are: what was signed with them
has to stay verifiable.
"""

from __future__ import annotations

import json
import secrets
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from guard.errors import KeyMaterialError
from guard.provenance import keys_folder as layout
from guard.provenance.dev_ca import LEAF_DAYS, public_pem
from guard.provenance.issuing import BACKDATE, certificate_pem, issue_leaf, private_pem, write_folder, write_new
from guard.provenance.key_source import PROBE, load_private_key
from guard.provenance.keys.csr import RequestSubject, build_request, new_private_key, request_fits
from guard.provenance.keys.interfaces import KeyAccess
from guard.provenance.keys.open_key import open_key
from guard.provenance.keys.reference import parse_reference
from guard.provenance.keys.remote import RemoteKey
from guard.provenance.keys.ring import (
    CHAIN,
    FIRST,
    FURTHER,
    ID_TIME,
    KEY,
    REQUEST,
    RETIRED,
    URI,
    SignerEntry,
    SignerState,
    checked_chain,
    leaf_of,
    list_signers,
    open_entry,
)
from guard.provenance.keys.sealed import seal

_MIN_PASSPHRASE_BYTES = 12
"""Shortest passphrase for new production keys; a generated one of 16 random bytes in base64 has 24."""


def init_production_keys(
    folder: Path, *, subject: RequestSubject, algorithm: str, passphrase: bytes, now: datetime
) -> tuple[str, bytes]:
    """Make a production key folder: encrypted keys, and the request for the first certificate.

    Args:
        folder: must not exist, or be empty.
        subject: whom the certificate is for.
        algorithm: of the signing key.
        passphrase: encrypts signing key, ledger key and watermark key.
        now: current time, timezone-aware.

    Returns:
        Id of the new signing key, and the PEM request to send to a certificate authority.

    Raises:
        KeyMaterialError: the folder is not empty, the passphrase is too short, or the subject cannot be used.
    """
    _check_passphrase(passphrase)
    key, ledger = new_private_key(algorithm), ed25519.Ed25519PrivateKey.generate()
    request = build_request(subject, key=key)
    described = {
        "version": layout.FORMAT_VERSION,
        "environment": layout.PRODUCTION,
        "created": now.astimezone(UTC).isoformat(timespec="seconds"),
    }
    master = secrets.token_bytes(layout.MASTER_KEY_BYTES).hex().encode() + b"\n"
    contents = {
        layout.DESCRIPTION: (json.dumps(described, indent=2).encode() + b"\n", False),
        f"{FIRST}/{KEY}": (private_pem(key, passphrase=passphrase), True),
        f"{FIRST}/{REQUEST}": (request, False),
        layout.LEDGER_PRIVATE: (private_pem(ledger, passphrase=passphrase), True),
        layout.LEDGER_PUBLIC: (public_pem(ledger), False),
        layout.WATERMARK_MASTER: (seal(master, passphrase), True),
    }
    write_folder(folder, contents)
    return FIRST, request


def request_certificate(
    folder: Path,
    *,
    subject: RequestSubject,
    algorithm: str,
    reference: str | None,
    access: KeyAccess,
    now: datetime,
) -> tuple[str, bytes]:
    """Make a further signing key, or name one elsewhere, and the request for its certificate.

    Args:
        folder: the key folder.
        subject: whom the certificate is for.
        algorithm: of a new key in a file; without meaning for one elsewhere.
        reference: names a key elsewhere (reference.py); None makes one in a file.
        access: the passphrase that encrypts a new key; what reaches a key elsewhere.
        now: current time, timezone-aware.

    Returns:
        Id of the signing key, and the PEM request.

    Raises:
        KeyMaterialError: no passphrase for a production key, or the subject, reference or folder cannot be used.
        SigningError: the key elsewhere failed.
    """
    development = layout.read_environment(folder) == layout.DEVELOPMENT
    if reference is not None:
        handle = open_key(parse_reference(reference), access=access)
        if isinstance(handle, RemoteKey):
            raise KeyMaterialError(
                "A signing service signs claims and nothing else, so no certificate request.",
                next_step="Run `signet keys csr` where its keys are, then `signet keys use` here.",
            )
        request = build_request(subject, key=handle)
        files = {URI: (reference.strip().encode() + b"\n", False), REQUEST: (request, False)}
    else:
        passphrase = access.passphrase() if access.passphrase is not None else None
        if not development:
            _check_passphrase(passphrase or b"")
        key = new_private_key(algorithm)
        request = build_request(subject, key=key)
        files = {KEY: (private_pem(key, passphrase=passphrase), True), REQUEST: (request, False)}
    return _add(folder, files, now=now), request


def use_service_key(
    folder: Path, *, reference: str, anchors_pem: str | None, access: KeyAccess, now: datetime
) -> SignerEntry:
    """Take a key of a signing service into use, with the certificate that the service holds for it.

    Args:
        folder: the key folder.
        reference: https://HOST:PORT/KEY.
        anchors_pem: the root of that certificate, added to the anchors for claim signers; None when it is there.
        access: files for mutual TLS, deadline.
        now: current time, timezone-aware.

    Raises:
        KeyMaterialError: the reference names no signing service, or its chain cannot be used.
        SigningError: the service failed.
    """
    handle = open_key(parse_reference(reference), access=access)
    if not isinstance(handle, RemoteKey):
        raise KeyMaterialError(f"{reference} names no signing service; expected https://HOST:PORT/KEY.")
    chain_pem = handle.certificate_chain()
    checked_chain(chain_pem, now=now).verify(handle.sign(PROBE), PROBE)
    if anchors_pem is not None:
        add_anchors(folder / layout.MANIFEST_ANCHORS, anchors_pem)
    files = {URI: (reference.strip().encode() + b"\n", False), CHAIN: (chain_pem.encode("ascii"), False)}
    return _find(folder, _add(folder, files, now=now), now=now)


def install_certificate(
    folder: Path, chain_pem: str, *, anchors_pem: str | None, access: KeyAccess, now: datetime
) -> SignerEntry:
    """Install the certificate that an authority issued for a request made here.

    The key is asked for one signature, which has to fit the certificate, before anything is written.

    Args:
        folder: the key folder.
        chain_pem: leaf first, then intermediates, without the root.
        anchors_pem: the authority's root, added to the anchors for claim signers; None when it is listed already.
        access: opens the key.
        now: current time, timezone-aware; a certificate that begins later takes over by itself then.

    Returns:
        The key's entry, scheduled or active.

    Raises:
        KeyMaterialError: no pending request fits, or key and chain cannot be used together.
        SigningError: a key elsewhere failed.
    """
    development = layout.read_environment(folder) == layout.DEVELOPMENT
    leaf, chain = leaf_of(chain_pem), checked_chain(chain_pem, now=now)
    if chain.not_after < now:
        raise KeyMaterialError(f"The certificate of {chain.subject} expired on {chain.not_after:%Y-%m-%d}.")
    pending = [entry for entry in list_signers(folder, now=now) if entry.state is SignerState.PENDING]
    fitting = [entry for entry in pending if request_fits(_request_of(entry), leaf)]
    if not fitting:
        raise KeyMaterialError(
            f"The certificate of {chain.subject} fits none of the {len(pending)} pending requests.",
            next_step="Run `signet keys list` for the pending ones; a certificate belongs to the key of its request.",
        )
    entry = fitting[0]
    trial = SignerEntry(id=entry.id, folder=entry.folder, state=SignerState.ACTIVE, place=entry.place, chain=chain)
    if entry.place == "file":
        key = load_private_key(entry.folder / KEY, passphrase=access.passphrase, development=development)
        public = getattr(key, "public_key", lambda: None)()
        if public != leaf.public_key():
            raise KeyMaterialError(f"{entry.folder / KEY} is not the key of the certificate of {chain.subject}.")
    else:
        open_entry(trial, now=now, access=access, development=development).sign(PROBE)
    if anchors_pem is not None:
        add_anchors(folder / layout.MANIFEST_ANCHORS, anchors_pem)
    try:
        write_new(entry.folder / CHAIN, chain.pem.encode("ascii"), secret=False)
    except OSError as exc:
        raise KeyMaterialError(f"{entry.folder / CHAIN} cannot be written: {exc.strerror or exc}.") from exc
    return _find(folder, entry.id, now=now)


def rotate_development(folder: Path, *, starts: datetime, now: datetime) -> SignerEntry:
    """Issue a further development certificate for a new key; the old one stays usable beside it.

    Args:
        folder: a development key folder.
        starts: when the new key takes over, timezone-aware.
        now: current time.

    Raises:
        KeyMaterialError: a production folder, or one without its intermediate authority.
    """
    if layout.read_environment(folder) != layout.DEVELOPMENT:
        raise KeyMaterialError(
            f"{folder} is a production folder; its certificates come from an authority.",
            next_step="Run `signet keys csr`, send the request, then `signet keys install`.",
        )
    issuer_key = load_private_key(folder / "ca/intermediate.key.pem", development=True)
    try:
        issuer = x509.load_pem_x509_certificate((folder / "ca/intermediate.pem").read_bytes())
    except (OSError, ValueError) as exc:
        raise KeyMaterialError(f"{folder}/ca holds no intermediate authority: {exc}.") from exc
    if not isinstance(issuer_key, ec.EllipticCurvePrivateKey):
        raise KeyMaterialError(f"{folder}/ca/intermediate.key.pem holds no EC key.")
    if starts >= issuer.not_valid_after_utc:
        raise KeyMaterialError(
            f"The development authority ends on {issuer.not_valid_after_utc:%Y-%m-%d}; a key cannot start afterwards.",
            next_step="Choose an earlier start, or make a new key folder with `signet keys init`.",
        )
    key = ec.generate_private_key(ec.SECP256R1())
    begins = now - BACKDATE if starts <= now else starts
    leaf = issue_leaf(
        key.public_key(),
        common_name=f"Signet development claim signer {secrets.token_hex(4)}",
        issuer=issuer,
        issuer_key=issuer_key,
        not_before=max(begins, issuer.not_valid_before_utc),
        not_after=min(starts + timedelta(days=LEAF_DAYS), issuer.not_valid_after_utc),
    )
    chain = certificate_pem(leaf) + certificate_pem(issuer)
    return _find(folder, _add(folder, {KEY: (private_pem(key), True), CHAIN: (chain, False)}, now=now), now=now)


def retire(folder: Path, entry_id: str, *, destroy_key: bool, now: datetime) -> SignerEntry:
    """Stop signing with a key for good; its certificate stays, so what it signed stays verifiable.

    Args:
        folder: the key folder.
        entry_id: as ``list_signers`` names it.
        destroy_key: also remove the private key's file; a key elsewhere is destroyed there, not here.
        now: current time, timezone-aware.

    Raises:
        KeyMaterialError: no such key, or no other one is active.
    """
    layout.read_environment(folder)
    entry = _find(folder, entry_id, now=now)
    others = [e for e in list_signers(folder, now=now) if e.state is SignerState.ACTIVE and e.id != entry_id]
    if entry.state is SignerState.ACTIVE and not others:
        raise KeyMaterialError(
            f"{entry_id} is the only active signing key; without it nothing can be signed.",
            next_step="Install another one first (`signet keys rotate`, or `csr` and `install`).",
        )
    if entry.state is not SignerState.RETIRED:
        write_new(entry.folder / RETIRED, f"{now.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}\n".encode(), secret=False)
    if destroy_key:
        (entry.folder / KEY).unlink(missing_ok=True)
    return _find(folder, entry_id, now=now)


def add_anchors(file: Path, pem: str) -> int:
    """Add certificates to a file of anchors; returns how many were new. Raises KeyMaterialError."""
    try:
        certificates = x509.load_pem_x509_certificates(pem.encode("ascii"))
        known = x509.load_pem_x509_certificates(file.read_bytes()) if file.exists() else []
        seen = {certificate.fingerprint(hashes.SHA256()) for certificate in known}
        new = [c for c in certificates if c.fingerprint(hashes.SHA256()) not in seen]
        if new:
            part = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
            write_new(part, b"".join(map(certificate_pem, [*known, *new])), secret=False)
            part.replace(file)
    except (ValueError, OSError) as exc:
        raise KeyMaterialError(f"The anchors cannot be added to {file}: {exc}.") from exc
    return len(new)


def _add(folder: Path, files: dict[str, tuple[bytes, bool]], *, now: datetime) -> str:
    """Write a further signing key's folder; returns its id."""
    layout.read_environment(folder)
    entry_id = f"{now.astimezone(UTC).strftime(ID_TIME)}-{secrets.token_hex(2)}"
    place = folder / FURTHER / entry_id
    place.parent.mkdir(mode=0o700, exist_ok=True)
    try:
        write_folder(place, files)
    except KeyMaterialError:
        shutil.rmtree(place, ignore_errors=True)
        raise
    return entry_id


def _find(folder: Path, entry_id: str, *, now: datetime) -> SignerEntry:
    """Return one entry. Raises KeyMaterialError."""
    entries = list_signers(folder, now=now)
    for entry in entries:
        if entry.id == entry_id:
            return entry
    raise KeyMaterialError(
        f"There is no signing key {entry_id!r}; there are {', '.join(entry.id for entry in entries) or 'none'}.",
        next_step="Run `signet keys list`.",
    )


def _request_of(entry: SignerEntry) -> bytes:
    """Return the request of a pending key. Raises KeyMaterialError."""
    try:
        return (entry.folder / REQUEST).read_bytes()
    except OSError as exc:
        raise KeyMaterialError(f"{entry.folder / REQUEST} cannot be read: {exc.strerror or exc}.") from exc


def _check_passphrase(passphrase: bytes) -> None:
    """Raise KeyMaterialError when production keys would be badly protected."""
    if len(passphrase) < _MIN_PASSPHRASE_BYTES:
        raise KeyMaterialError(
            f"Production keys need a passphrase of {_MIN_PASSPHRASE_BYTES} bytes or more; got {len(passphrase)}.",
            next_step="Put one into a secret file and set SIGNET_KEY_PASSPHRASE_FILE, or use SIGNET_KEY_PASSPHRASE_FD.",
        )
