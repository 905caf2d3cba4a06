"""Self-contained exports of a ledger: one JSON line a record, verifiable offline with nothing but this file and a key.

::

    {"format": "signet-ledger-export", "v": 1, "origin": ..., "size": n, "head": <signed note>,
     "keys": [{"first_size": 0, "verifier_key": ...}, ...]}
    {"entry": <body>, "signature": <base64 over the head of size 1>}
    {"entry": <body>, "signature": <base64 over the head of size 2>}
    ...

Roots are not stored: the verifier recomputes them, and each line's signature covers the root of everything up to that
line, so the first line that was changed, dropped, added or moved is named.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from sqlalchemy import select

from guard.errors import LedgerError, LedgerProofError
from guard.ledger.canonical_json import canonical_bytes, parse_canonical
from guard.ledger.checkpoint import (
    HeadVerifier,
    PublicKey,
    TreeHead,
    load_public_keys,
    note_text,
    parse_verifier_key,
)
from guard.ledger.database import Database
from guard.ledger.entry_schema import MAX_ENTRY_BYTES, check_entry
from guard.ledger.hash_tree import EMPTY_ROOT, Frontier, leaf_hash
from guard.ledger.report import LedgerReport, ProblemList, PublishedHeads
from guard.ledger.sqlite_store import SQLiteLedger
from guard.ledger.tables import entries, heads, meta, signers

FORMAT = "signet-ledger-export"
"""Name of the format, in the header."""
VERSION = 1
"""Version of the format."""
MAX_LINE_BYTES = MAX_ENTRY_BYTES + 1024
"""An entry, its signature and the JSON around them."""
MAX_KEYS = 1000
"""Key rotations that a header may list; monthly ones would take 83 years."""
_BATCH = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Key:
    """A key and the first size for whose heads it may have signed."""

    first_size: int
    verifier: HeadVerifier


@dataclass(frozen=True, slots=True, kw_only=True)
class _Header:
    """First line of an export."""

    size: int
    head: str
    keys: tuple[_Key, ...]


def export_ledger(ledger: SQLiteLedger | Path | str, target: Path | str) -> int:
    """Write a ledger as JSON lines; the target appears complete or not at all.

    Args:
        ledger: the ledger or its file; may be in use (one snapshot is exported).
        target: the file to write; replaced when it exists.

    Returns:
        The number of entries.

    Raises:
        LedgerError: the ledger cannot be read or lacks a head, or the target cannot be written.
    """
    target = Path(target)
    path = ledger.path if isinstance(ledger, SQLiteLedger) else Path(ledger)
    database = Database(path)
    temporary: Path | None = None
    try:
        descriptor, name = tempfile.mkstemp(prefix=".tmp-export-", dir=target.parent)
        temporary = Path(name)
        with os.fdopen(descriptor, "wb") as file:
            size = _write(database, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except OSError as exc:
        raise LedgerError(f"Ledger export: could not write {target}: {exc}.") from exc
    finally:
        database.close()
        if temporary is not None:
            temporary.unlink(missing_ok=True)
    return size


def verify_export(
    path: Path | str,
    *,
    public_key: PublicKey | Sequence[PublicKey] | None = None,
    published_heads: Sequence[str] = (),
) -> LedgerReport:
    """Audit an export, streaming.

    Args:
        path: the file that ``export_ledger`` wrote.
        public_key: the key that may have signed, or all of them after rotations; None takes those in the header.
        published_heads: signed notes kept elsewhere; the export must still meet each of them.

    Returns:
        The report; damage of any kind is a problem in it.

    Raises:
        LedgerError: the file cannot be read.
        KeyMaterialError: a public key is not Ed25519.
    """
    pinned = load_public_keys(public_key)
    problems, frontier = ProblemList(), Frontier()
    keys: tuple[_Key, ...] = ()
    try:
        with Path(path).open("rb") as file:
            header = _header(file.readline(MAX_LINE_BYTES + 1))
            keys = header.keys
            for key in keys:
                if pinned and key.verifier.public_key not in pinned:
                    problems.add("unknown_key", f"a key that was not given signed here: {key.verifier.verifier_key()}")
            published = PublishedHeads(published_heads, [key.verifier for key in keys], problems)
            published.reached(0, EMPTY_ROOT)
            _check_lines(file, header, frontier, problems, published)
            published.finish(frontier.size)
    except OSError as exc:
        raise LedgerError(f"Ledger export {path}: cannot be read: {exc}.") from exc
    except LedgerProofError as exc:
        problems.add("header", f"{exc}")
    verifiers = [key.verifier for key in keys]
    return problems.report(size=frontier.size, root=frontier.root(), verifiers=verifiers, keys_pinned=bool(pinned))


def _write(database: Database, file: BinaryIO) -> int:
    """Write header and lines from one snapshot; return the number of entries."""
    with database.read() as connection:
        origin = connection.execute(select(meta.c.value).where(meta.c.key == "origin")).scalar_one()
        newest = connection.execute(select(heads).order_by(heads.c.size.desc()).limit(1)).mappings().one()
        keys = connection.execute(select(signers).order_by(signers.c.first_size)).mappings().all()
        verifiers = {row["key_id"]: HeadVerifier(origin, row["public_key"]) for row in keys}
        head = TreeHead(origin=origin, size=newest["size"], root=newest["root"])
        header = {
            "format": FORMAT,
            "v": VERSION,
            "origin": origin,
            "size": head.size,
            "head": note_text(head, newest["signature"], verifiers[newest["key_id"]]),
            "keys": [
                {"first_size": row["first_size"], "verifier_key": verifiers[row["key_id"]].verifier_key()}
                for row in keys
            ],
        }
        file.write(canonical_bytes(header) + b"\n")
        query = (
            select(entries.c.body, heads.c.signature)
            .join(heads, heads.c.size == entries.c.idx + 1)
            .order_by(entries.c.idx)
            .execution_options(yield_per=_BATCH)
        )
        for body, signature in connection.execute(query):
            signed = base64.b64encode(signature).decode()
            file.write(b'{"entry":' + body + b',"signature":"' + signed.encode() + b'"}\n')
        return head.size


def _header(line: bytes) -> _Header:
    """Parse the first line.

    Raises:
        LedgerProofError: malformed, or of another format or version.
    """
    try:
        value = parse_canonical(line.removesuffix(b"\n"))
        if value["format"] != FORMAT or value["v"] != VERSION:
            raise LedgerProofError(f"Ledger export: got format {value['format']!r} version {value['v']!r}.")
        if set(value) != {"format", "v", "origin", "size", "head", "keys"} or not 0 < len(value["keys"]) <= MAX_KEYS:
            raise LedgerProofError("Ledger export: the header has missing or unknown fields.")
        keys = tuple(
            _Key(first_size=int(item["first_size"]), verifier=parse_verifier_key(item["verifier_key"]))
            for item in value["keys"]
        )
        header = _Header(size=int(value["size"]), head=str(value["head"]), keys=keys)
    except (LedgerError, KeyError, TypeError, ValueError, AttributeError) as exc:
        raise LedgerProofError("Ledger export: the first line is not a header.") from exc
    if any(key.verifier.origin != value["origin"] for key in keys):
        raise LedgerProofError("Ledger export: a key is of another origin than the export.")
    return header


def _check_lines(
    file: BinaryIO, header: _Header, frontier: Frontier, problems: ProblemList, published: PublishedHeads
) -> None:
    """Check every line, then the head."""
    broken = False  # once one root is wrong all later ones are: name the first, check only the form of the rest
    for line in _lines(file):
        index = frontier.size
        body, signature = _line(line, index, problems)
        frontier.add(leaf_hash(body))
        published.reached(frontier.size, frontier.root())
        head = TreeHead(origin=header.keys[0].verifier.origin, size=frontier.size, root=frontier.root())
        if not broken and not _signed(head, signature, header.keys):
            problems.add(
                "head_signature", "this or the place of this line was changed: its signature fails", entry=index
            )
            broken = True
    if frontier.size != header.size:
        problems.add("size_mismatch", f"the header says {header.size} entries, the file has {frontier.size}")
    candidates = {(key.verifier.origin, key.verifier.key_id): key.verifier for key in header.keys}
    for verifier in candidates.values():
        with contextlib.suppress(LedgerProofError):
            head = verifier.open_note(header.head)
            if (head.size, head.root) != (frontier.size, frontier.root()):
                problems.add("root_mismatch", f"the signed head says root {head.root.hex()} at size {head.size}")
            return
    problems.add("head_signature", "the head in the header is signed by none of the keys")


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """Yield the lines after the header without their line feed, at most MAX_LINE_BYTES of each at a time."""
    while line := file.readline(MAX_LINE_BYTES + 1):
        yield line.removesuffix(b"\n")


def _line(line: bytes, index: int, problems: ProblemList) -> tuple[bytes, bytes]:
    """Return the canonical entry and the signature of a line; what cannot be read is a problem and comes back empty."""
    try:
        value: Any = parse_canonical(line)
        if set(value) != {"entry", "signature"}:
            raise LedgerError("expected the fields entry and signature")
        return check_entry(value["entry"]).data, base64.b64decode(value["signature"], validate=True)
    except (LedgerError, binascii.Error, TypeError, ValueError) as exc:
        problems.add("entry_malformed", f"{exc}", entry=index)
        return line, b""


def _signed(head: TreeHead, signature: bytes, keys: Sequence[_Key]) -> bool:
    """Return whether a key that was in use at this size signed the head; newest first."""
    for key in reversed(keys):
        if key.first_size < head.size:
            with contextlib.suppress(LedgerProofError):
                key.verifier.check(head, signature)
                return True
    return False
