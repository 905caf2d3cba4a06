"""All claim-signing keys of an installation, and which one signs now: rotation with overlap, without a restart.

::

    signer/               the first key: chain.pem with key.pem (a file) or key.uri (a key elsewhere, reference.py)
    signers/ID/           further ones, same files; request.pem while its certificate is awaited, ``retired`` at the end

Among the keys that are active, the one that became so last signs: when it was added (its id says when) or when its
certificate began, whichever is later. So a certificate that is installed ahead of its time takes over by itself when it
begins, and the old one stays usable until it expires or is retired. Certificates of retired keys are kept: what they
signed stays verifiable by their anchors, which rotation never removes.

A running process notices when a key is added or retired: the folders' times of change are looked at before each
signature (some microseconds), and the keys opened anew when they differ. Should that fail, the keys that were open stay
in use and ``problem`` says why, for a half-written change must not stop a service that works.
"""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from cryptography import x509

from guard.errors import GuardError, KeyMaterialError
from guard.interfaces import KeySource
from guard.provenance.certificates import SigningChain, signing_chain
from guard.provenance.key_source import CallbackKeySource, PEMKeySource
from guard.provenance.keys.interfaces import KeyAccess
from guard.provenance.keys.open_key import open_key
from guard.provenance.keys.reference import MAX_REFERENCE_CHARS, parse_reference

FIRST = "signer"
FURTHER = "signers"
CHAIN, KEY, URI, REQUEST, RETIRED = "chain.pem", "key.pem", "key.uri", "request.pem", "retired"
ID_TIME = "%Y%m%dt%H%M%S%f"
"""When a key was added, at the start of its id, UTC."""
_ID = re.compile(r"[a-z0-9][a-z0-9.-]{0,63}")


class SignerState(StrEnum):
    """Where a signing key is in its life."""

    PENDING = "pending"
    SCHEDULED = "scheduled"
    ACTIVE = "active"
    EXPIRED = "expired"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignerEntry:
    """One signing key's public side; holds no secret.

    Attributes:
        id: ``signer`` for the first key, else the name of its folder.
        folder: its folder.
        state: at the time it was looked at.
        place: ``file``, or the scheme of its reference (pkcs11, https, awskms, gcpkms, azurekms).
        chain: None while the certificate is awaited.
    """

    id: str
    folder: Path
    state: SignerState
    place: str
    chain: SigningChain | None

    def active_since(self) -> datetime | None:
        """Return when the key could first sign, or None without a certificate."""
        if self.chain is None:
            return None
        try:
            added = datetime.strptime(self.id.partition("-")[0], ID_TIME).replace(tzinfo=UTC)
        except ValueError:  # the first key, or a folder that somebody named
            return self.chain.not_before
        return max(added, self.chain.not_before)

    def state_at(self, now: datetime) -> SignerState:
        """Return the state at another time."""
        if self.chain is None or self.state is SignerState.RETIRED:
            return self.state
        if now < self.chain.not_before:
            return SignerState.SCHEDULED
        return SignerState.ACTIVE if now <= self.chain.not_after else SignerState.EXPIRED


Keys = Sequence[tuple[SignerEntry, KeySource]]


