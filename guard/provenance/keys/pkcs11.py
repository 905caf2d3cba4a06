"""A signing key in a PKCS #11 token (HSM, smart card, SoftHSM); it never leaves the token.

python-pkcs11's sessions are not safe to share between threads, and PKCS #11 libraries are dead after a fork
(PKCS #11 3.0 section 5.5), so one session per process is used under a lock. A session that broke (token restarted) is
opened anew once per call. A call into the token's library cannot be cancelled: the deadline bounds the wait for the
lock, so a hung token fails every request but the one that hangs.
"""

from __future__ import annotations

import os
import threading
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from guard.errors import ConfigError, KeyMaterialError, SigningError
from guard.provenance.key_source import read_secret
from guard.provenance.keys.interfaces import KeyAccess, PublicKey
from guard.provenance.keys.reference import PKCS11Reference
from guard.provenance.keys.signature_forms import algorithm_name, curve_by_oid, digest_of

_PSS_SALT_BYTES = 32
"""As long as the digest. Source: RFC 8230 section 2."""


class PKCS11Key:
    """``KeyHandle`` over python-pkcs11."""

    def __init__(self, reference: PKCS11Reference, *, access: KeyAccess) -> None:
        """Prepare; the token is asked on first use in each process."""
        self._reference = reference
        self._access = access
        self._lock = threading.Lock()
        self._opened: tuple[int, Any] | None = None

    def public_key(self) -> PublicKey:
        """Return the token's public key object. Raises KeyMaterialError, SigningError."""
        return _public_key(self._locked(lambda session: self._find(session, public=True)))

    def sign(self, data: bytes) -> bytes:
        """Return the raw signature. Raises SigningError when the token fails, KeyMaterialError without the key."""
        return bytes(self._locked(lambda session: _sign(self._find(session, public=False), data)))

    def close(self) -> None:
        """Log out."""
        if self._opened is not None and self._opened[0] == os.getpid():
            self._opened[1].close()
        self._opened = None

    def _locked(self, use: Any) -> Any:
        """Run ``use(session)`` alone, with one new session should the old one have broken."""
        import pkcs11.exceptions

        if not self._lock.acquire(timeout=self._access.deadline_s):
            raise SigningError(
                f"The token stayed busy for {self._access.deadline_s:g} s.",
                next_step="Check that the token answers (pkcs11-tool --list-slots).",
            )
        try:
            try:
                return use(self._session())
            except (
                pkcs11.exceptions.SessionHandleInvalid,
                pkcs11.exceptions.SessionClosed,
                pkcs11.exceptions.DeviceRemoved,
                pkcs11.exceptions.UserNotLoggedIn,
            ):
                self._opened = None
                return use(self._session())
        except pkcs11.exceptions.PKCS11Error as exc:
            raise SigningError(
                f"The token failed: {type(exc).__name__}.",
                next_step="Check the token, its PIN and the key's usage (pkcs11-tool --list-objects --login).",
            ) from exc
        finally:
            self._lock.release()

    def _session(self) -> Any:
        """Return this process's session. Raises PKCS11Error, KeyMaterialError."""
        if self._opened is None or self._opened[0] != os.getpid():
            library = _library(self._reference)
            if self._opened is not None:  # forked: the library's state is the parent's
                library.reinitialize()
            self._opened = (os.getpid(), self._open(self._token(library)))
        return self._opened[1]

    def _open(self, token: Any) -> Any:
        """Log in; another key of this process may have done so already, for login is per process and token."""
        import pkcs11.exceptions

        try:
            return token.open(user_pin=self._pin())
        except pkcs11.exceptions.UserAlreadyLoggedIn:
            return token.open()

    def _token(self, library: Any) -> Any:
        """Return the named token, or the only one there is."""
        from pkcs11 import TokenFlag

        tokens = [slot.get_token() for slot in library.get_slots(token_present=True)]
        wanted = self._reference.token
        found = [t for t in tokens if TokenFlag.TOKEN_INITIALIZED in t.flags and wanted in (None, t.label)]
        if len(found) != 1:
            raise KeyMaterialError(
                f"{len(found)} tokens fit {wanted!r} in {self._reference.module}; expected one.",
                next_step="Name the token in the reference (token=LABEL); pkcs11-tool --list-slots shows all.",
            )
        return found[0]

    def _pin(self) -> str | None:
        """Return the PIN from its file, else from the configured passphrase."""
        if self._reference.pin_file is not None:
            pin = read_secret(self._reference.pin_file)
        elif self._access.passphrase is not None:
            pin = self._access.passphrase()
        else:
            return None
        return pin.decode("utf-8").rstrip("\r\n")

    def _find(self, session: Any, *, public: bool) -> Any:
        """Return the key object. Raises KeyMaterialError unless exactly one fits."""
        from pkcs11 import Attribute, ObjectClass

        wanted: dict[Any, Any] = {Attribute.CLASS: ObjectClass.PUBLIC_KEY if public else ObjectClass.PRIVATE_KEY}
        if self._reference.label is not None:
            wanted[Attribute.LABEL] = self._reference.label
        if self._reference.object_id is not None:
            wanted[Attribute.ID] = self._reference.object_id
        found = list(session.get_objects(wanted))
        if len(found) != 1:
            kind = "public" if public else "private"
            raise KeyMaterialError(
                f"The token holds {len(found)} {kind} keys that fit the reference; expected one.",
                next_step="Check object= and id= of the reference (pkcs11-tool --list-objects --login).",
            )
        return found[0]


