"""Tables of a ledger file, and the triggers that make them append-only.

::

    meta           key -> value: format version, origin
    entries        idx -> canonical body (the leaf), kind, image id
    nodes          (level, idx) -> hash of a complete subtree; level 0 holds the leaf hashes
    heads          size -> root and signature: one signed head for every size the ledger ever had
    signers        key id -> public key that signed heads
    registrations  idx of the release entry -> what traces a stripped copy to its manifest
    image_codes    idx of the registration -> ISCC Image-Code: only leads to candidates, so nothing binds it

The triggers stop accidents and honest software; a hostile owner of the file can drop them. What stops him is that
every size has a signed head, and that the latest heads are known elsewhere (docs/ledger.md, "What it proves").
"""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Index, Integer, LargeBinary, MetaData, Table, Text, TextClause, text

SCHEMA_VERSION = 1
"""``PRAGMA user_version`` of a ledger file."""
APPLICATION_ID = 0x53494754
"""``PRAGMA application_id``: ASCII "SIGT", so that ``file`` and we know a ledger from another database."""

metadata = MetaData()

meta = Table(
    "meta",
    metadata,
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),
    sqlite_strict=True,
)
entries = Table(
    "entries",
    metadata,
    Column("idx", Integer, primary_key=True, autoincrement=False),
    Column("kind", Text, nullable=False),
    Column("image_id", Text),
    Column("body", LargeBinary, nullable=False),
    sqlite_strict=True,
)


def of_one_image() -> TextClause:
    """Return the condition on entries that stand for one image: at most one of them for each image id.

    SQLite uses the partial index only for a query whose condition has the very same terms, hence one place for both.
    """
    return text("kind IN ('release', 'signing')")


Index("one_release_per_image", entries.c.image_id, unique=True, sqlite_where=of_one_image())
nodes = Table(
    "nodes",
    metadata,
    Column("level", Integer, primary_key=True, autoincrement=False),
    Column("idx", Integer, primary_key=True, autoincrement=False),
    Column("hash", LargeBinary, nullable=False),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
signers = Table(
    "signers",
    metadata,
    Column("key_id", Text, primary_key=True),
    Column("public_key", LargeBinary, nullable=False),
    Column("first_size", Integer, nullable=False),
    sqlite_strict=True,
)
heads = Table(
    "heads",
    metadata,
    Column("size", Integer, primary_key=True, autoincrement=False),
    Column("root", LargeBinary, nullable=False),
    Column("key_id", Text, ForeignKey("signers.key_id"), nullable=False),
    Column("signature", LargeBinary, nullable=False),
    sqlite_strict=True,
)
registrations = Table(
    "registrations",
    metadata,
    Column("idx", Integer, ForeignKey("entries.idx"), primary_key=True, autoincrement=False),
    Column("image_id", Text, nullable=False, unique=True),
    Column("sha256", Text, nullable=False, index=True),
    Column("media_type", Text, nullable=False),
    Column("manifest", LargeBinary, nullable=False),
    Column("manifest_label", Text, nullable=False, index=True),
    Column("pdq", LargeBinary, nullable=False),
    Column("pdq_quality", Integer, nullable=False),
    Column("thumbnail", Text),
    Column("thumbnail_sha256", Text, nullable=False),
    Column("tenant", Text, nullable=False),
    Column("created_at", Text, nullable=False),
    sqlite_strict=True,
)
image_codes = Table(
    "image_codes",
    metadata,
    Column("idx", Integer, ForeignKey("registrations.idx"), primary_key=True, autoincrement=False),
    Column("iscc", LargeBinary, nullable=False),
    sqlite_strict=True,
)


def trigger_statements() -> tuple[str, ...]:
    """Return the CREATE TRIGGER statements that forbid changing, deleting and replacing rows.

    INSERT OR REPLACE would delete silently, so inserting over an existing key is refused as well. The one change
    allowed is erasing the thumbnail of a registration, for retention; its digest stays.
    """
    keys = {
        "meta": ("key",),
        "entries": ("idx",),
        "nodes": ("level", "idx"),
        "heads": ("size",),
        "signers": ("key_id",),
        "registrations": ("idx",),
    }
    statements = []
    for name, columns in keys.items():
        same = " AND ".join(f"{column} = NEW.{column}" for column in columns)
        exists = f"EXISTS (SELECT 1 FROM {name} WHERE {same})"  # noqa: S608 - constants above
        statements.append(_trigger(f"{name}_no_delete", "DELETE", name))
        statements.append(_trigger(f"{name}_no_replace", "INSERT", name, condition=exists))
        if name != "registrations":
            statements.append(_trigger(f"{name}_no_update", "UPDATE", name))
    next_idx = "NEW.idx <> (SELECT COALESCE(MAX(idx) + 1, 0) FROM entries)"
    statements.append(_trigger("entries_no_gap", "INSERT", "entries", condition=next_idx))
    kept = [column.name for column in registrations.columns if column.name != "thumbnail"]
    changed = " OR ".join(f"NEW.{column} IS NOT OLD.{column}" for column in kept)
    condition = f"NEW.thumbnail IS NOT NULL OR {changed}"
    statements.append(_trigger("registrations_only_erase", "UPDATE", "registrations", condition=condition))
    return tuple(statements)


def _trigger(name: str, event: str, table: str, *, condition: str | None = None) -> str:
    """Return one trigger that aborts ``event`` on ``table`` (when ``condition`` holds)."""
    when = f" WHEN {condition}" if condition else ""
    return (
        f"CREATE TRIGGER {name} BEFORE {event} ON {table}{when} "
        f"BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: {table}'); END"
    )