class KeyRing:
    """The usable keys of an installation; safe to share between threads."""

    def __init__(
        self,
        keys: Keys,
        *,
        clock: Callable[[], datetime],
        reload: Callable[[], Keys] | None = None,
        changed: Callable[[], object] = lambda: None,
    ) -> None:
        """Take keys with their entries, in the order of their folders.

        Args:
            keys: those that are active or scheduled.
            clock: current time, timezone-aware; asked at each signature.
            reload: opens the keys anew; None for keys that never change.
            changed: returns a value that differs once the keys have to be opened anew.
        """
        self._clock = clock
        self._reload = reload
        self._changed = changed
        self._lock = threading.Lock()
        self._problem: str | None = None
        self._stamp = changed()
        self._keys = tuple(keys)

    @property
    def problem(self) -> str | None:
        """Return why a change of the keys was not taken over, or None."""
        return self._problem

    @property
    def entries(self) -> tuple[SignerEntry, ...]:
        """Return the entries of the usable keys."""
        return tuple(entry for entry, _ in self._current_keys())

    def get(self, entry_id: str) -> KeySource:
        """Return one key by its id while it is active. Raises KeyMaterialError."""
        now = self._clock()
        for entry, key in self._current_keys():
            if entry.id == entry_id and entry.state_at(now) is SignerState.ACTIVE:
                return key
        raise KeyMaterialError(f"The signing key {entry_id} is not active.")

    def current(self) -> KeySource:
        """Return the key that signs now. Raises KeyMaterialError when every certificate has expired."""
        now = self._clock()
        active = [
            (since, place, key)
            for place, (entry, key) in enumerate(self._current_keys())
            if entry.state_at(now) is SignerState.ACTIVE and (since := entry.active_since()) is not None
        ]
        if not active:
            raise _none_usable(self.entries, now)
        return max(active, key=lambda item: item[:2])[2]

    def _current_keys(self) -> Keys:
        """Return the keys, opened anew after a change."""
        stamp = self._changed()
        if self._reload is not None and stamp != self._stamp:
            with self._lock:
                if stamp != self._stamp:
                    try:
                        self._keys, self._problem = tuple(self._reload()), None
                    except GuardError as error:
                        self._problem = str(error)
                    self._stamp = stamp
        return self._keys


def load_ring(
    folder: Path, *, now: datetime, clock: Callable[[], datetime], access: KeyAccess, development: bool
) -> KeyRing:
    """Open the active and scheduled keys of a key folder; keys elsewhere are not asked for anything yet.

    Args:
        folder: the key folder.
        now: time that decides which keys are opened, timezone-aware.
        clock: time that decides which one signs.
        access: passphrase, PIN, deadline, certificates.
        development: whether unencrypted key files are accepted.

    Raises:
        KeyMaterialError: a key or chain cannot be used, or none is active now.
        ConfigError: the extra for a key elsewhere is not installed.
    """

    def open_all(when: datetime) -> Keys:
        entries = list_signers(folder, now=when)
        usable = [entry for entry in entries if entry.state in (SignerState.ACTIVE, SignerState.SCHEDULED)]
        if not any(entry.state is SignerState.ACTIVE for entry in usable):
            raise _none_usable(entries, when)
        return [(entry, open_entry(entry, now=when, access=access, development=development)) for entry in usable]

    return KeyRing(
        open_all(now), clock=clock, reload=lambda: open_all(clock()), changed=lambda: _times_of_change(folder)
    )


def open_entry(entry: SignerEntry, *, now: datetime, access: KeyAccess, development: bool) -> KeySource:
    """Open the key of one entry that has a certificate. Raises KeyMaterialError, ConfigError."""
    if entry.chain is None:
        raise KeyMaterialError(f"The signing key {entry.id} has no certificate yet.")
    when = min(max(now, entry.chain.not_before), entry.chain.not_after)  # one that is scheduled is checked as of then
    if entry.place == "file":
        return PEMKeySource.from_files(
            entry.folder / KEY,
            entry.folder / CHAIN,
            now=when,
            passphrase=access.passphrase,
            development=development,
        )
    handle = open_key(parse_reference(_read_reference(entry.folder / URI)), access=access)
    return CallbackKeySource(certificate_chain_pem=entry.chain.pem, sign=handle.sign, now=when)


def list_signers(folder: Path, *, now: datetime) -> tuple[SignerEntry, ...]:
    """Describe every signing key of a key folder, the first one first, then by id; reads no private key.

    Raises:
        KeyMaterialError: a chain is unreadable or cannot be used for claim signing at all.
    """
    further = folder / FURTHER
    folders = [path for path in sorted(further.iterdir()) if _ID.fullmatch(path.name)] if further.is_dir() else []
    first = folder / FIRST
    return tuple(_entry(path, now=now) for path in ([first] if first.is_dir() else []) + folders)


