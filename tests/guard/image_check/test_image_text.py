"""What is written in a picture is judged like a prompt, and findings say where without saying what."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from guard.errors import CheckError
from guard.image_check.image_text import ImageTextChecker
from guard.image_check.text_reader import TextLine
from guard.prompt_check.term_rules import TermChecker
from guard.records import RGB8, Region

TERMS = Path(__file__).resolve().parents[3] / "policies" / "terms"
PICTURE = np.zeros((64, 64, 3), np.uint8)


@dataclass
class Lines:
    """A reader that sees what it is told."""

    lines: list[TextLine]

    def read(self, pixels: RGB8) -> list[TextLine]:
        return self.lines


def line(text: str, y: int, confidence: float = 0.95) -> TextLine:
    return TextLine(text=text, confidence=confidence, region=Region(x=5, y=y, width=50, height=10))


@pytest.fixture(scope="module")
def rules() -> TermChecker:
    return TermChecker(folder=TERMS, lists=["sexual.en", "violence.en"])


def test_a_line_with_listed_words_is_a_finding_at_that_line(rules: TermChecker) -> None:
    lines = [line("Welcome to the fair", 0), line("explicit porn scene", 20), line("free entry", 40)]
    findings = ImageTextChecker(Lines(lines), rules=[rules]).check(PICTURE)
    assert findings
    for finding in findings:
        assert (finding.checker, finding.category) == ("image.text", "sexual")
        assert finding.regions == (lines[1].region,)
        assert finding.spans == ()
        assert finding.reason.startswith("Text in the picture")
        assert "porn" not in finding.reason


def test_what_is_spread_over_lines_is_found(rules: TermChecker) -> None:
    together = ImageTextChecker(Lines([line("explicit porn", 0), line("with a child", 20)]), rules=[rules])
    assert any(finding.hard for finding in together.check(PICTURE))


def test_harmless_text_and_no_text_give_nothing(rules: TermChecker) -> None:
    assert ImageTextChecker(Lines([line("Bakery open daily", 0)]), rules=[rules]).check(PICTURE) == []
    assert ImageTextChecker(Lines([]), rules=[rules]).check(PICTURE) == []


def test_guesses_are_left_out(rules: TermChecker) -> None:
    unsure = Lines([line("explicit porn scene", 0, confidence=0.5)])
    assert ImageTextChecker(unsure, rules=[rules], min_confidence=0.6).check(PICTURE) == []
    assert ImageTextChecker(unsure, rules=[rules], min_confidence=0.4).check(PICTURE)


def test_a_reader_that_fails_fails_closed(rules: TermChecker) -> None:
    class Broken:
        def read(self, pixels: RGB8) -> list[TextLine]:
            raise CheckError("The text could not be read.")

    with pytest.raises(CheckError):
        ImageTextChecker(Broken(), rules=[rules]).check(PICTURE)
