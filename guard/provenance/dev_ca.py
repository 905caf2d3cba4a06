"""A local development CA: what ``signet keys init`` makes so that the whole flow works on a fresh machine.

root -> intermediate -> claim-signing leaf (ES256), an Ed25519 ledger key and a watermark master key. All names say
"DEVELOPMENT - not for production". The root's private key is thrown away once the intermediate is signed, so that an
imported development root cannot be used to issue anything else.

Source: the leaf follows the C2PA certificate profile (2.4 section 14.5: v3, digitalSignature, AKI, an accepted EKU) and
assurance level 1 of the conformance programme (at most 366 days).
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from guard.provenance import keys_folder as layout
from guard.provenance.issuing import (
    BACKDATE,
    DEVELOPMENT_ORGANISATION,
    certificate_pem,
    issue_authority,
    issue_leaf,
    named,
    private_pem,
    write_folder,
)
from guard.provenance.keys_folder import KeyInfo, list_keys

LEAF_DAYS = 365
INTERMEDIATE_DAYS = 5 * 365
ROOT_DAYS = 10 * 365


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
    files = write_folder(folder, _contents(now))
    return KeysSummary(folder=folder, files=files, keys=list_keys(folder, now=now))


def _contents(now: datetime) -> dict[str, tuple[bytes, bool]]:
    """Make all keys and return file name -> (content, secret)."""
    tag = secrets.token_hex(4)
    root_key, intermediate_key, leaf_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
    ledger_key = ed25519.Ed25519PrivateKey.generate()
    root_name = named(f"Signet development root {tag}")
    intermediate_name = named(f"Signet development intermediate {tag}")
    root = issue_authority(
        root_name, root_key, issuer=root_name, issuer_key=root_key, path_length=1, now=now, days=ROOT_DAYS
    )
    intermediate = issue_authority(
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
        not_before=now - BACKDATE,
        not_after=now + timedelta(days=LEAF_DAYS),
    )
    described = {
        "version": layout.FORMAT_VERSION,
        "environment": layout.DEVELOPMENT,
        "created": now.astimezone(UTC).isoformat(timespec="seconds"),
        "warning": f"{DEVELOPMENT_ORGANISATION}: signatures made with these keys prove nothing to anybody else.",
    }
    return {
        layout.DESCRIPTION: (json.dumps(described, indent=2).encode() + b"\n", False),
        layout.SIGNER_CHAIN: (certificate_pem(leaf) + certificate_pem(intermediate), False),
        layout.SIGNER_KEY: (private_pem(leaf_key), True),
        layout.MANIFEST_ANCHORS: (certificate_pem(root), False),
        layout.LEDGER_PRIVATE: (private_pem(ledger_key), True),
        layout.LEDGER_PUBLIC: (public_pem(ledger_key), False),
        layout.WATERMARK_MASTER: (secrets.token_bytes(layout.MASTER_KEY_BYTES).hex().encode() + b"\n", True),
        "ca/intermediate.pem": (certificate_pem(intermediate), False),
        "ca/intermediate.key.pem": (private_pem(intermediate_key), True),
    }


def public_pem(key: ed25519.Ed25519PrivateKey) -> bytes:
    """Return the public half as PEM."""
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
