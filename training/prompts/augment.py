"""Texts made from labelled ones: joined, token soup, telegraphic, and the project's own contrasts.

What each kind is for: *joined* - length alone means nothing; *soup* - attack strings glue fragments of a request, or
tokens near its words, to noise (MMA-Diffusion, Ring-A-Bell); *telegraphic* - readings of other languages are lists of
words without grammar (``guard/prompt_check/glosses.py``); *contrasts* - harmless and violating texts about one scene in
one wording.
Everything keeps the source of the text it is made from, so a split by source stays one.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from training.prompts.data import FOLDS, JOINED_WEIGHT, MADE_WEIGHT, OWN_WEIGHT, Row
from training.prompts.lookalikes import TEMPLATES, fill, lookalikes, read_slots

CONTRASTS = Path(__file__).with_name("contrasts.txt")
_FUNCTION_WORDS = (
    "the a an of and with in on at by for to from into is are was be being been her his their its it as who that this "
    "while which where there very has have had do does not over under up out off"
)
FUNCTION_WORDS = frozenset(_FUNCTION_WORDS.split())
STYLED = 0.4
"""Share of the contrasts that end in a style, the same on both sides, as prompts of users do."""
NEIGHBOURS = 8
"""How many nearest pieces may stand for a word in a token soup."""
REPLACED = 0.35
"""Share of a soup's words that a near piece stands for: attacks avoid the words themselves (MMA-Diffusion, Yang et al.
2024, section 3.2, masks a list of sensitive words and searches for tokens of similar embedding)."""
_SHARED_PAIR = 1_000_000
"""First pair number of the contrasts; CoProV2's own are below 100 000."""


def own_rows(*, seed: int, per_template: int = 16, per_contrast: int = 12) -> list[Row]:
    """Return the project's own look-alikes and contrasts; templates of even and odd rank are two sources."""
    harmless = [
        _own(text, 0, (), f"own_lookalikes_{side}", OWN_WEIGHT, None)
        for side, texts in lookalikes(seed=seed, per_template=per_template).items()
        for text in texts
    ]
    return harmless + contrasts(seed=seed, count=per_contrast)


def contrasts(*, seed: int, count: int) -> list[Row]:
    """Return up to ``count`` filled pairs of each line of ``contrasts.txt``, the same slots on both sides.

    Raises:
        ValueError: a line does not have three parts.
    """
    rng = random.Random(seed)
    slots, lines = read_slots(CONTRASTS)
    styles = read_slots(TEMPLATES)[0]["style"]
    found = []
    number = _SHARED_PAIR
    for rank, line in enumerate(lines):
        harmless, violating, category = (part.strip() for part in line.split("|||"))
        source = f"own_contrasts_{'one' if rank % 2 else 'two'}"
        seen: set[tuple[str, str]] = set()
        for _ in range(count):
            values = {name: rng.choice(options) for name, options in slots.items()}
            pair = fill(harmless, values), fill(violating, values)
            if pair in seen:
                continue
            seen.add(pair)
            style = rng.choice(styles) if rng.random() < STYLED else ""
            if style:
                pair = f"{pair[0]}, {style}", f"{pair[1]}, {style}"
            found.append(_own(pair[0], 0, (), source, OWN_WEIGHT, number))
            found.append(_own(pair[1], 1, (category,), source, OWN_WEIGHT, number))
            number += 1
    return found


def _own(text: str, label: int, categories: tuple[str, ...], source: str, weight: float, pair: int | None) -> Row:
    return Row(
        text=text,
        label=label,
        categories=categories,
        source=source,
        licence="own",
        language="en",
        adversarial=False,
        weight=weight,
        pair=pair,
    )


def joined(rows: Sequence[Row], *, count: int, seed: int) -> list[Row]:
    """Return ``count`` texts that are two joined: half hide a violation among harmless words, half are both harmless.

    Both parts come from the same side of every split, so nothing leaks; they teach that length alone means nothing.
    """
    rng = random.Random(seed)
    sides: dict[str, tuple[list[Row], list[Row]]] = {}
    for row in _plain(rows):
        if len(row.text) < 160:
            side = next((fold for fold, sources in FOLDS.items() if row.source in sources), "rest")
            sides.setdefault(side, ([], []))[row.label].append(row)
    found = []
    for index in range(count):
        harmless, violating = sides[rng.choice(sorted(sides))]
        first = rng.choice(violating if index % 2 else harmless)
        second = rng.choice(harmless)
        parts = [first.text.rstrip(".,"), second.text.rstrip(".,")]
        rng.shuffle(parts)
        found.append(replace(first, text=rng.choice([", ", ". "]).join(parts), pair=None, weight=JOINED_WEIGHT))
    return found


