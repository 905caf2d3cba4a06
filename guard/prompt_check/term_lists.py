"""The schema of term lists (``policies/terms/*.yaml`` and the built-in hard rules), and their compiled form.

A list has *sets* of words and *rules* over sets. A set is hit when one of its terms or patterns occurs outside its
exceptions; a rule fires when every set it names is hit in the prompt (and, where it says so, in the negative prompt).
Terms are written in plain lower case; ``{a,b}`` expands to alternatives, an empty one included: ``behead{,s,ed,ing}``.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from guard.errors import PolicyError
from guard.prompt_check.normalise import WORD_PATTERN, fold
from guard.strict_yaml import read_strict

_BRACES = re.compile(r"\{([^{}]*)\}")
_WORDS = re.compile(WORD_PATTERN)
_UNSPACED_SCRIPT = re.compile(r"[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
"""Thai, Lao, kana, Han and Hangul: words run together or carry particles, so terms match anywhere in the text."""
MAX_PATTERN_CHARS = 1000
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]*$", max_length=80)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class TermSet(_Strict):
    """Words that mean one thing.

    Attributes:
        terms: words or phrases with brace alternatives.
        patterns: regular expressions on the folded text (lower case, no accents, no underscores).
        exceptions: regular expressions; a hit that lies within a match of one of them does not count.
    """

    terms: tuple[str, ...] = ()
    patterns: tuple[Annotated[str, Field(max_length=MAX_PATTERN_CHARS)], ...] = ()
    exceptions: tuple[Annotated[str, Field(max_length=MAX_PATTERN_CHARS)], ...] = ()


class TermRule(_Strict):
    """What it means that sets were hit together.

    Attributes:
        id: stable name, reported in spans.
        category: a category of the policy schema.
        severity: 0..7.
        score: 0..1, how often such a hit is a violation.
        all_of: sets that must be hit in the prompt.
        none_of: sets whose hit in the prompt stops the rule (context that makes it harmless).
        none_within: context stops only hits of its own field at most this many characters away; None = all hits.
        negative_all_of: sets that must be hit in the negative prompt.
        within: all hits of ``all_of`` must lie in a stretch of this many characters; None = anywhere.
        reason: one sentence for people; never quotes a term.
    """

    id: Name
    category: Name
    severity: Annotated[int, Field(ge=0, le=7)]
    score: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
    all_of: tuple[Name, ...] = Field(min_length=1)
    none_of: tuple[Name, ...] = ()
    negative_all_of: tuple[Name, ...] = ()
    none_within: Annotated[int, Field(ge=10, le=1000)] | None = None
    within: Annotated[int, Field(ge=10, le=1000)] | None = None
    reason: str = Field(min_length=10, max_length=200)


class TermList(_Strict):
    """One file of sets and rules."""

    version: Literal[1]
    id: Name
    languages: tuple[str, ...] = Field(min_length=1)
    source: str = Field(min_length=3)
    sets: dict[Name, TermSet]
    rules: tuple[TermRule, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledTerms:
    """All sets of all lists, ready to be looked up.

    Attributes:
        single: word -> sets.
        multiple: first word -> (all words, set).
        anywhere: substring -> set, for scripts without spaces.
        patterns: (pattern, set).
        exceptions: set -> patterns.
        rules: (rule, hard).
        digests: list id -> SHA-256 of the file.
    """

    single: dict[str, tuple[str, ...]] = field(default_factory=dict)
    multiple: dict[str, tuple[tuple[tuple[str, ...], str], ...]] = field(default_factory=dict)
    anywhere: tuple[tuple[str, str], ...] = ()
    patterns: tuple[tuple[re.Pattern[str], str], ...] = ()
    exceptions: dict[str, tuple[re.Pattern[str], ...]] = field(default_factory=dict)
    rules: tuple[tuple[TermRule, bool], ...] = ()
    digests: dict[str, str] = field(default_factory=dict)


def expand(term: str) -> list[str]:
    """Return every spelling of a term with ``{a,b}`` alternatives."""
    parts = _BRACES.split(term)
    choices = [part.split(",") if index % 2 else [part] for index, part in enumerate(parts)]
    return ["".join(choice) for choice in itertools.product(*choices)]


def read_lists(hard: Path, folder: Path, names: Sequence[str]) -> CompiledTerms:
    """Read the hard rules and the named lists of a folder, and compile them.

    Args:
        hard: the built-in file; its rules are hard.
        folder: where ``NAME.yaml`` lists are.
        names: lists to read, in order.

    Raises:
        PolicyError: a list is missing or malformed, a name is used twice, or a rule names an unknown set.
    """
    compiled = _Compiler()
    compiled.add(hard, is_hard=True)
    for name in names:
        path = folder / f"{name}.yaml"
        if not path.is_file():
            raise PolicyError(f"The policy names the term list {name!r}, but there is no {path}.")
        compiled.add(path, is_hard=False)
    return compiled.finish()


class _Compiler:
    """Collects lists, checks names, builds the look-up tables."""

    def __init__(self) -> None:
        self._sets: dict[str, TermSet] = {}
        self._rules: list[tuple[TermRule, bool]] = []
        self._digests: dict[str, str] = {}

    def add(self, path: Path, *, is_hard: bool) -> None:
        """Take in one file."""
        document, digest = read_strict(path, TermList)
        twice = (document.sets.keys() & self._sets.keys()) | ({document.id} & self._digests.keys())
        twice |= {rule.id for rule in document.rules} & {rule.id for rule, _ in self._rules}
        if twice:
            raise PolicyError(f"{path} uses names that another term list already has: {', '.join(sorted(twice))}.")
        self._sets |= document.sets
        self._rules += [(rule, is_hard) for rule in document.rules]
        self._digests[document.id] = digest

    def finish(self) -> CompiledTerms:
        """Check references and return the tables."""
        for rule, _ in self._rules:
            unknown = {*rule.all_of, *rule.none_of, *rule.negative_all_of} - self._sets.keys()
            if unknown:
                raise PolicyError(
                    f"The term rule {rule.id!r} names sets that no list has: {', '.join(sorted(unknown))}."
                )
        single: dict[str, set[str]] = {}
        multiple: dict[str, set[tuple[tuple[str, ...], str]]] = {}
        anywhere: list[tuple[str, str]] = []
        for name, term_set in self._sets.items():
            for spelling in (spelling for term in term_set.terms for spelling in expand(term)):
                folded = fold(spelling).text.strip()
                words = tuple(_WORDS.findall(folded))
                if not words:
                    raise PolicyError(f"The term set {name!r} holds a term without letters or digits.")
                if _UNSPACED_SCRIPT.search(folded):
                    anywhere.append((folded, name))
                elif len(words) == 1:
                    single.setdefault(words[0], set()).add(name)
                else:
                    multiple.setdefault(words[0], set()).add((words, name))
        return CompiledTerms(
            single={word: tuple(sorted(names)) for word, names in single.items()},
            multiple={word: tuple(sorted(entries)) for word, entries in multiple.items()},
            anywhere=tuple(anywhere),
            patterns=tuple((_compile(p, name), name) for name, s in self._sets.items() for p in s.patterns),
            exceptions={name: tuple(_compile(p, name) for p in s.exceptions) for name, s in self._sets.items()},
            rules=tuple(self._rules),
            digests=dict(self._digests),
        )


def _compile(pattern: str, name: str) -> re.Pattern[str]:
    """Compile one regular expression of a set."""
    try:
        return re.compile(pattern)
    except re.error as exc:
        raise PolicyError(f"The term set {name!r} holds a pattern that does not compile: {exc}.") from exc
