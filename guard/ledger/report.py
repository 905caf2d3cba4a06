"""What an audit of a ledger or of an export found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from guard.errors import LedgerProofError
from guard.ledger.checkpoint import HeadVerifier, TreeHead, open_note

MAX_PROBLEMS = 100
"""Problems that are listed one by one; one damaged page can spoil every later root, and memory stays steady."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerProblem:
    """One thing that is not as it was written.

    Attributes:
        code: stable identifier, listed in docs/ledger.md.
        detail: one sentence.
        entry: index of the entry concerned, where one can be named.
    """

    code: str
    detail: str
    entry: int | None = None

    def __str__(self) -> str:
        """Return the line that is shown to people."""
        where = "" if self.entry is None else f"entry {self.entry}: "
        return f"{where}{self.detail} [{self.code}]"


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerReport:
    """Result of an audit.

    Attributes:
        ok: True when nothing at all was found.
        size: number of entries.
        root: Merkle root recomputed from the entries, 64 hex digits.
        details: what was found, at most MAX_PROBLEMS + 1 (the last then says how many more there are).
        keys: verifier keys under which the signatures were checked.
        keys_pinned: whether the caller named the keys; otherwise they came from the audited file itself, which proves
            that the file agrees with itself and not whose it is.
    """

    ok: bool
    size: int
    root: str
    details: tuple[LedgerProblem, ...]
    keys: tuple[str, ...]
    keys_pinned: bool

    @property
    def problems(self) -> tuple[str, ...]:
        """Return what was found as lines for people."""
        return tuple(str(problem) for problem in self.details)


class ProblemList:
    """Collects problems up to a limit."""

    def __init__(self) -> None:
        self._kept: list[LedgerProblem] = []
        self._more = 0

    def add(self, code: str, detail: str, *, entry: int | None = None) -> None:
        """Note one problem."""
        if len(self._kept) < MAX_PROBLEMS:
            self._kept.append(LedgerProblem(code=code, detail=detail, entry=entry))
        else:
            self._more += 1

    def report(self, *, size: int, root: bytes, verifiers: Sequence[HeadVerifier], keys_pinned: bool) -> LedgerReport:
        """Return the finished report."""
        details = tuple(self._kept)
        if self._more:
            details += (LedgerProblem(code="more", detail=f"{self._more} more problems are not listed"),)
        return LedgerReport(
            ok=not details,
            size=size,
            root=root.hex(),
            details=details,
            keys=tuple(verifier.verifier_key() for verifier in verifiers),
            keys_pinned=keys_pinned,
        )


class PublishedHeads:
    """Signed heads kept outside the ledger: the only defence against a ledger that was cut or signed anew."""

    def __init__(self, notes: Sequence[str], verifiers: Sequence[HeadVerifier], problems: ProblemList) -> None:
        self._problems = problems
        self._waiting: dict[int, list[TreeHead]] = {}
        for number, note in enumerate(notes, start=1):
            try:
                head = open_note(note, verifiers)
            except LedgerProofError as exc:
                problems.add("published_head", f"published head {number} cannot be used: {exc}")
            else:
                self._waiting.setdefault(head.size, []).append(head)

    def reached(self, size: int, root: bytes) -> None:
        """Compare with the heads published at this size."""
        for head in self._waiting.pop(size, ()):
            if head.root != root:
                self._problems.add(
                    "history_rewritten", f"at size {size} the root was published as {head.root.hex()}, now {root.hex()}"
                )

    def finish(self, size: int) -> None:
        """Report published heads that the ledger does not reach."""
        for missing in sorted(self._waiting):
            self._problems.add("history_cut", f"a head of size {missing} was published, the ledger has {size} entries")
