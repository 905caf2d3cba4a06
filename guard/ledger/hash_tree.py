"""RFC 6962 Merkle tree over stored complete subtrees: append, root, proofs and their verification, all O(log n).

The tree is kept as the hashes of its *complete* subtrees: ``(level, index)`` names the subtree over leaves
``index * 2**level .. (index + 1) * 2**level - 1``. Such a hash never changes once it exists, so an append-only table
can hold it. Every function here is pure: stored hashes come through a ``NodeReader``.

1. ``appended_nodes`` says which complete subtrees a new leaf finishes (the leaf itself and its finished ancestors).
2. ``root_hash`` folds the peaks, the at most log2(n) + 1 complete subtrees that make up a tree of n leaves.
3. ``inclusion_path`` and ``consistency_path`` make proofs; ``verify_inclusion`` and ``verify_consistency`` check them
   with nothing but the proof.

Source: RFC 6962 section 2.1; RFC 9162 section 2.1 (same hashes; verification algorithms 2.1.3.2 and 2.1.4.2).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Sequence
from typing import TypeAlias

from guard.errors import LedgerProofError

Position: TypeAlias = tuple[int, int]
"""(level, index) of a complete subtree."""
NodeReader: TypeAlias = Callable[[int, int], bytes]
"""Returns the 32-byte hash stored at (level, index)."""

HASH_BYTES = 32
"""SHA-256 output."""
EMPTY_ROOT = hashlib.sha256(b"").digest()
"""Root of the tree without leaves (RFC 6962 section 2.1: the hash of an empty string)."""


def leaf_hash(data: bytes) -> bytes:
    """Return SHA-256(0x00 || data); the prefix keeps leaves and inner nodes apart (RFC 6962 section 2.1)."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return SHA-256(0x01 || left || right)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def peak_positions(size: int) -> list[Position]:
    """Return the complete subtrees that make up a tree of ``size`` leaves, largest (leftmost) first."""
    levels = [level for level in range(size.bit_length() - 1, -1, -1) if size >> level & 1]
    return [(level, (size >> level) - 1) for level in levels]


def appended_nodes(size: int, leaf: bytes, read: NodeReader) -> list[tuple[int, int, bytes]]:
    """Return what appending a leaf hash to a tree of ``size`` leaves adds: (level, index, hash), leaf first.

    Args:
        size: number of leaves before, >= 0.
        leaf: 32-byte leaf hash.
        read: gives the peaks of the old tree.
    """
    added = [(0, size, leaf)]
    level, index, current = 0, size, leaf
    while index & 1:
        current = node_hash(read(level, index - 1), current)
        level, index = level + 1, index >> 1
        added.append((level, index, current))
    return added


def root_hash(size: int, read: NodeReader) -> bytes:
    """Return the root of the first ``size`` leaves (EMPTY_ROOT for 0)."""
    if size == 0:
        return EMPTY_ROOT
    return fold_peaks([read(level, index) for level, index in peak_positions(size)])


def fold_peaks(peaks: Sequence[bytes]) -> bytes:
    """Return the root over peaks given largest first; smaller trees hang on the right (RFC 6962 section 2.1)."""
    if not peaks:
        return EMPTY_ROOT
    root = peaks[-1]
    for peak in reversed(peaks[:-1]):
        root = node_hash(peak, root)
    return root


def inclusion_path(index: int, size: int, read: NodeReader) -> list[bytes]:
    """Return PATH(index, D[size]), from the leaf's sibling up to the root's child (RFC 6962 section 2.1.1).

    Raises:
        LedgerProofError: not 0 <= index < size.
    """
    if not 0 <= index < size:
        raise LedgerProofError(f"Inclusion proof: got index {index}, expected 0..{size - 1}.")
    low, high = 0, size
    path: list[bytes] = []
    while high - low > 1:
        middle = low + _split(high - low)
        if index < middle:
            path.append(_subtree(middle, high, read))
            high = middle
        else:
            path.append(_subtree(low, middle, read))
            low = middle
    return path[::-1]


