"""Words of other languages -> English words, so that one English model reads prompts in many languages.

``Glosses.read`` replaces the words it knows (``glosses.txt``: German, French, Spanish, Italian, Portuguese, Russian,
Chinese, Japanese, Korean, Arabic, Hindi) and drops the rest of a text that is not English. It is no translation: word
order, negation and everything unlisted are lost; what a picture shows mostly is not. English passes through unchanged.

Why: there are no labelled image prompts in these languages to learn from, and a model that has only seen harmless
text in a language calls everything in it harmless (measured: docs/safety.md).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from guard.errors import WeightsError
from guard.prompt_check.confusables import LATIN_OF
from guard.prompt_check.normalise import canonical, fold

GLOSSES_FILE = Path(__file__).with_name("glosses.txt")
LANGUAGES = ("de", "fr", "es", "it", "pt", "ru", "zh", "ja", "ko", "ar", "hi")
"""Columns of the file after the English one."""
LATIN = ("de", "fr", "es", "it", "pt")
RUNNING = ("zh", "ja", "ko")
"""Scripts in which words run together or carry particles: terms are found anywhere."""
MAX_PHRASE_WORDS = 4
"""Longest listed phrase, in words."""
_SHARE = 0.3
"""A text is in a language when this share of its words is known to be: so read are 67 to 78 % of
German, French and Spanish texts and 0.2 % of English ones (measured on the training texts)."""
MIN_STEM = 3
"""Shortest stem that a star may follow."""
_MIN_DEVANAGARI_STEM = 4
"""Hindi terms of this length match with any ending; shorter ones only as whole words ("mal" begins many others)."""
_LATIN_WORD = r"[a-z]+(?:['\u2019-][a-z]+)*"
_OTHER_WORD = r"[\u0400-\u052f]+|[\u0620-\u065f\u0670-\u06d3]+|[\u0900-\u097f]+"
_RUNNING = r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\uac00-\ud7af]+"
_TOKEN = re.compile(rf"({_LATIN_WORD})|({_OTHER_WORD})|({_RUNNING}(?: {_RUNNING})*)|[^\s\w]|[^\W]+")
_CYRILLIC_WORD = re.compile(r"[\u0400-\u052f]+")
_ARABIC = str.maketrans("\u0623\u0625\u0622\u0629\u0649", "\u0627\u0627\u0627\u0647\u064a", "\u0640")
"""Alef with hamza or madda -> alef, teh marbuta -> heh, alef maksura -> yeh; tatweel goes."""
_ARABIC_MARKS = re.compile(r"[\u064b-\u065f\u0670]")
_ARABIC_PREFIX = re.compile(r"^(?:[وف]?(?:ال|بال|كال|لل)|[وفبلك])(?=.{3})")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Table:
    """Look-up of one language: exact phrases, and stems with any ending; ``starts`` are the stems' first letters."""

    exact: dict[str, str] = field(default_factory=dict)
    stems: dict[str, str] = field(default_factory=dict)
    doubtful: set[str] = field(default_factory=set)
    starts: set[str] = field(default_factory=set)

    def find(self, phrase: str, *, sure: bool = False) -> str | None:
        """Return the English words for a phrase, or None; with ``sure`` words marked as doubtful do not count."""
        found = self.exact.get(phrase)
        if found is not None:
            return None if sure and phrase in self.doubtful else found
        if phrase[:MIN_STEM] not in self.starts:
            return None
        shortest = max(MIN_STEM, phrase.rfind(" ") + 2)  # a stem may end inside the last word only
        for end in range(len(phrase), shortest - 1, -1):
            stem = phrase[:end]
            if stem in self.stems:
                return None if sure and stem in self.doubtful else self.stems[stem]
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Glosses:
    """The compiled list; see ``read_glosses``."""

    tables: dict[str, _Table]
    function_words: dict[str, frozenset[str]]
    running: re.Pattern[str]
    running_words: dict[str, str]

    def read(self, text: str) -> str:
        """Return what the prompt model reads for an original text: undisguised, in English words, single spaces."""
        folded = canonical(text).text
        if not text.isascii() and _is_cyrillic(plain := fold(text).text):
            folded = plain  # real Russian: reading its look-alike letters as Latin would garble it
        return " ".join(self.replace(folded).split())

    def replace(self, text: str) -> str:
        """Return a folded text with the words of other languages replaced; English stays as it is."""
        tokens = [(match.lastindex or 0, match[0]) for match in _TOKEN.finditer(text)]
        language = self._latin_language([word for kind, word in tokens if kind == 1])
        if language is None and all(kind not in (2, 3) for kind, _ in tokens):
            return text
        return " ".join(self._replaced(tokens, language))

    def _latin_language(self, words: list[str]) -> str | None:
        """Return the language of the Latin words, "mixed" for English with words of others in it, None for English."""
        if not words:
            return None
        votes = {name: sum(word in known for word in words) for name, known in self.function_words.items()}
        sure = {name: sum(self.tables[name].find(word, sure=True) is not None for word in words) for name in LATIN}
        plain = {name: votes[name] + 2 * sure[name] for name in LATIN}
        if max(plain.values()) > max(votes["en"], 1):
            known = {name: sum(self.tables[name].find(word) is not None for word in words) for name in LATIN}
            best = max(LATIN, key=lambda name: plain[name] + known[name])
            if plain[best] > max(votes["en"], 1) and votes[best] + sure[best] >= _SHARE * len(words):
                return best
        return "mixed" if any(sure.values()) else None

    def _replaced(self, tokens: list[tuple[int, str]], language: str | None) -> Iterator[str]:
        """Yield the words of the reading."""
        at = 0
        while at < len(tokens):
            kind, token = tokens[at]
            used = 1
            if kind == 3:
                yield from (self.running_words[found] for found in self.running.findall(token))
            elif kind == 2 or (kind == 1 and language is not None):
                gloss, used = self._phrase(tokens, at, language)
                if gloss is not None:
                    yield gloss
                elif kind == 1 and language == "mixed":
                    yield token
            elif token.isascii():
                yield token
            at += used

    def _phrase(self, tokens: list[tuple[int, str]], at: int, language: str | None) -> tuple[str | None, int]:
        """Return (English words or None, number of tokens used) of the longest phrase that starts at a token."""
        kind, token = tokens[at]
        for count in range(min(MAX_PHRASE_WORDS, len(tokens) - at), 0, -1):
            part = tokens[at : at + count]
            if any(other != kind for other, _ in part):
                continue
            phrase = " ".join(word for _, word in part)
            if kind == 2:
                found = self._other_script(phrase, token)
            elif language == "mixed":
                found = next(filter(None, (self.tables[name].find(phrase, sure=True) for name in LATIN)), None)
            else:
                found = self.tables[language or "de"].find(phrase)
            if found is not None:
                return found, count
        return None, 1

    def _other_script(self, phrase: str, token: str) -> str | None:
        """Return the English words for a Cyrillic, Arabic or Devanagari phrase."""
        if "\u0400" <= token[0] <= "\u052f":
            return self.tables["ru"].find(phrase)
        if token[0] >= "\u0900":
            return self.tables["hi"].find(phrase)
        plain = arabic(phrase)
        return self.tables["ar"].find(plain) or self.tables["ar"].find(_ARABIC_PREFIX.sub("", plain))


