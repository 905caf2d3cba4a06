"""Undo disguises of words, and keep for every character where in the original text it came from.

``views(text)`` returns the readings of a text that term rules match against::

    fold       NFKC, case, accents of Latin/Greek/Cyrillic letters, zero-width and bidi controls, emoji -> words,
               prompt-weighting syntax -> spaces: "(word:1.4)", "[a|b]", "{a|b}", "<lora:name:0.8>"
    readings   look-alike letters; letters spaced out; punctuation inside words; leetspeak; letters repeated

    written_out.py   escapes, base64, ROT13 and other codes; "RedHouse" as two words

The first view is the plain folded text; further ones exist only where a reading differs. ``canonical(text)`` is the
single reading that the learned model sees. Weights are never a way out: a word counts whatever its weight is.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from statistics import mode

from guard.prompt_check.confusables import EMOJI_WORDS, ENCLOSED_LETTERS, LATIN_OF, LEET, LEET_L, LEET_SHAPES
from guard.prompt_check.written_out import camel_split, written_out

MAX_VIEWS = 81
"""Most readings of one text: every combination of the readers below, so that words in many disguises cannot crowd out
the reading that another word needs. Ordinary text has one or two (measured)."""
MAX_WRITTEN_VIEWS = 12
"""Most readings of each way to write a text out, which are further readings of text that is in code already."""
_TAGS = range(0xE0020, 0xE007F)
"""Unicode tag characters: invisible ASCII. Source: Unicode 16.0 section 23.9."""
FILLERS = "\u115f\u1160\u3164\uffa0"
"""Hangul fillers: letters by category that show as nothing. Source: Unicode 16.0 section 18.6."""
_NUMBER = r"(?:\d+(?:\.\d+)?|\.\d+)"
_WEIGHT = re.compile(rf"[:*]\s*[-+]?{_NUMBER}(?=\s*[)\]}}>])|(?<=[)\]])\s*[-+]?\d+\.\d+")
"""Attention weight before a closing bracket (A1111, ComfyUI) or after one (Compel, InvokeAI)."""
_NEGATIVE_WEIGHT = re.compile(rf"[:*]\s*-\s*{_NUMBER}\s*[)\]}}>]|[)\]]\s*-\s*\d*\.\d+")
_MARKS = r"\u064b-\u065f\u0670\u0900-\u0963\u0966-\u0dff\u0e31\u0e34-\u0e3a\u0e47-\u0e4e"
r"""Vowel signs and other marks of Arabic, the Indic scripts and Thai: parts of words, which ``\w`` leaves out."""
WORD_PATTERN = rf"[\w{_MARKS}]+"
"""A word in any script; without the marks, Hindi words fall apart into consonants that match anything."""
_SPACED = re.compile(rf"(?<![\w{_MARKS}])\w(?:[^\w\n{_MARKS}]{{1,3}}\w){{2,}}(?![\w{_MARKS}])")
_INSIDE = re.compile(rf"(?<=\w)(?: {{2,}}(?=[)\]}}>]))?[^\w\s{_MARKS}]+(?:[ ]{{2,}}[^\w\s{_MARKS}]*)?(?=\w)")
"""Punctuation between letters, also with a weight that became spaces: "(wo:1.2)(rd:1.3)"."""
_SHAPE = re.compile("|".join(re.escape(shape) for shape in sorted(LEET_SHAPES, key=len, reverse=True)))
_TAG = re.compile(r"</?[a-z][a-z0-9]{0,9}/?>")
"""An HTML or XML tag without attributes; ``<lora:name:1>`` is none."""
_LEET_WORD = re.compile(r"[a-z0-9@$!|€£¡§¢+]+")
_LEET_PAIR = re.compile(r"[a-z][0-9@$!|€£¡§¢+]|[0-9@$!|€£¡§¢+][a-z]")
_RUN = re.compile(r"([^\W\d_])\1{2,}")
_WORD = re.compile(r"\w+")
_FOLDED_SCRIPTS = ("LATIN", "GREEK", "CYRILLIC")


@dataclass(frozen=True, slots=True)
class View:
    """One reading of a text.

    Attributes:
        text: what to match against.
        origin: for each character the half-open range of the original text that it stands for.
        dense: ranges of ``text`` that were spelled out letter by letter; words may be glued together there.
    """

    text: str
    origin: tuple[tuple[int, int], ...]
    dense: tuple[tuple[int, int], ...] = ()

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Return the range of the original text behind ``text[start:end]``; end > start."""
        return _span_of(self.origin[start:end])

    def keep(self, positions: list[int], dense: tuple[tuple[int, int], ...] = ()) -> View:
        """Return the view that holds only the characters at these positions."""
        return View(
            "".join([self.text[i] for i in positions]), tuple([self.origin[i] for i in positions]), dense or self.dense
        )

    def with_text(self, text: str) -> View:
        """Return the view with characters replaced one for one."""
        return View(text, self.origin, self.dense)