def soups(rows: Sequence[Row], vocabulary: Sequence[str], vectors: np.ndarray, *, count: int, seed: int) -> list[Row]:
    """Return ``count`` token soups, five of six from violating texts: words or pieces near them, glued to random ones.

    Args:
        rows: labelled texts.
        vocabulary: word pieces.
        vectors: (pieces, size) their vectors, for what is near.
        count: how many.
        seed: of everything random.
    """
    rng = random.Random(seed)
    noise = [piece.removeprefix("##") for piece in vocabulary if re.fullmatch(r"(##)?[a-z]{2,9}", piece)]
    near = Neighbours(vocabulary, vectors)
    by_label: tuple[list[Row], list[Row]] = ([], [])
    for row in _plain(rows):
        by_label[row.label].append(row)
    found = []
    for index in range(count):
        row = rng.choice(by_label[0 if index % 6 == 0 else 1])
        words = re.findall(r"\w+", row.text)
        content = [word for word in words if word.lower() not in FUNCTION_WORDS] or words
        kept = rng.sample(content, max(1, round(len(content) * rng.uniform(0.5, 0.9)))) if content else []
        kept = [near.draw(word.lower(), rng) if rng.random() < REPLACED else word for word in kept[:16]]
        parts = [(word + rng.choice(noise) if rng.random() < 0.15 else word) for word in kept]
        parts += [rng.choice(noise) + (rng.choice(noise) if rng.random() < 0.3 else "") for _ in parts]
        rng.shuffle(parts)
        found.append(replace(row, text=" ".join(parts), pair=None, weight=MADE_WEIGHT, adversarial=True))
    return found


class Neighbours:
    """Word pieces that mean nearly the same, by cosine of their vectors; computed when asked for, and kept."""

    def __init__(self, vocabulary: Sequence[str], vectors: np.ndarray) -> None:
        """Take the whole words of the vocabulary."""
        chosen = [n for n, piece in enumerate(vocabulary) if re.fullmatch(r"[a-z]{3,}", piece)]
        self._words = [vocabulary[n] for n in chosen]
        self._numbers = {word: place for place, word in enumerate(self._words)}
        lengths = np.linalg.norm(vectors[chosen], axis=1, keepdims=True)
        self._vectors = (vectors[chosen] / np.maximum(lengths, 1e-6)).astype(np.float32)
        self._known: dict[str, list[str]] = {}

    def draw(self, word: str, rng: random.Random) -> str:
        """Return one of the NEIGHBOURS nearest words; the word itself when it is not in the vocabulary."""
        place = self._numbers.get(word)
        if place is None:
            return word
        if word not in self._known:
            cosines = self._vectors @ self._vectors[place]
            nearest = np.argpartition(-cosines, NEIGHBOURS + 1)[: NEIGHBOURS + 1]
            self._known[word] = sorted(self._words[n] for n in nearest if n != place)
        return rng.choice(self._known[word])


def telegraphic(rows: Sequence[Row], *, count: int, seed: int) -> list[Row]:
    """Return ``count`` texts without function words, some words lost, neighbours swapped, half of each label."""
    rng = random.Random(seed)
    by_label: tuple[list[Row], list[Row]] = ([], [])
    for row in _plain(rows):
        by_label[row.label].append(row)
    found = []
    for index in range(count):
        row = rng.choice(by_label[index % 2])
        words = [word for word in re.findall(r"\w+|,", row.text.lower()) if word not in FUNCTION_WORDS]
        words = [word for word in words if rng.random() < 0.75]
        for place in range(len(words) - 1):
            if rng.random() < 0.25:
                words[place], words[place + 1] = words[place + 1], words[place]
        if words:
            found.append(replace(row, text=" ".join(words), pair=None, weight=MADE_WEIGHT))
    return found


def _plain(rows: Sequence[Row]) -> list[Row]:
    """Return the rows that further texts are made from: English image prompts with reliable labels."""
    return [row for row in rows if row.language == "en" and row.domain == "image" and row.weight >= 1.0]
