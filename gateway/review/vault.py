"""Encrypts withheld prompts and pictures at rest: AES-256-GCM, bound to their case.

The key is a file of its own, so that a copied database shows nothing without it, and destroying the key destroys all.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from guard.errors import ConfigError, VerificationError

KEY_BYTES = 32
_NONCE_BYTES = 12  # NIST SP 800-38D section 5.2.1.1: 96 bits; random nonces are safe for 2^32 messages of one key


class Vault:
    """Seals and opens small secrets under one key."""

    def __init__(self, key: bytes) -> None:
        """Keep the key of 32 bytes."""
        self._cipher = AESGCM(key)

    @classmethod
    def from_file(cls, path: Path) -> Vault:
        """Read the key of 64 hex digits from a file; make one (mode 0600) where there is none.

        Raises:
            ConfigError: the file cannot be read, written, or holds something else.
        """
        try:
            if not path.exists():
                _write_new(path, secrets.token_hex(KEY_BYTES))
            key = bytes.fromhex(path.read_text(encoding="ascii").strip())
        except (OSError, ValueError) as exc:
            raise ConfigError(
                f"The quarantine key {path} cannot be used: {getattr(exc, 'strerror', None) or 'not hex digits'}.",
                next_step="Set SIGNET_QUARANTINE_KEY_FILE to a file of 64 hex digits that this user can read.",
            ) from exc
        if len(key) != KEY_BYTES:
            raise ConfigError(f"The quarantine key {path} has {len(key)} bytes, expected {KEY_BYTES}.")
        return cls(key)

    def seal(self, content: bytes, *, context: str) -> bytes:
        """Return nonce and ciphertext; only the same ``context`` (case and part) opens it."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, content, context.encode())

    def open(self, sealed: bytes, *, context: str) -> bytes:
        """Return the content.

        Raises:
            VerificationError: another key, another context, or changed bytes.
        """
        try:
            return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], context.encode())
        except InvalidTag as exc:
            raise VerificationError(
                "The withheld content does not decrypt.",
                next_step="Check that SIGNET_QUARANTINE_KEY_FILE is the key it was stored with.",
            ) from exc


def _write_new(path: Path, text: str) -> None:
    """Write a file that only its owner can read; a second process that was faster wins."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(text + "\n")
