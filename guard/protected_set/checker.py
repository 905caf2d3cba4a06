"""``image.protected``: is this picture one of the protected set, whole, mirrored or turned by quarter turns?

Recognises copies after recompression, resizing, small crops and small edits of tone, as PDQ does; not other pictures
of the same subject, not parts of a picture. Runs on outputs and on the inputs of image-to-image and inpainting.
"""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock

from guard.fingerprint import MIN_QUALITY, PDQ_BITS, SAME_PDQ, fingerprints, pdq_variants
from guard.ledger.similar_index import SimilarIndex
from guard.protected_set.entry import ProtectedEntry
from guard.protected_set.store import ProtectedStore
from guard.records import RGB8, Finding

MATCH_SCORE = 0.99
"""Score of a match: PDQ at up to 31 bits gave no false match in 4,950 pairs (docs/ledger.md)."""


class ProtectedSetChecker:
    """Implements ``ImageChecker``; sees entries that are added while it runs.

    Attributes:
        id: ``image.protected``.
    """

    id: str = "image.protected"

    def __init__(self, store: ProtectedStore, *, max_distance: int = SAME_PDQ) -> None:
        """Check against a store.

        Args:
            store: the protected set.
            max_distance: 0..31 bits of 256 that may differ.
        """
        self._store, self._max_distance = store, max_distance
        self._lock = Lock()
        self._state = (0, 0)
        self._index = SimilarIndex()

    def check(self, pixels: RGB8) -> Sequence[Finding]:
        """Return one finding for each list with a match, of its nearest entry.

        Args:
            pixels: (H, W, 3) uint8.

        Raises:
            ConfigError: the store cannot be read.
        """
        index = self._current()
        if self._state[0] == 0 or fingerprints(pixels).pdq_quality < MIN_QUALITY:
            return []
        nearest: dict[str, tuple[int, ProtectedEntry]] = {}
        for pdq in pdq_variants(pixels):
            for number, distance in index.search(bytes.fromhex(pdq), max_distance=self._max_distance):
                entry = self._store.entry(number)
                if entry is not None and distance < nearest.get(entry.list_name, (PDQ_BITS, entry))[0]:
                    nearest[entry.list_name] = (distance, entry)
        return [self._finding(distance, entry) for distance, entry in nearest.values()]

    def _current(self) -> SimilarIndex:
        """Return the index, renewed when the set has changed."""
        with self._lock:
            state = self._store.state()
            if state != self._state:
                index = SimilarIndex()
                index.extend(self._store.hashes())
                self._index, self._state = index, state
            return self._index

    def _finding(self, distance: int, entry: ProtectedEntry) -> Finding:
        return Finding(
            checker=self.id,
            category=entry.category,
            score=MATCH_SCORE,
            severity=entry.severity,
            hard=entry.hard,
            reason=f"The picture looks the same as one of the protected list {entry.list_name!r} "
            f"({distance} of {PDQ_BITS} hash bits differ).",
        )
