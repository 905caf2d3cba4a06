"""Signed tree heads: the tlog-checkpoint body in a signed note, Ed25519, verifiable with the public key alone.

::

    example.org/signet          <- origin, names the ledger and the key
    3                           <- tree size
    qINS1GRFhWHwdkUeqLEoP4yEMkTBBzxBkGwGQlVlVcs=   <- root hash, base64
                                <- empty line ends the signed text
    - example.org/signet <base64 of key id (4 bytes) || signature (64 bytes)>     (the dash is U+2014)

Source: C2SP signed-note v1.0.0 and tlog-checkpoint v1.0.0 (c2sp.org).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from guard.errors import KeyMaterialError, LedgerProofError
from guard.ledger.hash_tree import HASH_BYTES

PublicKey: TypeAlias = Ed25519PublicKey | bytes
"""A public key as object, 32 raw bytes, or PEM."""
ALGORITHM_ED25519 = b"\x01"
"""Signature type identifier of Ed25519 (signed-note, "Signature types")."""
KEY_ID_BYTES = 4
"""Length of a signed-note key id."""
SIGNATURE_BYTES = 64
"""Length of an Ed25519 signature (RFC 8032 section 5.1.6)."""
MAX_NOTE_BYTES = 16_384
"""A head with a dozen witness signatures is below 2 KiB; larger notes are refused unread."""
_ORIGIN = re.compile(r"[^\s+\u2014]{1,200}")
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")
_SIGNATURE_LINE = re.compile(r"\u2014 (\S+) (\S+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeHead:
    """What a signed head says: that the ledger ``origin`` had this root at this size."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """Return the signed text: three lines, each ended by a line feed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


@dataclass(frozen=True, slots=True)
class HeadVerifier:
    """A public key under the name of its ledger."""

    origin: str
    public_key: bytes

    @property
    def key_id(self) -> bytes:
        """Return the signed-note key id: SHA-256(name || 0x0A || 0x01 || public key), first 4 bytes."""
        return _key_id(self.origin, self.public_key)

    def verifier_key(self) -> str:
        """Return the signed-note verifier key, ``<name>+<key id in hex>+<base64 of type and key>``."""
        encoded = base64.b64encode(ALGORITHM_ED25519 + self.public_key).decode()
        return f"{self.origin}+{self.key_id.hex()}+{encoded}"

    def check(self, head: TreeHead, signature: bytes) -> None:
        """Check a bare 64-byte signature over a head.

        Raises:
            LedgerProofError: another origin, or the signature is not by this key.
        """
        if head.origin != self.origin:
            raise LedgerProofError(f"Tree head: got origin {head.origin!r}, expected {self.origin!r}.")
        try:
            Ed25519PublicKey.from_public_bytes(self.public_key).verify(signature, head.text().encode())
        except InvalidSignature as exc:
            raise LedgerProofError(
                f"Tree head of size {head.size}: the signature is not by key {self.key_id.hex()}."
            ) from exc

    def open_note(self, note: str) -> TreeHead:
        """Return the head of a signed note after checking this key's signature on it; others are ignored.

        Raises:
            LedgerProofError: malformed, another origin, no signature by this key, or a wrong one.
        """
        head, signatures = parse_note(note)
        mine = [raw[KEY_ID_BYTES:] for name, raw in signatures if name == self.origin and raw[:4] == self.key_id]
        if not mine:
            raise LedgerProofError(f"Tree head: no signature by {self.origin} key {self.key_id.hex()}.")
        for signature in mine:
            self.check(head, signature)
        return head


class HeadSigner:
    """Signs tree heads of one ledger with one Ed25519 key."""

    def __init__(self, signing_key: Ed25519PrivateKey | bytes, *, origin: str) -> None:
        """Take the key (object, 32 raw bytes, or unencrypted PKCS#8 PEM) and the ledger's origin.

        Raises:
            KeyMaterialError: not an Ed25519 key, or an origin that a signed note cannot carry.
        """
        if not _ORIGIN.fullmatch(origin):
            raise KeyMaterialError(
                f"Ledger origin: got {origin!r}, expected 1..200 characters without white space or '+'.",
                next_step="Set an origin such as example.org/signet-ledger.",
            )
        self._key = load_signing_key(signing_key)
        self.verifier = HeadVerifier(origin, self._key.public_key().public_bytes_raw())

    def sign(self, size: int, root: bytes) -> bytes:
        """Return the 64-byte signature over the head of this size and root; deterministic (RFC 8032)."""
        return self._key.sign(TreeHead(origin=self.verifier.origin, size=size, root=root).text().encode())


def note_text(head: TreeHead, signature: bytes, verifier: HeadVerifier) -> str:
    """Return the signed note of a head: text, empty line, signature line."""
    encoded = base64.b64encode(verifier.key_id + signature).decode()
    return f"{head.text()}\n\u2014 {verifier.origin} {encoded}\n"


