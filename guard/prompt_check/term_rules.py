"""``prompt.terms``: term and pattern rules on the undisguised text, and the hard rules that no policy switches off.

Every text of a request is read (``guard/prompt_check/normalise.py``) and looked up::

    prompt, prompt_2   hits count as asked for
    negative_prompt    names what the picture should *not* show: "nsfw, nude" there is harmless and common. But pushing
                       away adulthood or clothing is asking for their opposite, so rules may name sets that must be hit
                       in the negative prompt. Where the negative prompt is drawn towards instead of away from - a
                       guidance below 1, a negative attention weight inside it - it counts as a prompt.

Reasons never quote a term; spans point into the original text.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path
from typing import TypeAlias

from guard.prompt_check.interfaces import TextFindings
from guard.prompt_check.names import SET_NAME, name_shaped
from guard.prompt_check.normalise import FILLERS, WORD_PATTERN, View, turns_weights_around, views
from guard.prompt_check.term_lists import CompiledTerms, TermRule, read_lists
from guard.records import AdmittedRequest, Finding, TextSpan

HARD_RULES = Path(__file__).with_name("hard_rules.yaml")
"""Part of the code, not of the policy folder: whoever can edit policies still cannot edit these."""
NOT_SAFETY = frozenset({"trademark_style"})
"""Categories that are a matter of rights or taste, not of safety; they do not raise P(violating)."""
MIN_DENSE_CHARS = 4
"""Shortest term looked for inside letters that were spelled out one by one; shorter ones occur by chance."""
MIN_INNER_CHARS = 6
"""Shortest term looked for in the middle of such letters: "illustration" holds a term of four."""
MAX_SPANS = 20
"""Most spans reported for one rule."""
MIN_CODED_CHARS = 5
"""Shortest term looked for backwards, in ROT13 and cut in two; shorter ones are other words then ("lana", "part y")."""
MAX_CODED_CHARS = 64
"""Longest word looked for with a doubled letter single; twice the longest term, and it bounds the work on one word."""
_SMALL_WORDS = frozenset(
    ("a", "s", "i", "in", "is", "as", "an", "at", "it", "on", "of", "us", "up", "or", "to", "the", "be", "who", "re")
) | frozenset(("some", "no", "nos", "por", "pela", "da", "te", "sei", "ni", "er", "et", "les", "ces"))
"""No halves of cut words: "a hero in", "will be headed", "por no ver"; small words of all listed languages."""
_ORDINARY_PAIRS = frozenset(
    ("cream pie", "cream pies", "black face", "wet back", "wet backs", "even tree", "de membre", "t werk")
)
"""Words that stand side by side in harmless texts and would make a term together."""
_ORDINARY_WORDS = frozenset(
    ("seeks", "penne", "rapping", "rapped", "baisse", "bonner", "dekan", "fagott", "nuees", "soies", "bidden")
) | frozenset(("llego", "leggo", "puttin", "arreola"))
"""Words of the listed languages that are terms with a letter less, backwards or in ROT13.
Source: the 60,000 most frequent words of en, de, fr, es, it, pt, nl, pl and tr in wordfreq 3, all looked up."""
_STOPS = re.compile(r"[.,;:!?]")
_GAP = re.compile(rf"[\W_{FILLERS}]{{4,}}")
"""Spaces, signs and what cannot be seen: a long run of them must not move two words apart."""
_GAP_CHARS = 3
"""What such a run counts for in distances, about as much as " - "."""
_ROT13 = str.maketrans({chr(97 + i): chr(97 + (i + 13) % 26) for i in range(26)})
_DOUBLED = re.compile(r"([a-z])\1")
_WORDS = re.compile(WORD_PATTERN)
_MASKED = re.compile(r"(?<![\w*#])(?=[a-z*#]{4,24}(?![\w*#]))[a-z]+[*#]+[a-z*#]*[a-z](?![\w*#])")

Gaps: TypeAlias = tuple[tuple[int, int], ...]
"""(end, surplus): where a long run of nothing ends, and what to take off positions from there on."""


@dataclass(frozen=True, slots=True)
class Hit:
    """One set found at one place of the original text."""

    name: str
    field: str
    start: int
    end: int


class TermChecker:
    """Implements ``PromptChecker`` with term lists.

    Attributes:
        id: ``prompt.terms``.
        digests: list id -> SHA-256 of the file it came from.
    """

    id: str = "prompt.terms"

    def __init__(self, *, folder: Path, lists: Sequence[str]) -> None:
        """Read the hard rules and the lists that the policy names.

        Args:
            folder: ``policies/terms``.
            lists: names of lists, without suffix.

        Raises:
            PolicyError: a list is missing or malformed.
        """
        self._terms: CompiledTerms = read_lists(HARD_RULES, folder, lists)
        self.digests = self._terms.digests

    def check(self, request: AdmittedRequest) -> Sequence[Finding]:
        """Return one finding for each rule that fired, over all texts of the request together."""
        asked = request.request
        inverted = asked.guidance is not None and asked.guidance < 1.0
        return self.check_texts(asked.texts(), negative_counts=inverted)

    def check_texts(self, texts: Sequence[tuple[str, str]], *, negative_counts: bool = False) -> Sequence[Finding]:
        """Return one finding for each rule that fired; see ``examine``."""
        return self.examine(texts, negative_counts=negative_counts).findings

    def examine(self, texts: Sequence[tuple[str, str]], *, negative_counts: bool = False) -> TextFindings:
        """Return one finding for each rule that fired, and the highest score of a safety rule.

        Args:
            texts: (field name, text); the field ``negative_prompt`` is what to stay away from.
            negative_counts: treat the negative prompt as a prompt.
        """
        positive: list[Hit] = []
        negative: list[Hit] = []
        for field, text in texts:
            away = field == "negative_prompt" and not negative_counts and not turns_weights_around(text)
            (negative if away else positive).extend(find_hits(self._terms, field, text))
        gaps = {field: _gaps(text) for field, text in texts}
        fired = (self._apply(rule, hard, positive, negative, gaps) for rule, hard in self._terms.rules)
        findings = tuple(finding for finding in fired if finding is not None)
        scores = [finding.score for finding in findings if finding.category not in NOT_SAFETY]
        return TextFindings(findings=findings, probability=max(scores, default=0.0))

    def _apply(
        self, rule: TermRule, hard: bool, positive: Sequence[Hit], negative: Sequence[Hit], gaps: Mapping[str, Gaps]
    ) -> Finding | None:
        """Return the finding of one rule, or None when it did not fire; ``gaps`` are those of each field."""
        context = [hit for hit in positive if hit.name in rule.none_of]
        used = [hit for hit in positive if hit.name in rule.all_of and not _in_context(hit, context, rule.none_within)]
        if not {hit.name for hit in used}.issuperset(rule.all_of):
            return None
        if not {hit.name for hit in negative}.issuperset(rule.negative_all_of):
            return None
        if rule.within is not None:
            used = _close_together(used, rule, gaps)
            if not used:
                return None
        used += [hit for hit in negative if hit.name in rule.negative_all_of]
        spans = sorted({(hit.field, hit.start, hit.end) for hit in used})[:MAX_SPANS]
        return Finding(
            checker=self.id,
            category=rule.category,
            score=rule.score,
            severity=rule.severity,
            reason=rule.reason,
            hard=hard,
            spans=tuple(TextSpan(field=f, start=start, end=end, rule=rule.id) for f, start, end in spans),
        )


def _in_context(hit: Hit, context: Sequence[Hit], reach: int | None) -> bool:
    """Return whether context makes a hit harmless: anywhere, or in the same field within ``reach`` characters."""
    if reach is None:
        return bool(context)
    return any(c.field == hit.field and c.start <= hit.end + reach and c.end >= hit.start - reach for c in context)


def _close_together(hits: Sequence[Hit], rule: TermRule, gaps: Mapping[str, Gaps]) -> list[Hit]:
    """Return the hits of the first stretch of ``rule.within`` characters of one field that holds all sets."""
    ordered = sorted(hits, key=lambda hit: (hit.field, hit.start))
    placed = [(hit, _place(hit.start, gaps[hit.field]), _place(hit.end, gaps[hit.field])) for hit in ordered]
    for first, low, _ in placed:
        limit = low + (rule.within or 0)
        stretch = [hit for hit, start, end in placed if hit.field == first.field and low <= start and end <= limit]
        if {hit.name for hit in stretch}.issuperset(rule.all_of):
            return stretch
    return []


def _gaps(text: str) -> Gaps:
    """Return the ends of all long runs of nothing, and how many characters they and those before are too long."""
    matches = list(_GAP.finditer(text))
    return tuple(zip((m.end() for m in matches), accumulate(len(m[0]) - _GAP_CHARS for m in matches), strict=True))


def _place(position: int, gaps: Gaps) -> int:
    """Return a position as if no run were too long."""
    before = bisect_right(gaps, position, key=lambda gap: gap[0])
    return position - (gaps[before - 1][1] if before else 0)


def find_hits(terms: CompiledTerms, field: str, text: str) -> list[Hit]:
    """Return every set hit of every reading of one text, exceptions taken out, as ranges of the original text.

    What an exception excuses in the plain reading is excused in the others, where "blue-footed" may lose its hyphen.
    """
    found: set[Hit] = set()
    readings = views(text)
    plain: dict[str, list[tuple[int, int]]] = {}
    masks: dict[str, tuple[str, ...]] = {}
    for view in readings:
        spared: dict[str, list[tuple[int, int]]] = {}
        for name, start, end in _raw_hits(terms, view, masks):
            if name not in spared:
                spared[name] = _spared(terms, view, name)
                if name not in plain:
                    plain[name] = [readings[0].span(*one) for one in _spared(terms, readings[0], name)]
            place = view.span(start, end)
            # a reading's own exceptions by its own places: all of a code may stand for one place of the original
            if not _within_any(start, end, spared[name]) and not _within_any(*place, plain[name]):
                found.add(Hit(name, field, *place))
    found |= {Hit(SET_NAME, field, start, end) for start, end in name_shaped(text)}
    return sorted(found, key=lambda hit: (hit.start, hit.end, hit.name))


def _spared(terms: CompiledTerms, view: View, name: str) -> list[tuple[int, int]]:
    """Return where exceptions take hits of a set out, as ranges of the reading."""
    matches = (match for pattern in terms.exceptions.get(name, ()) for match in pattern.finditer(view.text))
    return [match.span() for match in matches if match.end() > match.start()]


def _within_any(start: int, end: int, ranges: Sequence[tuple[int, int]]) -> bool:
    """Return whether a range lies wholly in one of some ranges."""
    return any(low <= start and end <= high for low, high in ranges)


def _raw_hits(terms: CompiledTerms, view: View, masks: dict[str, tuple[str, ...]]) -> Iterable[tuple[str, int, int]]:
    """Yield (set, start, end) in one reading, before exceptions; ``masks`` is filled for the next reading."""
    text = view.text
    words = [(match[0], match.start(), match.end()) for match in _WORDS.finditer(text)]
    for index, (word, start, end) in enumerate(words):
        for spelling in _spellings(word):
            for name in terms.single.get(spelling, ()):
                yield name, start, end
        for phrase, name in terms.multiple.get(word, ()):
            following = words[index : index + len(phrase)]
            if len(following) == len(phrase) and all(w[0] == p for w, p in zip(following, phrase, strict=True)):
                yield name, start, following[-1][2]
    yield from _cut(terms, text, words)
    for pattern, name in terms.patterns:
        for match in pattern.finditer(text):
            if match.end() > match.start():
                yield name, match.start(), match.end()
    if not text.isascii():
        for term, name in terms.anywhere:
            at = text.find(term)
            while at >= 0:  # every place: an excepted first one must not hide the next
                yield name, at, at + len(term)
                at = text.find(term, at + len(term))
    for low, high in view.dense:
        yield from _inside(terms, text, low, high)
    if "*" in text or "#" in text:
        yield from _masked(terms, text, masks)


def _spellings(word: str) -> set[str]:
    """Return a word, and it without digits around it, with one doubled letter single, in ROT13 and backwards."""
    found = {word}
    if len(word) >= MIN_DENSE_CHARS and word.isascii() and word not in _ORDINARY_WORDS:
        found |= {s for s in (word.strip("0123456789"),) if len(s) >= MIN_DENSE_CHARS}
        if MIN_DENSE_CHARS < len(word) <= MAX_CODED_CHARS:
            found |= {word[: match.start()] + word[match.start() + 1 :] for match in _DOUBLED.finditer(word)}
        if MIN_CODED_CHARS <= len(word) <= MAX_CODED_CHARS:
            found |= {word[::-1], word.translate(_ROT13)}
    return found


def _cut(terms: CompiledTerms, text: str, words: Sequence[tuple[str, int, int]]) -> Iterable[tuple[str, int, int]]:
    """Yield terms cut in two by a space, a line end, the word BREAK or signs: "wo rd", "wo" + "rd"; not by a stop."""
    kept = [word for word in words if word[0] != "break"]
    for (left, start, stop), (right, following, end) in pairwise(kept):
        names = terms.single.get(left + right, ()) if len(left) + len(right) >= MIN_CODED_CHARS else ()
        if not names or left in _SMALL_WORDS or right in _SMALL_WORDS or f"{left} {right}" in _ORDINARY_PAIRS:
            continue
        if not _STOPS.search(text, stop, following):
            yield from ((name, start, end) for name in names)


def _inside(terms: CompiledTerms, text: str, low: int, high: int) -> Iterable[tuple[str, int, int]]:
    """Yield terms inside letters that were spelled out one by one, where words may have run together."""
    for start in range(low, high - MIN_DENSE_CHARS + 1):
        for end in range(start + MIN_DENSE_CHARS, min(high, start + 20) + 1):
            if start > low and end < high and end - start < MIN_INNER_CHARS:
                continue
            for name in terms.single.get(text[start:end], ()):
                yield name, start, end


def _masked(terms: CompiledTerms, text: str, known: dict[str, tuple[str, ...]]) -> Iterable[tuple[str, int, int]]:
    """Yield terms that a word with letters masked by * or # may stand for; at least two letters are left."""
    for match in _MASKED.finditer(text):
        word = match[0]
        if sum(c.isalpha() for c in word) < 2:
            continue
        if word not in known:
            shape = re.compile("".join("." if c in "*#" else c for c in word))
            meant = (names for term, names in terms.single.items() if len(term) == len(word) and shape.fullmatch(term))
            known[word] = tuple({name for names in meant for name in names})
        yield from ((name, match.start(), match.end()) for name in known[word])