def _library(reference: PKCS11Reference) -> Any:
    """Load the token's library. Raises ConfigError, KeyMaterialError."""
    try:
        import pkcs11
    except ImportError as exc:
        raise ConfigError("python-pkcs11 is not installed.", next_step="pip install 'signet-gateway[pkcs11]'") from exc
    try:
        return pkcs11.lib(str(reference.module))
    except (pkcs11.exceptions.PKCS11Error, RuntimeError, OSError) as exc:
        raise KeyMaterialError(
            f"The PKCS #11 library {reference.module} cannot be loaded: {exc}.",
            next_step="Correct module-path of the reference.",
        ) from exc


def _public_key(found: Any) -> PublicKey:
    """Return a token's public key object as a key."""
    from asn1crypto.core import ObjectIdentifier, OctetString
    from pkcs11 import Attribute, KeyType

    if found.key_type is KeyType.RSA:
        modulus, exponent = (
            int.from_bytes(found[name], "big") for name in (Attribute.MODULUS, Attribute.PUBLIC_EXPONENT)
        )
        return rsa.RSAPublicNumbers(exponent, modulus).public_key()
    point = OctetString.load(bytes(found[Attribute.EC_POINT])).native
    if found.key_type is KeyType.EC_EDWARDS:
        return ed25519.Ed25519PublicKey.from_public_bytes(point)
    oid = ObjectIdentifier.load(bytes(found[Attribute.EC_PARAMS])).dotted
    return ec.EllipticCurvePublicKey.from_encoded_point(curve_by_oid(oid), point)


def _sign(key: Any, data: bytes) -> bytes:
    """Sign as COSE wants it: CKM_ECDSA returns r || s already (PKCS #11 3.0 section 6.3.1)."""
    from pkcs11 import MGF, Attribute, KeyType, Mechanism

    if key.key_type is KeyType.RSA:
        pss = (Mechanism.SHA256, MGF.SHA256, _PSS_SALT_BYTES)
        return bytes(key.sign(data, mechanism=Mechanism.SHA256_RSA_PKCS_PSS, mechanism_param=pss))
    if key.key_type is KeyType.EC_EDWARDS:
        return bytes(key.sign(data, mechanism=Mechanism.EDDSA))
    from asn1crypto.core import ObjectIdentifier

    curve = curve_by_oid(ObjectIdentifier.load(bytes(key[Attribute.EC_PARAMS])).dotted)
    algorithm = algorithm_name(ec.derive_private_key(1, curve).public_key())
    return bytes(key.sign(digest_of(algorithm, data), mechanism=Mechanism.ECDSA))
