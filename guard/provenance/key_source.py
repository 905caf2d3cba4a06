"""Where the claim-signing key lives: a PEM file, or anywhere else behind a callback.

Both are ``KeySource`` (guard/interfaces.py). Every signature is checked for length and against the certificate before
c2pa-python gets it: that binding silently cuts a signature that is too long and swallows what a callback raises
(measured), so a wrong key would otherwise surface as "COSE signature invalid".
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from guard.errors import GuardError, KeyMaterialError, SigningError
from guard.provenance.certificates import ECDSA_SIZES, SigningChain, algorithm_of, signing_chain

SigningKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey
PROBE = b"\x84\x6aSignature1\x40\x40\x50signet key probe"
"""What is signed to see that key and certificate belong together: an empty COSE signature structure (RFC 9052 section
4.4), as a signing service signs nothing else."""
_MAX_KEY_BYTES = 64 * 1024
"""Largest key file that is read; an RSA key of 16 384 bits has 13 kB."""


class PEMKeySource:
    """A private key from PEM, held in this process."""

    def __init__(self, *, key: SigningKey, chain: SigningChain) -> None:
        """Take a key and its checked chain. Raises KeyMaterialError when they do not belong together."""
        self._key = key
        self._chain = chain
        self.algorithm = chain.algorithm
        self.certificate_chain_pem = chain.pem
        algorithm, _ = algorithm_of(key.public_key())
        if algorithm != chain.algorithm:
            raise KeyMaterialError(f"The private key is for {algorithm}, the certificate for {chain.algorithm}.")
        self.sign(PROBE)

    @classmethod
    def from_files(
        cls,
        key_file: Path,
        chain_file: Path,
        *,
        now: datetime,
        passphrase: Callable[[], bytes] | None = None,
        development: bool = False,
    ) -> PEMKeySource:
        """Load a key and its chain.

        Args:
            key_file: PKCS #8 PEM, readable by its owner only.
            chain_file: PEM, leaf first.
            now: time at which the leaf has to be valid.
            passphrase: called once for the passphrase of an encrypted key (a secret file, a secret manager).
            development: whether an unencrypted key is accepted.

        Raises:
            KeyMaterialError: a file is missing, open to others, not encrypted, or the chain or passphrase is wrong.
        """
        try:
            chain = signing_chain(chain_file.read_text(encoding="ascii"), now=now)
        except (OSError, UnicodeDecodeError) as exc:
            raise KeyMaterialError(f"{chain_file} cannot be read as a PEM certificate chain: {exc}.") from exc
        key = load_private_key(key_file, passphrase=passphrase, development=development)
        if not isinstance(key, SigningKey):
            raise KeyMaterialError(f"{key_file} holds a {type(key).__name__}; expected an EC, Ed25519 or RSA key.")
        return cls(key=key, chain=chain)

    def sign(self, data: bytes) -> bytes:
        """Return the raw signature over ``data``. Raises KeyMaterialError."""
        signature = _raw_signature(self._key, self.algorithm, data)
        self._chain.verify(signature, data)
        return signature

    def private_key_pem(self) -> bytes:
        """Return the unencrypted key for the native signer, which then needs no calls back into Python."""
        return self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )


class CallbackKeySource:
    """A key that stays elsewhere (KMS, token, remote signer): only the bytes to sign go there."""

    def __init__(self, *, certificate_chain_pem: str, sign: Callable[[bytes], bytes], now: datetime) -> None:
        """Check the chain; the key itself is first asked when something is signed.

        Args:
            certificate_chain_pem: leaf first.
            sign: returns the raw signature (ECDSA: r || s) over its argument with the leaf's algorithm.
            now: time at which the leaf has to be valid.

        Raises:
            KeyMaterialError: the chain cannot be used.
        """
        self._chain = signing_chain(certificate_chain_pem, now=now)
        self.algorithm = self._chain.algorithm
        self.certificate_chain_pem = certificate_chain_pem
        self._sign = sign

    def sign(self, data: bytes) -> bytes:
        """Return the raw signature over ``data``. Raises SigningError when the remote key fails, KeyMaterialError."""
        try:
            signature = self._sign(data)
        except GuardError:
            raise  # says already what is wrong
        except Exception as exc:  # anything a client of a remote key raises becomes SigningError
            raise SigningError(
                f"The remote signing key failed: {type(exc).__name__}.",
                next_step="Check the connection and the permissions of the signing service.",
            ) from exc
        self._chain.verify(signature, data)
        return signature


def load_private_key(path: Path, *, passphrase: Callable[[], bytes] | None = None, development: bool = False) -> object:
    """Read a PKCS #8 PEM key. Raises KeyMaterialError; see ``PEMKeySource.from_files``."""
    pem = read_secret(path)
    encrypted = b"ENCRYPTED" in pem
    if not encrypted and not development:
        raise KeyMaterialError(
            f"{path} holds an unencrypted private key.",
            next_step="Encrypt it (openssl pkcs8 -topk8) and configure the passphrase by reference to a secret file.",
        )
    if encrypted and passphrase is None:
        raise KeyMaterialError(f"{path} is encrypted, but no passphrase is configured.")
    try:
        return serialization.load_pem_private_key(pem, passphrase() if encrypted and passphrase else None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
        raise KeyMaterialError(f"{path} cannot be read: wrong passphrase, or not a PKCS #8 PEM key.") from exc


def read_secret(path: Path) -> bytes:
    """Read a secret file that nobody but its owner may read. Raises KeyMaterialError."""
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if os.name == "posix" and stat.S_IMODE(mode) & 0o077:
                raise KeyMaterialError(
                    f"{path} is open to other users (mode {stat.S_IMODE(mode):04o}); expected 0600.",
                    next_step=f"chmod 600 {path}",
                )
            return file.read(_MAX_KEY_BYTES)
    except OSError as exc:
        raise KeyMaterialError(f"{path} cannot be read: {exc.strerror or exc}.") from exc


def _raw_signature(key: SigningKey, algorithm: str, data: bytes) -> bytes:
    """Sign as COSE wants it. Source: RFC 9053 section 2.1 (ECDSA), 2.2 (EdDSA), RFC 8230 section 2 (PSS)."""
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(data)
    if isinstance(key, rsa.RSAPrivateKey):
        digest = hashes.SHA256()
        return key.sign(data, padding.PSS(padding.MGF1(digest), digest.digest_size), digest)
    size = ECDSA_SIZES[algorithm]
    hash_: hashes.HashAlgorithm = {32: hashes.SHA256(), 48: hashes.SHA384()}.get(size) or hashes.SHA512()
    r, s = decode_dss_signature(key.sign(data, ec.ECDSA(hash_)))
    return r.to_bytes(size, "big") + s.to_bytes(size, "big")
