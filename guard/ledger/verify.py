"""Full audit of a ledger file: trusts nothing but the canonical bytes of the entries and the given public keys.

1. SQLite's own integrity check, the format, the triggers, the signing keys.
2. One pass over the entries in batches: canonical form, schema, index columns, leaf hash, every tree node, and for
   every size the stored head: root and signature. Since each size has a signed head, the first wrong one names the
   entry that was changed, even when all hashes above it were recomputed.
3. In the same pass: the registry row that each release binds, and the state of its bytes in the image store.
4. Counts: no node, head or registration too few or too many; heads published earlier are still met.

Memory is steady (one batch); the time is linear: see docs/ledger.md for figures.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from sqlalchemy import Connection, RowMapping, func, select, text

from guard.errors import LedgerError, LedgerProofError
from guard.ledger.canonical_json import parse_canonical
from guard.ledger.checkpoint import HeadVerifier, PublicKey, TreeHead, load_public_keys
from guard.ledger.database import Database
from guard.ledger.entry import registry_digest
from guard.ledger.entry_schema import CheckedEntry, check_entry
from guard.ledger.hash_tree import EMPTY_ROOT, Frontier, leaf_hash
from guard.ledger.image_store import Deleted, Stored
from guard.ledger.report import LedgerReport, ProblemList, PublishedHeads
from guard.ledger.tables import entries, heads, meta, nodes, registrations, signers, trigger_statements
from guard.records import ImageID

BATCH = 256
"""Entries a step: with 60 KB manifests some 15 MB."""


class ImageStates(Protocol):
    """The part of an image store that an audit needs."""

    def state(self, image_id: ImageID) -> Stored | Deleted | None:
        """Return whether the bytes are stored or deleted."""
        ...

    def get(self, image_id: ImageID) -> tuple[bytes, str] | None:
        """Return the bytes and their media type."""
        ...


def verify_ledger(
    path: Path | str,
    *,
    public_key: PublicKey | Sequence[PublicKey] | None = None,
    images: ImageStates | None = None,
    hash_images: bool = False,
    published_heads: Sequence[str] = (),
) -> LedgerReport:
    """Audit a ledger file, read-only; works beside a running writer (one snapshot).

    Args:
        path: the file.
        public_key: the key that may have signed, or all of them after rotations; None takes those stored in the file.
        images: also check that every released image is stored or was deleted for a reason.
        hash_images: with ``images``, also read the stored bytes and compare their SHA-256 (slow: reads every image).
        published_heads: signed notes kept elsewhere; the ledger must still meet each of them.

    Returns:
        The report; damage of any kind is a problem in it.

    Raises:
        LedgerError: no such file.
        KeyMaterialError: a public key is not Ed25519.
    """
    pinned = load_public_keys(public_key)
    file = Path(path)
    if not file.is_file():
        raise LedgerError(f"Ledger {file}: no such file.", next_step="Check the path of the ledger.")
    problems = ProblemList()
    audit: _Audit | None = None
    try:
        database = Database(file)
        try:
            with database.read() as connection:
                audit = _Audit(connection, problems, pinned=pinned, published_heads=published_heads)
                audit.run(images, hash_images=hash_images)
        finally:
            database.close()
    except LedgerError as exc:
        problems.add("unreadable", f"the file cannot be read to its end: {exc}")
    if audit is None:
        return problems.report(size=0, root=EMPTY_ROOT, verifiers=(), keys_pinned=bool(pinned))
    return audit.report()


class _Audit:
    """One pass over one snapshot."""

    def __init__(
        self,
        connection: Connection,
        problems: ProblemList,
        *,
        pinned: Sequence[bytes],
        published_heads: Sequence[str],
    ) -> None:
        self._connection = connection
        self._problems = problems
        self._frontier = Frontier()
        self._registered = 0
        self._keys_pinned = bool(pinned)
        self._verifiers = self._read_signers(pinned)
        self._published = PublishedHeads(published_heads, tuple(self._verifiers.values()), problems)

    def run(self, images: ImageStates | None, *, hash_images: bool) -> None:
        """Do steps 1 to 4."""
        self._check_file()  # (1)
        self._check_head(0, EMPTY_ROOT, self._heads(0, 1).get(0))
        self._published.reached(0, EMPTY_ROOT)
        for batch in self._batches():  # (2)
            self._check_batch(batch, images, hash_images=hash_images)  # (3)
        self._check_counts()  # (4)
        self._published.finish(self._frontier.size)

    def report(self) -> LedgerReport:
        """Return what was found so far."""
        return self._problems.report(
            size=self._frontier.size,
            root=self._frontier.root(),
            verifiers=tuple(self._verifiers.values()),
            keys_pinned=self._keys_pinned,
        )

    def _read_signers(self, pinned: Sequence[bytes]) -> dict[str, HeadVerifier]:
        """Return the accepted keys by key id; keys that signed but are not pinned are a problem."""
        origin = self._connection.execute(select(meta.c.value).where(meta.c.key == "origin")).scalar_one_or_none()
        if origin is None:
            self._problems.add("origin", "the ledger does not say its origin")
            return {}
        stored = self._connection.execute(select(signers.c.public_key)).scalars().all()
        for public_key in stored:
            if pinned and public_key not in pinned:
                self._problems.add("unknown_key", f"a key that was not given signed here: {public_key.hex()}")
        verifiers = [HeadVerifier(origin, key) for key in (pinned or stored)]
        return {verifier.key_id.hex(): verifier for verifier in verifiers}

    def _check_file(self) -> None:
        """Run SQLite's integrity check and compare the triggers."""
        for row in self._connection.execute(text("PRAGMA integrity_check(10)")):
            if row[0] != "ok":
                self._problems.add("database_damaged", f"SQLite integrity check: {row[0]}")
        query = text("SELECT sql FROM sqlite_master WHERE type = 'trigger'")
        present = set(self._connection.execute(query).scalars())
        missing = [statement.split()[2] for statement in trigger_statements() if statement not in present]
        if missing:
            self._problems.add("triggers_missing", f"triggers were dropped or changed: {', '.join(missing)}")

    def _batches(self) -> Iterator[Sequence[RowMapping]]:
        """Yield the entries in order, some at a time."""
        last = -1
        while True:
            query = select(entries).where(entries.c.idx > last).order_by(entries.c.idx).limit(BATCH)
            rows = self._connection.execute(query).mappings().all()
            if not rows:
                return
            yield rows
            last = rows[-1]["idx"]

    def _check_batch(self, rows: Sequence[RowMapping], images: ImageStates | None, *, hash_images: bool) -> None:
        """Check some consecutive entries and everything that belongs to them."""
        first, stop = rows[0]["idx"], rows[-1]["idx"] + 1
        between = registrations.c.idx.between(first, stop - 1)
        found = self._connection.execute(select(registrations).where(between)).mappings()
        registered = {row["idx"]: row for row in found}
        stored_heads = self._heads(first + 1, stop + 1)
        completed: list[tuple[int, int, bytes]] = []
        for row in rows:
            index = row["idx"]
            if index != self._frontier.size:
                self._problems.add("entry_missing", f"expected entry {self._frontier.size} here", entry=index)
            entry = self._check_entry(row)
            completed += self._frontier.add(leaf_hash(row["body"]))
            self._check_head(self._frontier.size, self._frontier.root(), stored_heads.get(self._frontier.size))
            self._published.reached(self._frontier.size, self._frontier.root())
            self._check_registration(index, entry, registered.get(index))
            if entry is not None and entry.kind == "release" and images is not None:
                self._check_image(index, entry, images, hash_images=hash_images)
        self._check_nodes(completed)

    def _check_entry(self, row: RowMapping) -> CheckedEntry | None:
        """Check form, schema and index columns of one entry; return it when it can be read."""
        try:
            entry = check_entry(parse_canonical(row["body"]))
        except (LedgerError, TypeError, ValueError) as exc:
            self._problems.add("entry_malformed", f"{exc}", entry=row["idx"])
            return None
        self._registered += entry.registration_sha256 is not None
        if (entry.kind, entry.image_id) != (row["kind"], row["image_id"]):
            self._problems.add("entry_columns", "kind or image id differ from the body", entry=row["idx"])
        return entry

    def _check_nodes(self, completed: Sequence[tuple[int, int, bytes]]) -> None:
        """Compare recomputed complete subtrees with the stored ones, level by level."""
        by_level: dict[int, dict[int, bytes]] = {}
        for level, index, digest in completed:
            by_level.setdefault(level, {})[index] = digest
        for level, expected in by_level.items():
            within = nodes.c.idx.between(min(expected), max(expected))
            query = select(nodes.c.idx, nodes.c.hash).where(nodes.c.level == level, within)
            stored = {row.idx: row.hash for row in self._connection.execute(query)}
            for index, digest in expected.items():
                if stored.get(index) != digest:
                    first = index << level
                    what = "has no stored hash" if index not in stored else "differs from its stored hash"
                    span = (
                        "the entry" if level == 0 else f"the subtree over entries {first}..{first + (1 << level) - 1}"
                    )
                    code = "leaf_mismatch" if level == 0 else "node_mismatch"
                    self._problems.add(code, f"{span} {what}", entry=first if level == 0 else None)

    def _heads(self, first: int, stop: int) -> dict[int, RowMapping]:
        """Return the stored heads of sizes first..stop-1."""
        query = select(heads).where(heads.c.size.between(first, stop - 1))
        return {row["size"]: row for row in self._connection.execute(query).mappings()}

    def _check_head(self, size: int, root: bytes, row: RowMapping | None) -> None:
        """Check the stored head of one size: root, key and signature."""
        entry = size - 1 if size else None
        if row is None:
            self._problems.add("head_missing", f"there is no signed head of size {size}", entry=entry)
            return
        verifier = self._verifiers.get(row["key_id"])
        if verifier is None:
            self._problems.add("head_key", f"the head of size {size} is by an unknown key {row['key_id']}", entry=entry)
            return
        try:
            verifier.check(TreeHead(origin=verifier.origin, size=size, root=row["root"]), row["signature"])
        except LedgerProofError as exc:
            self._problems.add("head_signature", f"{exc}", entry=entry)
            return
        if row["root"] != root:
            self._problems.add(
                "root_mismatch", f"the signed root of size {size} is {row['root'].hex()}, got {root.hex()}", entry=entry
            )

    def _check_registration(self, index: int, entry: CheckedEntry | None, row: RowMapping | None) -> None:
        """Check that the registry row is the one that the entry binds."""
        if entry is None:
            return
        if (entry.registration_sha256 is not None) != (row is not None):
            what = "has no registration" if row is None else f"is a {entry.kind} and has a registration"
            self._problems.add("registration_missing" if row is None else "registration_extra", what, entry=index)
        elif row is not None and _bound_digest(row) != entry.registration_sha256:
            self._problems.add("registration_mismatch", "the registration is not the one recorded", entry=index)
        elif row is not None and not _thumbnail_fits(row):
            self._problems.add("registration_mismatch", "the thumbnail is not the one recorded", entry=index)

    def _check_image(self, index: int, entry: CheckedEntry, images: ImageStates, *, hash_images: bool) -> None:
        """Check that the bytes of a release are stored, or deleted for a reason."""
        image_id = ImageID(str(entry.image_id))
        try:
            state = images.state(image_id)
            if state is None:
                self._problems.add(
                    "image_missing", f"the bytes of {image_id} are neither stored nor deleted", entry=index
                )
            elif hash_images and isinstance(state, Stored):
                found = images.get(image_id)
                if found is None or hashlib.sha256(found[0]).hexdigest() != entry.image_sha256:
                    self._problems.add(
                        "image_changed", f"the stored bytes of {image_id} are not those released", entry=index
                    )
        except LedgerError as exc:
            self._problems.add("image_unreadable", f"{exc}", entry=index)

    def _check_counts(self) -> None:
        """Check that nothing was added beside what the entries account for."""
        size = self._frontier.size
        expected = {nodes: 2 * size - size.bit_count(), heads: size + 1, registrations: self._registered}
        for table, count in expected.items():
            stored = self._connection.execute(select(func.count()).select_from(table)).scalar_one()
            if stored != count:
                self._problems.add("row_count", f"{table.name} has {stored} rows, {count} expected")


def _thumbnail_fits(row: RowMapping) -> bool:
    """Return whether the thumbnail is the one recorded, or was erased."""
    text_form = row["thumbnail"]
    return text_form is None or hashlib.sha256(text_form.encode()).hexdigest() == row["thumbnail_sha256"]


def _bound_digest(row: RowMapping) -> str:
    """Return the digest that the release entry of a registry row must carry."""
    return registry_digest(
        image_id=row["image_id"],
        sha256=row["sha256"],
        media_type=row["media_type"],
        manifest_sha256=hashlib.sha256(row["manifest"]).hexdigest(),
        manifest_label=row["manifest_label"],
        pdq=row["pdq"].hex(),
        pdq_quality=row["pdq_quality"],
        thumbnail_sha256=row["thumbnail_sha256"],
        tenant=row["tenant"],
    )
