"""Text -> word pieces for the meaning view of the prompt model: a small, dependency-free WordPiece.

Greedy longest match inside words, as in BERT's uncased tokenizer; it takes readings (``Glosses.read``), in which
disguises are undone and words of other languages replaced.

Source: Devlin et al. 2019 (BERT), reference ``tokenization.py``. Differs: no [CLS] and [SEP]; words over MAX_WORD_CHARS
are cut into single unknowns; at most MAX_PIECES pieces are returned.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

UNKNOWN = "[UNK]"
MAX_WORD_CHARS = 40
"""Longest word that is split into pieces; longer ones are noise (BERT: 100; 40 holds every word of the vocabulary)."""
MAX_PIECES = 96
"""Most pieces of one window of text; training texts were cut there, a window of 200 characters has 45."""
_PARTS = re.compile(r"[\u3400-\u9fff\uf900-\ufaff]|[^\W_\u3400-\u9fff\uf900-\ufaff]+|[^\w\s]|_")


def pieces(text: str, vocabulary: Mapping[str, int]) -> NDArray[np.int64]:
    """Return (n,) int64 piece numbers of a text, at least one (the unknown piece for a text without any)."""
    found: list[int] = []
    unknown = vocabulary[UNKNOWN]
    for word in _PARTS.findall(text):
        found.extend(_split(word, vocabulary, unknown))
        if len(found) >= MAX_PIECES:
            break
    return np.array(found[:MAX_PIECES] or [unknown], np.int64)


def _split(word: str, vocabulary: Mapping[str, int], unknown: int) -> list[int]:
    """Return the pieces of one word, or the unknown piece."""
    if len(word) > MAX_WORD_CHARS:
        return [unknown]
    found = []
    start = 0
    while start < len(word):
        prefix = "##" if start else ""
        for end in range(len(word), start, -1):
            piece = vocabulary.get(prefix + word[start:end])
            if piece is not None:
                found.append(piece)
                start = end
                break
        else:
            return [unknown]
    return found