def consistency_path(old_size: int, new_size: int, read: NodeReader) -> list[bytes]:
    """Return PROOF(old_size, D[new_size]): that the old tree is a prefix of the new one (RFC 6962 section 2.1.2).

    Returns:
        Hashes, deepest first; empty when the sizes are equal or the old tree is empty.

    Raises:
        LedgerProofError: not 0 <= old_size <= new_size.
    """
    if not 0 <= old_size <= new_size:
        raise LedgerProofError(f"Consistency proof: got sizes {old_size} and {new_size}, expected 0 <= old <= new.")
    if old_size in (0, new_size):
        return []
    low, high, whole = 0, new_size, True  # whole: the old tree so far equals a subtree that the verifier knows
    path: list[bytes] = []
    while old_size != high:
        middle = low + _split(high - low)
        if old_size <= middle:
            path.append(_subtree(middle, high, read))
            high = middle
        else:
            path.append(_subtree(low, middle, read))
            low, whole = middle, False
    if not whole:
        path.append(_subtree(low, high, read))
    return path[::-1]


def verify_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> None:
    """Check that ``leaf`` is leaf number ``index`` of the tree of ``size`` leaves with this root.

    Raises:
        LedgerProofError: it is not, or the proof is malformed.

    Source: RFC 9162 section 2.1.3.2.
    """
    if not 0 <= index < size:
        raise LedgerProofError(f"Inclusion proof: got index {index}, expected 0..{size - 1}.")
    position, last, result = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            raise LedgerProofError("Inclusion proof: the path is longer than the tree is high.")
        if position & 1 or position == last:
            result = node_hash(sibling, result)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            result = node_hash(result, sibling)
        position, last = position >> 1, last >> 1
    if last != 0:
        raise LedgerProofError("Inclusion proof: the path is shorter than the tree is high.")
    if not hmac.compare_digest(result, root):
        raise LedgerProofError(
            f"Inclusion proof: entry {index} leads to root {result.hex()}, expected {root.hex()} at size {size}."
        )


def verify_consistency(
    *, old_size: int, old_root: bytes, new_size: int, new_root: bytes, path: Sequence[bytes]
) -> None:
    """Check that the tree of ``new_size`` leaves starts with the tree of ``old_size`` leaves.

    Raises:
        LedgerProofError: it does not, or the proof is malformed.

    Source: RFC 9162 section 2.1.4.2; the empty old tree (RFC 6962: undefined) is a prefix of everything.
    """
    if not 0 <= old_size <= new_size:
        raise LedgerProofError(f"Consistency proof: got sizes {old_size} and {new_size}, expected 0 <= old <= new.")
    if old_size in (0, new_size):
        expected = EMPTY_ROOT if old_size == 0 else new_root
        if path or not hmac.compare_digest(old_root, expected):
            raise LedgerProofError(f"Consistency proof: roots of size {old_size} differ, or the path is not empty.")
        return
    hashes = list(path) if old_size & (old_size - 1) else [old_root, *path]
    if not hashes:
        raise LedgerProofError("Consistency proof: the path is empty.")
    position, last = old_size - 1, new_size - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    old = new = hashes[0]
    for sibling in hashes[1:]:
        if last == 0:
            raise LedgerProofError("Consistency proof: the path is longer than the tree is high.")
        if position & 1 or position == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            new = node_hash(new, sibling)
        position, last = position >> 1, last >> 1
    if last != 0 or not hmac.compare_digest(old, old_root) or not hmac.compare_digest(new, new_root):
        raise LedgerProofError(f"Consistency proof: size {new_size} does not extend size {old_size}.")


class Frontier:
    """The peaks of a growing tree: the O(log n) state that an audit needs to recompute every root in one pass."""

    def __init__(self) -> None:
        self._peaks: list[bytes] = []  # largest first
        self.size = 0

    def add(self, leaf: bytes) -> list[tuple[int, int, bytes]]:
        """Append a leaf hash; return the completed subtrees as (level, index, hash), leaf first."""
        added = [(0, self.size, leaf)]
        level, index, current = 0, self.size, leaf
        while index & 1:
            current = node_hash(self._peaks.pop(), current)
            level, index = level + 1, index >> 1
            added.append((level, index, current))
        self._peaks.append(current)
        self.size += 1
        return added

    def root(self) -> bytes:
        """Return the root of the leaves added so far."""
        return fold_peaks(self._peaks)


def _split(count: int) -> int:
    """Return the largest power of two smaller than ``count`` (count >= 2)."""
    return 1 << (count - 1).bit_length() - 1


def _subtree(low: int, high: int, read: NodeReader) -> bytes:
    """Return the hash over leaves low..high-1, where low is a multiple of the next power of two >= high - low."""
    peaks: list[bytes] = []
    while low < high:
        level = (high - low).bit_length() - 1
        peaks.append(read(level, low >> level))
        low += 1 << level
    return fold_peaks(peaks)
