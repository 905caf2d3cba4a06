"""``image.text``: text that is drawn into the picture, read (``text_reader.py``) and checked by the prompt checkers.

A slogan on a banner says the same as in a prompt. All lines are joined to one text, so that what is spread over lines
is found as well; findings point to the lines that hold it and never repeat them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from guard.image_check.text_reader import TextLine
from guard.records import RGB8, Finding, Region

MAX_CHARS = 4000
"""Longest text that is checked; as long as the longest prompt that admission accepts."""
FIELD = "text in the picture"


class LineReader(Protocol):
    """Reads pictures; ``TextReader`` is one."""

    def read(self, pixels: RGB8) -> list[TextLine]:
        """Return the lines of text, from top to bottom. Raises CheckError."""
        ...


class TextReport(Protocol):
    """What a prompt checker found in a text."""

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Return the findings."""
        ...


class TextRules(Protocol):
    """A prompt checker that can look at any text."""

    def examine(self, texts: Sequence[tuple[str, str]], *, negative_counts: bool = False) -> TextReport:
        """Return what was found in (field name, text) pairs. Raises CheckError."""
        ...


class ImageTextChecker:
    """Implements ``ImageChecker``.

    Attributes:
        id: ``image.text``.
    """

    id: str = "image.text"

    def __init__(self, reader: LineReader, *, rules: Sequence[TextRules], min_confidence: float = 0.6) -> None:
        """Check what ``reader`` reads.

        Args:
            reader: reads the lines.
            rules: the checkers of the text; not empty.
            min_confidence: 0..1; lines read with less are left out, because a guess is no text.
        """
        self._reader, self._rules, self._min_confidence = reader, tuple(rules), min_confidence

    def check(self, pixels: RGB8) -> Sequence[Finding]:
        """Return what the rules find in the picture's text.

        Args:
            pixels: (H, W, 3) uint8.

        Raises:
            CheckError: the text could not be read, or a rule could not decide.
        """
        read = self._reader.read(pixels)
        lines = [line for line in read if line.confidence >= self._min_confidence and line.text.strip()]
        text = "\n".join(line.text for line in lines)[:MAX_CHARS]
        if not text:
            return []
        found = [finding for rules in self._rules for finding in rules.examine([(FIELD, text)]).findings]
        return [
            replace(
                finding,
                checker=self.id,
                reason=f"Text in the picture. {finding.reason}",
                spans=(),
                regions=_regions(finding, lines),
            )
            for finding in found
        ]


def _regions(finding: Finding, lines: Sequence[TextLine]) -> tuple[Region, ...]:
    """Return the boxes of the lines that a finding's spans touch; all lines when it has no spans."""
    if not finding.spans:
        return tuple(line.region for line in lines)
    found = []
    start = 0
    for line in lines:
        end = start + len(line.text)
        if any(span.start < end and start < span.end for span in finding.spans):
            found.append(line.region)
        start = end + 1
    return tuple(found)
