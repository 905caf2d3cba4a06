"""Exchange formats of PDQ hash lists, as text, one hash a line.

Read: ``<hash>``; ``<hash>,<quality>[,<label>]`` (the PDQ reference hasher's output); ``pdq <hash>`` and
``pdq,<hash>`` (python-threatexchange). Empty lines and lines that start with ``#`` are skipped. Written: the second.

Source: github.com/facebook/ThreatExchange, pdq/README.md and python-threatexchange.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from guard.errors import RequestError
from guard.fingerprint import MIN_QUALITY
from guard.protected_set.entry import MAX_LABEL_CHARS, ProtectedEntry

_LINE = re.compile(r"(?:pdq[ ,]\s*)?([0-9a-f]{64})(?:,(\d{1,3})(?:,(.*))?)?", re.IGNORECASE)
_HEADER = re.compile(r"(?:hash|pdq|signal_type)\b", re.IGNORECASE)
UNKNOWN_QUALITY = 100
"""Lists without quality hold hashes that their owner found good enough."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedHash:
    """One line of a list."""

    pdq: str
    quality: int
    label: str


def read_pdq_list(lines: Iterable[str]) -> Iterator[ListedHash]:
    """Yield the hashes of a list; hashes of too low a quality to tell pictures apart are left out.

    Args:
        lines: the file's lines.

    Raises:
        RequestError: a line is none of the formats above; it is named by its number.
    """
    for number, raw in enumerate(lines, start=1):
        line = raw.strip().lstrip("\ufeff")
        if not line or line.startswith("#"):
            continue
        found = _LINE.fullmatch(line)
        if found is None:
            if number == 1 and _HEADER.match(line):
                continue
            raise RequestError(
                f"Line {number} of the hash list is not a PDQ hash.",
                next_step="Each line holds 64 hex digits, or `hash,quality,label`.",
            )
        quality = int(found[2]) if found[2] else UNKNOWN_QUALITY
        if quality >= MIN_QUALITY:
            yield ListedHash(pdq=found[1].lower(), quality=quality, label=(found[3] or "").strip()[:MAX_LABEL_CHARS])


def write_pdq_list(entries: Iterable[ProtectedEntry]) -> Iterator[str]:
    """Yield the lines of a list, without line ends."""
    yield "hash,quality,label"
    for entry in entries:
        yield f"{entry.pdq},{entry.quality},{' '.join(entry.label.split())}"
