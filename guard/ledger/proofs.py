"""A ledger entry with everything needed to check it: body, audit path, signed head; and the check itself.

``SQLiteLedger.proof(image_id)`` makes an ``EntryProof``; ``verify_entry_proof(proof, verifier)`` needs the public key
and nothing else. ``to_json`` and ``from_json`` are the format that is handed to third parties.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from guard.errors import LedgerError, LedgerProofError
from guard.ledger.canonical_json import parse_canonical
from guard.ledger.checkpoint import HeadVerifier, TreeHead
from guard.ledger.hash_tree import HASH_BYTES, leaf_hash, verify_consistency, verify_inclusion

FORMAT = "signet-ledger-proof"
"""Name of the JSON form."""
MAX_PATH = 64
"""Longest audit path that is read: a tree of 2**63 entries."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryProof:
    """One entry and why it is in the ledger.

    Attributes:
        entry: canonical JSON of the body, as text.
        index: position of the entry, from 0.
        path: audit path, 32-byte hashes in hex, from the leaf upwards.
        head: signed note of the tree that the path leads to.
    """

    entry: str
    index: int
    path: tuple[str, ...]
    head: str

    @property
    def body(self) -> dict[str, Any]:
        """Return the entry's body."""
        body: dict[str, Any] = json.loads(self.entry)
        return body

    def to_json(self) -> dict[str, Any]:
        """Return the hand-out form."""
        return {
            "format": FORMAT,
            "v": 1,
            "entry": self.entry,
            "index": self.index,
            "path": list(self.path),
            "head": self.head,
        }

    @classmethod
    def from_json(cls, value: Any) -> EntryProof:
        """Return the proof in a hand-out form.

        Raises:
            LedgerProofError: malformed.
        """
        keys = {"format", "v", "entry", "index", "path", "head"}
        if not isinstance(value, dict) or set(value) != keys or value["format"] != FORMAT or value["v"] != 1:
            raise LedgerProofError(f"Entry proof: expected an object of format {FORMAT} version 1.")
        entry, index, path, head = value["entry"], value["index"], value["path"], value["head"]
        if not isinstance(entry, str) or not isinstance(head, str) or type(index) is not int:
            raise LedgerProofError("Entry proof: entry and head must be text, index an integer.")
        if not isinstance(path, list) or len(path) > MAX_PATH or not all(isinstance(item, str) for item in path):
            raise LedgerProofError(f"Entry proof: path must be a list of at most {MAX_PATH} hashes in hex.")
        return cls(entry=entry, index=index, path=tuple(path), head=head)


def verify_entry_proof(proof: EntryProof, verifier: HeadVerifier) -> TreeHead:
    """Check the signature on the head, the entry's canonical form and its audit path; return the head.

    Raises:
        LedgerProofError: any of them is wrong.
    """
    head = verifier.open_note(proof.head)
    try:
        data = proof.entry.encode("utf-8")
        parse_canonical(data)
    except (UnicodeEncodeError, LedgerError) as exc:
        raise LedgerProofError("Entry proof: the entry is not canonical JSON.") from exc
    path = [_hash(item) for item in proof.path]
    verify_inclusion(leaf_hash(data), proof.index, head.size, path, head.root)
    return head


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsistencyProof:
    """Why a later tree extends an earlier one.

    Attributes:
        old_head: signed note that someone kept.
        new_head: signed note of the tree now.
        path: 32-byte hashes in hex.
    """

    old_head: str
    new_head: str
    path: tuple[str, ...]


def verify_consistency_proof(proof: ConsistencyProof, verifier: HeadVerifier) -> TreeHead:
    """Check both signatures and that nothing of the old tree was changed or removed; return the new head.

    Raises:
        LedgerProofError: any of them is wrong.
    """
    old, new = verifier.open_note(proof.old_head), verifier.open_note(proof.new_head)
    verify_consistency(
        old_size=old.size,
        old_root=old.root,
        new_size=new.size,
        new_root=new.root,
        path=[_hash(item) for item in proof.path],
    )
    return new


def _hash(text: str) -> bytes:
    """Return 32 bytes from hex."""
    try:
        raw = bytes.fromhex(text)
    except ValueError as exc:
        raise LedgerProofError("Ledger proof: a path element is not hex.") from exc
    if len(raw) != HASH_BYTES:
        raise LedgerProofError(f"Ledger proof: a path element has {len(raw)} bytes, expected {HASH_BYTES}.")
    return raw
