"""``image.protected``: is this picture one of the protected set, whole, mirrored or turned by quarter turns?

Recognises copies after recompression, resizing, small crops and small edits of tone, as PDQ does; not other pictures
of the same subject, not parts of a picture. With a CLIP model (``similarity.py``) it also reports pictures that
resemble a protected one. Runs on outputs and on the inputs of image-to-image and inpainting.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from guard.fingerprint import MIN_QUALITY, PDQ_BITS, SAME_PDQ, pdq_search
from guard.ledger.similar_index import SimilarIndex
from guard.protected_set.entry import ProtectedEntry
from guard.protected_set.similarity import SimilarityRule, matrix_of
from guard.protected_set.store import ProtectedStore
from guard.records import RGB8, Finding

MATCH_SCORE = 0.99
"""Score of a match: PDQ at up to 31 bits gave no false match in 4,950 pairs (docs/ledger.md)."""


_Meaning = tuple[str, str, int, bool]
"""List, category, severity, hard: a soft entry must not hide a hard one that differs in more bits."""


def _meaning(entry: ProtectedEntry) -> _Meaning:
    return entry.list_name, entry.category, entry.severity, entry.hard


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """The protected set as it was at one moment.

    Attributes:
        state: of the store.
        hashes: index of all PDQ hashes.
        numbers: entries with a vector of the configured model.
        vectors: (n, d) unit vectors, one for each of ``numbers``.
    """

    state: tuple[int, int] = (0, 0)
    hashes: SimilarIndex = field(default_factory=SimilarIndex)
    numbers: tuple[int, ...] = ()
    vectors: NDArray[np.float32] | None = None


class ProtectedSetChecker:
    """Implements ``ImageChecker``; sees entries that are added while it runs.

    Attributes:
        id: ``image.protected``.
    """

    id: str = "image.protected"

    def __init__(
        self, store: ProtectedStore, *, max_distance: int = SAME_PDQ, similarity: SimilarityRule | None = None
    ) -> None:
        """Check against a store.

        Args:
            store: the protected set.
            max_distance: 0..31 bits of 256 that may differ.
            similarity: when a picture that is no copy matches; None = never.
        """
        self._store, self._max_distance, self._similarity = store, max_distance, similarity
        self._lock = Lock()
        self._known = _Known()

    def check(self, pixels: RGB8) -> Sequence[Finding]:
        """Return a finding for each meaning that a list gives its matches: of its nearest copy, or what resembles most.

        Args:
            pixels: (H, W, 3) uint8.

        Raises:
            ConfigError: the store cannot be read.
            CheckError: the model of the similarity rule failed.
        """
        known = self._current()
        if known.state[0] == 0:
            return []
        copies = self._copies(known, pixels)
        alike = {name: found for name, found in self._alike(known, pixels).items() if name not in copies}
        return [*(self._finding(*found) for found in copies.values()), *(self._likeness(*f) for f in alike.values())]

    def _copies(self, known: _Known, pixels: RGB8) -> dict[_Meaning, tuple[int, ProtectedEntry]]:
        """Return meaning -> (differing bits, entry) of the nearest copy."""
        nearest: dict[_Meaning, tuple[int, ProtectedEntry]] = {}
        variants, quality = pdq_search(pixels)
        if quality < MIN_QUALITY:
            return nearest
        for pdq in variants:
            found = dict(known.hashes.search(bytes.fromhex(pdq), max_distance=self._max_distance))
            for number, entry in self._store.numbered(found).items() if found else ():
                meaning = _meaning(entry)
                if found[number] < nearest.get(meaning, (PDQ_BITS, entry))[0]:
                    nearest[meaning] = (found[number], entry)
        return nearest

    def _alike(self, known: _Known, pixels: RGB8) -> dict[_Meaning, tuple[float, ProtectedEntry]]:
        """Return meaning -> (cosine, entry) of the entry that resembles most, where it resembles enough."""
        closest: dict[_Meaning, tuple[float, ProtectedEntry]] = {}
        if self._similarity is None or known.vectors is None:
            return closest
        cosines = known.vectors @ self._similarity.model.embed_pictures([pixels])[0]
        for index in np.argsort(-cosines):
            if cosines[index] < self._similarity.min_similarity:
                break
            entry = self._store.entry(known.numbers[index])
            if entry is not None:
                closest.setdefault(_meaning(entry), (min(float(cosines[index]), 1.0), entry))
        return closest

    def _current(self) -> _Known:
        """Return what is protected, read again when the set has changed."""
        with self._lock:
            state = self._store.state()
            if state != self._known.state:
                hashes = SimilarIndex()
                hashes.extend(self._store.hashes())
                model = None if self._similarity is None else self._similarity.model.digest
                rows = [] if model is None else self._store.vectors(model=model)
                self._known = _Known(
                    state=state,
                    hashes=hashes,
                    numbers=tuple(number for number, _ in rows),
                    vectors=matrix_of([vector for _, vector in rows]) if rows else None,
                )
            return self._known

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

    def _likeness(self, similarity: float, entry: ProtectedEntry) -> Finding:
        """Return the finding of a resemblance, which is never hard: unlike a copy, it is a matter of degree."""
        return Finding(
            checker=self.id,
            category=entry.category,
            score=similarity,
            severity=entry.severity,
            reason=f"The picture resembles one of the protected list {entry.list_name!r} "
            f"(similarity {similarity:.2f}).",
        )
