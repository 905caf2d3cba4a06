"""Trust lists of an installation: fetched or imported, kept apart by kind, each pinned to the digest of its content.

::

    lists.json            {"version": 1, "lists": [{name, kind, source, sha256, pinned, updated_at}]}
    NAME.pem              the list exactly as it was published, so that its digest can be compared with others'

A list whose digest is not the recorded one is not used: somebody changed the file. A pinned list changes only when the
new digest is named, so that an update cannot add a root unseen; an unpinned one follows its source.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from guard.errors import KeyMaterialError, VerificationError
from guard.provenance.certificates import name_of
from guard.provenance.http_exchange import exchange
from guard.provenance.trust import MAX_LIST_BYTES, NamedAnchors, TrustAnchors, TrustKind, only_certificates

FORMAT_VERSION = 1
INDEX = "lists.json"
_OFFICIAL = "https://raw.githubusercontent.com/c2pa-org/conformance-public/main/trust-list"
OFFICIAL_LISTS: dict[str, tuple[TrustKind, str]] = {
    "c2pa": (TrustKind.MANIFEST, f"{_OFFICIAL}/C2PA-TRUST-LIST.pem"),
    "c2pa-tsa": (TrustKind.TSA, f"{_OFFICIAL}/C2PA-TSA-TRUST-LIST.pem"),
}
"""The lists of the C2PA conformance programme. Source: c2pa-org/conformance-public, directory trust-list."""
DOWNLOAD_DEADLINE_S = 20.0
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ListEntry:
    """One trust list.

    Attributes:
        name: lower-case letters, digits, hyphens; shown in verdicts.
        kind: whom it vouches for.
        source: URL that it is fetched from, or the file that it was imported from.
        sha256: of the list as published, hex.
        pinned: whether an update must name the new digest.
        updated_at: when its content last changed here, ISO 8601.
    """

    name: str
    kind: TrustKind
    source: str
    sha256: str
    pinned: bool
    updated_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ListChange:
    """What an update did.

    Attributes:
        entry: the list afterwards.
        added: names of certificates that came.
        removed: names of certificates that went.
    """

    entry: ListEntry
    added: tuple[str, ...]
    removed: tuple[str, ...]


class ListPinnedError(VerificationError):
    """A list changed at its source, but is pinned to another digest; it was not taken over."""

    code = "trust_list_pinned"

    def __init__(self, change: ListChange, *, pinned: str) -> None:
        """Say what would change, and how to accept it."""
        entry = change.entry
        super().__init__(
            f"The list {entry.name} is pinned to {pinned[:16]}..., but {entry.source} now has {entry.sha256}: "
            f"{len(change.added)} certificates added ({', '.join(change.added[:5]) or 'none'}), "
            f"{len(change.removed)} removed ({', '.join(change.removed[:5]) or 'none'}).",
            next_step=f"Check the change, then accept it with `signet trust update {entry.name} --from {entry.source} "
            f"--sha256 {entry.sha256}`.",
        )
        self.change = change


class TrustStore:
    """The trust lists in one folder; written by commands, read at start-up."""

    def __init__(self, folder: Path) -> None:
        """Take a folder, which need not exist yet."""
        self._folder = folder

    def entries(self) -> tuple[ListEntry, ...]:
        """Return all lists, by name. Raises KeyMaterialError when the index is damaged."""
        file = self._folder / INDEX
        if not file.exists():
            return ()
        try:
            index = json.loads(file.read_text(encoding="utf-8"))
            if index["version"] != FORMAT_VERSION:
                raise ValueError(f"version {index['version']!r}")
            return tuple(_entry(fields) for fields in index["lists"])
        except (OSError, ValueError, KeyError, TypeError) as exc:
            raise KeyMaterialError(
                f"{file} cannot be read as an index of trust lists: {exc}.",
                next_step="Move it away, then run `signet trust update`.",
            ) from exc

    def anchors(self) -> TrustAnchors:
        """Return the anchors of all lists. Raises KeyMaterialError when a list is not what was recorded."""
        return TrustAnchors(
            named=tuple(
                NamedAnchors(name=entry.name, kind=entry.kind, pem=only_certificates(self._text(entry)))
                for entry in self.entries()
            )
        )

    def certificates(self, entry: ListEntry) -> tuple[x509.Certificate, ...]:
        """Return the certificates of a list. Raises KeyMaterialError."""
        return _certificates(self._text(entry).encode("utf-8"), where=entry.name)

    def update(
        self,
        name: str,
        *,
        kind: TrustKind | None = None,
        source: str | None = None,
        sha256: str | None = None,
        now: datetime,
    ) -> ListChange:
        """Fetch or import a list and take it over where that is allowed.

        Args:
            name: of a known list, an official one (c2pa, c2pa-tsa), or a new one.
            kind: of a new list; a known one keeps its kind.
            source: https URL or path; None takes the known source again.
            sha256: digest that the content has to have; needed to change a list that is pinned.
            now: current time, timezone-aware.

        Raises:
            ListPinnedError: the content changed, the list is pinned, and ``sha256`` was not given.
            KeyMaterialError: not a list, wrong digest, kind or source missing, or it cannot be fetched or written.
        """
        known = {entry.name: entry for entry in self.entries()}
        before = known.get(name)
        kind, source = _kind_and_source(name, before, kind, source)
        if not source.startswith("https://"):
            source = str(Path(source).absolute())
        content = _fetch(source) if source.startswith("https://") else _read(Path(source))
        digest = hashlib.sha256(content).hexdigest()
        if sha256 is not None and digest != sha256.lower():
            raise KeyMaterialError(
                f"{source} has the SHA-256 {digest}; expected {sha256.lower()}.",
                next_step="Compare with the digest that its publisher names; do not use the list until they agree.",
            )
        after = ListEntry(
            name=name,
            kind=kind,
            source=source,
            sha256=digest,
            pinned=before.pinned if before is not None else True,
            updated_at=now.astimezone(UTC).isoformat(timespec="seconds"),
        )
        new = _names(_certificates(content, where=source))
        old = _names(self.certificates(before)) if before is not None else frozenset()
        change = ListChange(entry=after, added=tuple(sorted(new - old)), removed=tuple(sorted(old - new)))
        if before is not None and before.pinned and before.sha256 != digest and sha256 is None:
            raise ListPinnedError(change, pinned=before.sha256)
        if before is not None and before.sha256 == digest:
            change = replace(change, entry=replace(after, updated_at=before.updated_at))
        self._write(f"{name}.pem", content)
        self._write_index({**known, name: change.entry})
        return change

    def pin(self, name: str, *, pinned: bool) -> ListEntry:
        """Pin a list to its present content, or let it follow its source. Raises KeyMaterialError."""
        known = {entry.name: entry for entry in self.entries()}
        if name not in known:
            raise KeyMaterialError(
                f"There is no trust list {name!r}; there are {', '.join(known) or 'none'}.",
                next_step="Run `signet trust list`.",
            )
        entry = replace(known[name], pinned=pinned)
        self._write_index({**known, name: entry})
        return entry

    def remove(self, name: str) -> ListEntry:
        """Trust a list no more. Raises KeyMaterialError."""
        known = {entry.name: entry for entry in self.entries()}
        entry = self.pin(name, pinned=True)
        self._write_index({other: kept for other, kept in known.items() if other != name})
        (self._folder / f"{name}.pem").unlink(missing_ok=True)
        return entry

    def _text(self, entry: ListEntry) -> str:
        """Return a list as published. Raises KeyMaterialError."""
        content = _read(self._folder / f"{entry.name}.pem")
        if hashlib.sha256(content).hexdigest() != entry.sha256:
            raise KeyMaterialError(
                f"The trust list {entry.name} was changed after it was imported: its SHA-256 is not {entry.sha256}.",
                next_step=f"Fetch it again (`signet trust update {entry.name}`) and find out who changed it.",
            )
        return content.decode("utf-8", errors="replace")

    def _write_index(self, entries: dict[str, ListEntry]) -> None:
        index = {"version": FORMAT_VERSION, "lists": [asdict(entries[name]) for name in sorted(entries)]}
        self._write(INDEX, json.dumps(index, indent=2).encode() + b"\n")

    def _write(self, name: str, content: bytes) -> None:
        """Replace a file in one step. Raises KeyMaterialError."""
        part = self._folder / f".{name}.{secrets.token_hex(4)}"
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with part.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            part.replace(self._folder / name)
        except OSError as exc:
            part.unlink(missing_ok=True)
            raise KeyMaterialError(f"{self._folder / name} cannot be written: {exc.strerror or exc}.") from exc


def _entry(fields: dict[str, Any]) -> ListEntry:
    """Read one entry of the index. Raises ValueError, KeyError, TypeError."""
    entry = ListEntry(**{**fields, "kind": TrustKind(fields["kind"])})
    if not _NAME.fullmatch(entry.name) or not _DIGEST.fullmatch(entry.sha256) or not isinstance(entry.pinned, bool):
        raise ValueError(f"the entry {entry.name!r} is malformed")
    return entry


def _kind_and_source(
    name: str, before: ListEntry | None, kind: TrustKind | None, source: str | None
) -> tuple[TrustKind, str]:
    """Complete what was given from what is known. Raises KeyMaterialError."""
    if not _NAME.fullmatch(name):
        raise KeyMaterialError(f"{name!r} cannot name a trust list; expected letters, digits and hyphens, up to 40.")
    known = (before.kind, before.source) if before is not None else OFFICIAL_LISTS.get(name)
    if known is not None and kind not in (None, known[0]):
        raise KeyMaterialError(
            f"The list {name} vouches for {known[0].describe()}, not for {kind.describe() if kind else ''}; kinds are "
            "kept apart.",
            next_step="Import it under another name.",
        )
    kind, source = kind or (known[0] if known else None), source or (known[1] if known else None)
    if kind is None or source is None:
        raise KeyMaterialError(
            f"The list {name} is new; expected its kind and where it comes from.",
            next_step=f"signet trust update {name} --kind manifest --from FILE-OR-URL",
        )
    if "://" in source and not source.startswith("https://"):
        raise KeyMaterialError(f"{source} is not https; a trust list is fetched over https, or imported from a file.")
    return kind, source


def _fetch(url: str) -> bytes:
    """Download a list. Raises KeyMaterialError."""
    try:
        answer = exchange(url, deadline_s=DOWNLOAD_DEADLINE_S, max_bytes=MAX_LIST_BYTES)
    except (OSError, ValueError) as exc:
        raise KeyMaterialError(
            f"The trust list cannot be fetched from {url}: {exc}.",
            next_step="Download it on another machine and import the file (--from FILE).",
        ) from exc
    if answer.status != 200:
        raise KeyMaterialError(f"{url} answered HTTP {answer.status}; expected the list.")
    return answer.body


def _read(path: Path) -> bytes:
    """Read a list. Raises KeyMaterialError."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_LIST_BYTES + 1)
    except OSError as exc:
        raise KeyMaterialError(f"{path} cannot be read: {exc.strerror or exc}.") from exc
    if len(content) > MAX_LIST_BYTES:
        raise KeyMaterialError(f"{path} has more than {MAX_LIST_BYTES} bytes; expected a list of PEM certificates.")
    return content


def _certificates(content: bytes, *, where: str) -> tuple[x509.Certificate, ...]:
    """Parse every certificate of a list. Raises KeyMaterialError when there is none, or one is damaged."""
    try:
        return tuple(x509.load_pem_x509_certificates(only_certificates(content.decode("utf-8")).encode("ascii")))
    except (ValueError, KeyMaterialError) as exc:
        raise KeyMaterialError(f"{where} is not a list of PEM certificates: {exc}.") from exc


def _names(certificates: tuple[x509.Certificate, ...]) -> frozenset[str]:
    """Return what tells the certificates apart, for people."""
    return frozenset(
        f"{name_of(certificate)} ({certificate.fingerprint(hashes.SHA256()).hex()[:8]})" for certificate in certificates
    )