def fold(text: str) -> View:
    """Return the plain reading: folded characters, syntax as spaces, invisible characters gone."""
    if text.isascii():
        folded = "".join([c if c.isprintable() else " " for c in text.lower()])
        view = View(folded, tuple([(i, i + 1) for i in range(len(text))]))
    else:
        pieces = list(_folded(text))
        view = View("".join([p[0] for p in pieces]), tuple([(p[1], p[2]) for p in pieces]))
    cleared = _WEIGHT.sub(lambda match: " " * len(match[0]), view.text)
    return view.with_text(cleared.replace("_", "-"))


def turns_weights_around(text: str) -> bool:
    """Return whether a text uses a negative attention weight: in a negative prompt that asks for the thing."""
    return _NEGATIVE_WEIGHT.search(text) is not None


def _folded(text: str) -> Iterator[tuple[str, int, int]]:
    """Yield (character, start, end) of the folded text."""
    script_folds = False
    for index, character in enumerate(text):
        if ord(character) in _TAGS:
            plain = chr(ord(character) - 0xE0000).lower()
            if plain.isalnum():  # an invisible space or stop would cut a word in two
                yield plain, index, index + 1
            continue
        if character in EMOJI_WORDS:
            yield from ((c, index, index + 1) for c in f" {EMOJI_WORDS[character]} ")
            continue
        if character in ENCLOSED_LETTERS:
            yield ENCLOSED_LETTERS[character], index, index + 1
            continue
        kind = unicodedata.category(character)
        if character.isspace() or kind == "Cc" or character in FILLERS:
            yield " ", index, index + 1
        elif kind in ("Cf", "Cs", "Co") or 0xFE00 <= ord(character) <= 0xFE0F or 0xE0100 <= ord(character) <= 0xE01EF:
            continue
        elif kind in ("Mn", "Me"):
            if not script_folds:
                yield character, index, index + 1
        else:
            name = unicodedata.name(character, "")
            folded = unicodedata.normalize("NFKC", character).casefold()
            script_folds = name.startswith(_FOLDED_SCRIPTS) or folded.isascii()
            if script_folds:
                folded = "".join(c for c in unicodedata.normalize("NFKD", folded) if not unicodedata.combining(c))
            yield from ((c, index, index + 1) for c in folded)


def _latin(view: View) -> View:
    """Read look-alike letters as Latin in words that become wholly Latin by it."""
    if view.text.isascii():
        return view

    def read(match: re.Match[str]) -> str:
        word = "".join([LATIN_OF.get(c, c) for c in match[0]])
        return word if word.isascii() else match[0]

    return view.with_text(_WORD.sub(read, view.text))


def _shaped(view: View) -> View:
    """Read letters drawn with several characters, "|>" for p, where they touch a letter."""
    pieces: list[tuple[str, tuple[int, int]]] = []
    last = 0
    for match in _SHAPE.finditer(view.text):
        start, end = match.span()
        if view.text[max(start - 1, 0) : start].isalpha() or view.text[end : end + 1].isalpha():
            pieces += zip(view.text[last:start], view.origin[last:start], strict=True)
            pieces.append((LEET_SHAPES[match[0]], view.span(start, end)))
            last = end
    if not pieces:
        return view
    pieces += zip(view.text[last:], view.origin[last:], strict=True)
    return View("".join([p[0] for p in pieces]), tuple([p[1] for p in pieces]))


def _latin_shaped(view: View) -> View:
    """Read look-alike and drawn letters, which may stand in one word."""
    return _shaped(_latin(view))


