"""Encrypts withheld prompts and pictures at rest: AES-256-GCM, bound to their case.

The key is a file of its own, so that a copied database shows nothing without it, and destroying the key destroys all.
"""

from __future__ import annotations

import errno
import os
import secrets
import tempfile
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from guard.errors import ConfigError, VerificationError

KEY_BYTES = 32
_NONCE_BYTES = 12  # NIST SP 800-38D section 5.2.1.1: 96 bits; random nonces are safe for 2^32 messages of one key
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)  # exFAT and some network mounts


class Vault:
    """Seals and opens small secrets under one key."""

    def __init__(self, key: bytes) -> None:
        """Keep the key of 32 bytes."""
        self._cipher = AESGCM(key)

    @classmethod
    def from_file(cls, path: Path, *, make: bool = True) -> Vault:
        """Read the key of 64 hex digits from a file.

        Args:
            path: the file.
            make: make a key (mode 0600) where there is none; False where content was sealed under one already.

        Raises:
            ConfigError: the file cannot be read, written, holds something else, or is missing and none is to be made.
        """
        try:
            if not path.exists():
                if not make:
                    raise ConfigError(
                        f"The quarantine key {path} is missing, and content is kept that was encrypted with it.",
                        next_step="Bring it back, or, if it was destroyed on purpose, write 64 other hex digits.",
                    )
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
    """Write a file that only its owner can read, whole or not at all; a second process that was faster wins."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=".tmp-", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())  # content sealed under a key that a power cut takes would be lost
        try:
            os.link(name, path)
        except FileExistsError:
            return
        except OSError as exc:
            if exc.errno not in _NO_LINKS:
                raise
            os.replace(name, path)
    finally:
        Path(name).unlink(missing_ok=True)