def days_covered(entries: Sequence[SignerEntry], *, now: datetime) -> int:
    """Return whole days from now for which some key can sign without a gap; negative when none can now."""
    chains = sorted(
        (entry.chain for entry in entries if entry.chain is not None and entry.state is not SignerState.RETIRED),
        key=lambda chain: chain.not_before,
    )
    end = now
    for chain in chains:
        if chain.not_before <= end:
            end = max(end, chain.not_after)
    if end == now:  # nothing is active: say for how long already
        return max(((chain.not_after - now).days for chain in chains if chain.not_after <= now), default=-1)
    return (end - now).days


def leaf_of(chain_pem: str) -> x509.Certificate:
    """Return the first certificate of a chain. Raises KeyMaterialError."""
    try:
        return x509.load_pem_x509_certificate(chain_pem.encode("ascii"))
    except (ValueError, UnicodeEncodeError) as exc:
        raise KeyMaterialError(f"The text is not a PEM certificate chain: {exc}.") from exc


def checked_chain(chain_pem: str, *, now: datetime) -> SigningChain:
    """Check a chain as of the nearest time at which it is valid. Raises KeyMaterialError."""
    leaf = leaf_of(chain_pem)
    return signing_chain(chain_pem, now=min(max(now, leaf.not_valid_before_utc), leaf.not_valid_after_utc))


def _entry(folder: Path, *, now: datetime) -> SignerEntry:
    """Look at one folder. Raises KeyMaterialError."""
    place = "file"
    if (folder / URI).exists():
        place = _read_reference(folder / URI).partition(":")[0]
    elif not (folder / KEY).exists() and not (folder / RETIRED).exists():
        raise KeyMaterialError(f"{folder} holds neither {KEY} nor {URI}; expected a signing key or a reference to one.")
    chain = None
    if (folder / CHAIN).exists():
        try:
            chain = checked_chain((folder / CHAIN).read_text(encoding="ascii"), now=now)
        except (OSError, UnicodeDecodeError) as exc:
            raise KeyMaterialError(f"{folder / CHAIN} cannot be read as a PEM certificate chain: {exc}.") from exc
    state = SignerState.RETIRED if (folder / RETIRED).exists() else SignerState.PENDING
    entry = SignerEntry(id=folder.name, folder=folder, state=state, place=place, chain=chain)
    if chain is None or state is SignerState.RETIRED:
        return entry
    dated = SignerEntry(id=folder.name, folder=folder, state=SignerState.ACTIVE, place=place, chain=chain)
    return SignerEntry(id=folder.name, folder=folder, state=dated.state_at(now), place=place, chain=chain)


def _times_of_change(folder: Path) -> tuple[tuple[str, int], ...]:
    """Return when each key's folder last got or lost a file."""
    further = folder / FURTHER
    found = []
    with contextlib.suppress(OSError):  # a folder that goes while it is looked at counts as a change next time
        folders = [folder / FIRST, *([further, *sorted(further.iterdir())] if further.is_dir() else [])]
        found = [(path.name, path.stat().st_mtime_ns) for path in folders if path.is_dir()]
    return tuple(found)


def _read_reference(path: Path) -> str:
    """Return the text of key.uri. Raises KeyMaterialError."""
    try:
        with path.open(encoding="utf-8") as file:
            return file.read(MAX_REFERENCE_CHARS + 2).strip()
    except (OSError, UnicodeDecodeError) as exc:
        raise KeyMaterialError(f"{path} cannot be read: {exc}.") from exc


def _none_usable(entries: Sequence[SignerEntry], now: datetime) -> KeyMaterialError:
    """Say what there is instead of an active key."""
    found = ", ".join(f"{entry.id} is {entry.state_at(now)}" for entry in entries) or "there is none"
    details = "".join(
        f" The certificate of {entry.chain.subject} is valid from {entry.chain.not_before:%Y-%m-%d %H:%M} to "
        f"{entry.chain.not_after:%Y-%m-%d %H:%M} UTC; it is {now:%Y-%m-%d %H:%M}."
        for entry in entries
        if entry.chain is not None and entry.state_at(now) in (SignerState.EXPIRED, SignerState.SCHEDULED)
    )
    return KeyMaterialError(
        f"No signing key is active: {found}.{details}",
        next_step="Install a certificate (`signet keys install`), or make a new key (`signet keys rotate`).",
    )