def _unspaced(view: View) -> View:
    """Join letters that are written one by one; a wider gap than usual, or a space among dots, ends a word."""
    positions: list[int] = []
    dense: list[tuple[int, int]] = []
    last = 0
    for match in _SPACED.finditer(view.text):
        positions.extend(range(last, match.start()))
        letters = [i for i in range(match.start(), match.end()) if view.text[i].isalnum()]
        gaps = [view.text[before + 1 : after] for before, after in pairwise(letters)]
        usual = mode(gaps)
        start = len(positions)
        for letter, gap in zip(letters, [*gaps, ""], strict=True):
            positions.append(letter)
            if len(gap) > len(usual) or (gap.isspace() and not usual.isspace()):
                positions.append(letter + 1 + next(i for i, c in enumerate(gap) if c.isspace() or i == len(gap) - 1))
        dense.append((start, len(positions)))
        last = match.end()
    if not dense:
        return view
    positions.extend(range(last, len(view.text)))
    return view.keep(positions, tuple(dense))


def _glued(view: View) -> View:
    """Drop markup tags, and punctuation inside words: "wo<b>rd</b>", "wo.rd", "wo(rd)", "wo_rd"."""
    tags = {i for match in _TAG.finditer(view.text) for i in range(*match.span())}
    if tags:
        view = view.keep([i for i in range(len(view.text)) if i not in tags])
    positions: list[int] = []
    last = 0
    for match in _INSIDE.finditer(view.text):
        positions.extend(range(last, match.start()))
        last = match.end()
    if not last:
        return view
    positions.extend(range(last, len(view.text)))
    return View("".join([view.text[i] for i in positions]), tuple([view.origin[i] for i in positions]))


def _unleet(table: Mapping[str, str]) -> Callable[[View], View]:
    """Return the reader of digits and symbols as letters, in words that hold both."""

    def letters(match: re.Match[str]) -> str:
        word = match[0]
        if not _LEET_PAIR.search(word):
            return word
        return "".join([table.get(c, c) for c in word.rstrip("!+")]).ljust(len(word))

    def read(view: View) -> View:
        if not _LEET_PAIR.search(view.text):
            return view
        return view.with_text(_LEET_WORD.sub(letters, view.text))

    return read


def _squeezed(keep: int) -> Callable[[View], View]:
    """Return the reader of three or more equal letters as ``keep`` of them."""

    def read(view: View) -> View:
        drop = {i for match in _RUN.finditer(view.text) for i in range(match.start() + keep, match.end())}
        return view.keep([i for i in range(len(view.text)) if i not in drop]) if drop else view

    return read


_READERS: tuple[tuple[Callable[[View], View], ...], ...] = (
    (_latin, _latin_shaped),
    (_unspaced, _glued),
    (_unleet(LEET), _unleet(LEET_L)),
    (_squeezed(1), _squeezed(2)),
)


def views(text: str) -> tuple[View, ...]:
    """Return the distinct readings of a text, the plain one first."""
    found = _readings(fold(text), MAX_VIEWS)
    camel = camel_split(text)
    for plain, origin in (*written_out(text), *([camel] if camel else [])):
        folded = fold(plain)
        spans = tuple([_span_of(origin[start:end]) for start, end in folded.origin])
        for key, view in _readings(View(folded.text, spans), MAX_WRITTEN_VIEWS).items():
            found.setdefault(key, view)
    return tuple(found.values())


def _span_of(pieces: tuple[tuple[int, int], ...]) -> tuple[int, int]:
    return min(piece[0] for piece in pieces), max(piece[1] for piece in pieces)


def _readings(first: View, most: int) -> dict[str, View]:
    """Return the readings of one folded text by their text."""
    found = {first.text: first}
    for readers in _READERS:
        for view in list(found.values()):
            for reader in readers:
                reading = reader(view)
                if len(found) < most:
                    found.setdefault(reading.text, reading)
    return found


def canonical(text: str) -> View:
    """Return the single most undisguised reading, for the learned model (in training and in use alike)."""
    view = fold(text)
    for reader in (_latin, _unspaced, _unleet(LEET), _squeezed(2)):
        view = reader(view)
    return view