def parse_note(note: str) -> tuple[TreeHead, tuple[tuple[str, bytes], ...]]:
    """Split a signed note into its head and (name, key id || signature) pairs; checks form only.

    Raises:
        LedgerProofError: too large or malformed. Extension lines are refused: this ledger writes none.
    """
    if len(note.encode("utf-8", errors="replace")) > MAX_NOTE_BYTES:
        raise LedgerProofError(f"Tree head: the note is over {MAX_NOTE_BYTES} bytes.")
    text, separator, tail = note.partition("\n\n")
    lines = text.split("\n")
    if not separator or len(lines) != 3 or not tail.endswith("\n"):
        raise LedgerProofError("Tree head: expected three lines, an empty line and signature lines.")
    origin, size, encoded_root = lines
    root = _decode_base64(encoded_root)
    if not _ORIGIN.fullmatch(origin) or not _SIZE.fullmatch(size) or len(root) != HASH_BYTES:
        raise LedgerProofError("Tree head: the origin, size or root line is malformed.")
    signatures = []
    for line in tail[:-1].split("\n"):
        match = _SIGNATURE_LINE.fullmatch(line)
        if match is None:
            raise LedgerProofError("Tree head: a signature line is malformed.")
        signatures.append((match[1], _decode_base64(match[2])))
    return TreeHead(origin=origin, size=int(size), root=root), tuple(signatures)


def open_note(note: str, verifiers: Sequence[HeadVerifier]) -> TreeHead:
    """Return the head of a note that at least one of ``verifiers`` signed.

    Raises:
        LedgerProofError: malformed, or signed by none of them.
    """
    _, signatures = parse_note(note)
    ids = {(name, raw[:KEY_ID_BYTES]) for name, raw in signatures}
    for verifier in verifiers:
        if (verifier.origin, verifier.key_id) in ids:
            return verifier.open_note(note)
    raise LedgerProofError("Tree head: signed by none of the given keys.")


def parse_verifier_key(text: str) -> HeadVerifier:
    """Return the verifier of a signed-note verifier key (see ``HeadVerifier.verifier_key``).

    Raises:
        LedgerProofError: malformed, of another algorithm, or the key id does not fit the key.
    """
    parts = text.split("+", 2)
    raw = _decode_base64(parts[2]) if len(parts) == 3 else b""
    if len(raw) != 1 + HASH_BYTES or not raw.startswith(ALGORITHM_ED25519) or not _ORIGIN.fullmatch(parts[0]):
        raise LedgerProofError("Verifier key: expected <name>+<key id in hex>+<base64 of an Ed25519 key>.")
    verifier = HeadVerifier(parts[0], raw[1:])
    if verifier.key_id.hex() != parts[1]:
        raise LedgerProofError(f"Verifier key: the key id is {verifier.key_id.hex()}, got {parts[1][:16]!r}.")
    return verifier


def load_signing_key(key: Ed25519PrivateKey | bytes) -> Ed25519PrivateKey:
    """Return an Ed25519 private key from an object, 32 raw bytes, or unencrypted PKCS#8 PEM.

    Raises:
        KeyMaterialError: anything else.
    """
    if isinstance(key, Ed25519PrivateKey):
        return key
    try:
        if len(key) == HASH_BYTES:
            return Ed25519PrivateKey.from_private_bytes(key)
        loaded = load_pem_private_key(key, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
        raise KeyMaterialError("Ledger key: got bytes that are neither 32 raw bytes nor PKCS#8 PEM.") from exc
    if not isinstance(loaded, Ed25519PrivateKey):
        raise KeyMaterialError(f"Ledger key: got {type(loaded).__name__}, expected Ed25519.")
    return loaded


def load_public_key(key: PublicKey) -> bytes:
    """Return the 32 raw bytes of an Ed25519 public key given as an object, raw bytes, or PEM.

    Raises:
        KeyMaterialError: anything else.
    """
    if isinstance(key, Ed25519PublicKey):
        return key.public_bytes_raw()
    if len(key) == HASH_BYTES:
        return key
    try:
        loaded = load_pem_public_key(key)
    except (ValueError, UnsupportedAlgorithm) as exc:
        raise KeyMaterialError("Ledger public key: got bytes that are neither 32 raw bytes nor PEM.") from exc
    if not isinstance(loaded, Ed25519PublicKey):
        raise KeyMaterialError(f"Ledger public key: got {type(loaded).__name__}, expected Ed25519.")
    return loaded.public_bytes_raw()


def load_public_keys(keys: PublicKey | Sequence[PublicKey] | None) -> tuple[bytes, ...]:
    """Return the raw bytes of one, several or no public keys.

    Raises:
        KeyMaterialError: one of them is not an Ed25519 public key.
    """
    if keys is None:
        return ()
    if isinstance(keys, bytes | Ed25519PublicKey):
        return (load_public_key(keys),)
    return tuple(load_public_key(key) for key in keys)


def _key_id(name: str, public_key: bytes) -> bytes:
    """Return the first 4 bytes of SHA-256(name || 0x0A || type || key)."""
    return hashlib.sha256(name.encode() + b"\n" + ALGORITHM_ED25519 + public_key).digest()[:KEY_ID_BYTES]


def _decode_base64(text: str) -> bytes:
    """Decode standard base64 strictly."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise LedgerProofError("Tree head: a line is not base64.") from exc
