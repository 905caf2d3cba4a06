"""A secret that is no PEM key (the watermark's), encrypted on disk with the passphrase that unlocks the others.

One line: ``signet-sealed-1:`` and base64 of salt (16 bytes), nonce (12) and AES-256-GCM ciphertext; the key comes from
the passphrase by scrypt. The first word is authenticated, so that a later format cannot be taken for this one.
"""

from __future__ import annotations

import base64
import binascii
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from guard.errors import KeyMaterialError

PREFIX = b"signet-sealed-1:"
_SALT_BYTES, _NONCE_BYTES, _KEY_BYTES = 16, 12, 32
_SCRYPT_N, _SCRYPT_R, _SCRYPT_P = 2**15, 8, 3
"""32 MiB, some 0.3 s, at start-up only. Source: OWASP password storage cheat sheet, scrypt."""


def seal(secret: bytes, passphrase: bytes) -> bytes:
    """Return a secret encrypted, as one line."""
    salt, nonce = secrets.token_bytes(_SALT_BYTES), secrets.token_bytes(_NONCE_BYTES)
    ciphertext = AESGCM(_key(passphrase, salt)).encrypt(nonce, secret, PREFIX)
    return PREFIX + base64.b64encode(salt + nonce + ciphertext) + b"\n"


def unseal(line: bytes, passphrase: bytes, *, name: str) -> bytes:
    """Return a sealed secret.

    Args:
        line: as ``seal`` made it.
        passphrase: the one it was sealed with.
        name: of the file, for messages.

    Raises:
        KeyMaterialError: wrong passphrase, or not a sealed secret.
    """
    try:
        content = base64.b64decode(line.strip().removeprefix(PREFIX), validate=True)
        salt, nonce = content[:_SALT_BYTES], content[_SALT_BYTES : _SALT_BYTES + _NONCE_BYTES]
        return AESGCM(_key(passphrase, salt)).decrypt(nonce, content[_SALT_BYTES + _NONCE_BYTES :], PREFIX)
    except (binascii.Error, ValueError, InvalidTag) as exc:
        raise KeyMaterialError(f"{name} cannot be unlocked: wrong passphrase, or not a sealed secret.") from exc


def _key(passphrase: bytes, salt: bytes) -> bytes:
    return Scrypt(salt=salt, length=_KEY_BYTES, n=_SCRYPT_N, r=_SCRYPT_R, p=_SCRYPT_P).derive(passphrase)