def _is_cyrillic(text: str) -> bool:
    """Return whether a text holds Cyrillic words that are no Latin words in disguise."""
    return any(not set(word) <= LATIN_OF.keys() for word in _CYRILLIC_WORD.findall(text))


def arabic(text: str) -> str:
    """Return Arabic without marks, tatweel and letter variants that writers mix."""
    return _ARABIC_MARKS.sub("", text).translate(_ARABIC)


def read_glosses(path: Path = GLOSSES_FILE) -> Glosses:
    """Read and compile the list.

    Raises:
        WeightsError: a line does not have the twelve columns, or a stem is too short.
    """
    tables = {name: _Table() for name in LANGUAGES}
    function_words: dict[str, frozenset[str]] = {}
    running: dict[str, str] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line or line.startswith("#"):
            continue
        if line.startswith("@"):
            name, _, words = line[1:].partition(" ")
            function_words[name] = frozenset(words.split(","))
            continue
        columns = [column.strip() for column in line.split("|")]
        if len(columns) != 1 + len(LANGUAGES):
            raise WeightsError(f"{path} line {number} has {len(columns)} columns; expected {1 + len(LANGUAGES)}.")
        for name, column in zip(LANGUAGES, columns[1:], strict=True):
            for term in filter(None, (part.strip() for part in column.split(","))):
                if name in RUNNING:
                    running.setdefault(" ".join(fold(term).text.split()), columns[0])
                else:
                    _add(tables[name], name, term, columns[0], f"{path} line {number}")
    pattern = re.compile("|".join(re.escape(word) for word in sorted(running, key=len, reverse=True)))
    return Glosses(tables=tables, function_words=function_words, running=pattern, running_words=running)


def _add(table: _Table, language: str, term: str, english: str, where: str) -> None:
    """Put one term into a table; the first meaning of a word stays."""
    doubtful, star = term.endswith("?"), term.rstrip("?").endswith("*")
    word = " ".join(fold(term.rstrip("?").rstrip("*")).text.split())
    if language == "ar":
        word = arabic(word)
    if star and len(word) < MIN_STEM:
        raise WeightsError(f"{where} has the stem {word!r}; at least {MIN_STEM} letters are needed.")
    if star or (language == "hi" and len(word) >= _MIN_DEVANAGARI_STEM):
        table.stems.setdefault(word, english)
        table.starts.add(word[:MIN_STEM])
    table.exact.setdefault(word, english)
    if doubtful:
        table.doubtful.add(word)
