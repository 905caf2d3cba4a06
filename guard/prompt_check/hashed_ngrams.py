"""Text -> hashed n-gram counts: the features of the prompt model, without a vocabulary.

Two blocks, as in the classic ``char_wb`` + word TF-IDF pair: character n-grams of 2..5 inside words padded with a
space, and word n-grams of 1..2. Each n-gram is hashed to a slot; the model holds one row of weights for each slot.
Training (``training/prompts``) and use share this file, so it is part of the model's identity: change FEATURES_VERSION
with any change of what it returns.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FEATURES_VERSION = 2
CHAR_BITS = 19
"""2^19 slots for characters: the training texts hold 0.4 million n-grams that occur three times or more (measured)."""
WORD_BITS = 18
"""2^18 slots for words and pairs of words: 90 000 occur twice or more (measured)."""
CHAR_SIZES = (2, 3, 4, 5)
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
"""2^64 / golden ratio. Source: Knuth, TAOCP vol. 3, section 6.4 (Fibonacci hashing)."""
_MIX = np.uint64(0xBF58476D1CE4E5B9)
"""First multiplier of splitmix64. Source: Steele, Lea, Flood 2014, figure 16."""
_SPACE = 32
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Block:
    """Distinct slots of one block with their sublinear counts.

    Attributes:
        slots: (n,) int64 in [0, 2^bits of the block), sorted, distinct.
        weights: (n,) float32, 1 + ln(count).
    """

    slots: NDArray[np.int64]
    weights: NDArray[np.float32]


def _block(hashes: NDArray[np.uint64], bits: int) -> Block:
    """Mix, reduce to slots and count."""
    mixed = (hashes ^ (hashes >> np.uint64(29))) * _MIX
    slots = (mixed >> np.uint64(64 - bits)).astype(np.int64)
    distinct, counts = np.unique(slots, return_counts=True)
    return Block(distinct, (1.0 + np.log(counts)).astype(np.float32))


def _char_hashes(text: str) -> NDArray[np.uint64]:
    """Return one 64-bit hash for each character n-gram that does not cross a word boundary."""
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32).astype(np.uint64)
    spaces = np.concatenate(([0], np.cumsum(codes == _SPACE)))
    rolling = codes.copy()
    found = []
    for size in range(2, CHAR_SIZES[-1] + 1):
        if len(codes) < size:
            break
        rolling = rolling[:-1] * _MULTIPLIER + codes[size - 1 :]
        count = len(rolling)
        inner = spaces[size - 1 : size - 1 + count] - spaces[1 : 1 + count]
        found.append(rolling[inner == 0] * _MULTIPLIER + np.uint64(size))
    return np.concatenate(found) if found else np.zeros(0, np.uint64)


def _word_hashes(text: str) -> NDArray[np.uint64]:
    """Return one 64-bit hash for each word and each pair of neighbours."""
    words = np.array([zlib.crc32(word.encode("utf-8", "surrogatepass")) for word in _WORD.findall(text)], np.uint64)
    words = (words + np.uint64(1)) * _MULTIPLIER
    pairs = words[:-1] * _MIX + words[1:]
    return np.concatenate([words, pairs * _MULTIPLIER + np.uint64(101)])


def blocks(text: str) -> tuple[Block, Block]:
    """Return the (character, word) blocks of a reading (``Glosses.read``).

    Cost: 0.2 ms for a prompt of 100 characters on one core (benchmarks/prompt_latency.py).
    """
    plain = " ".join(text.split())
    characters = _char_hashes(f" {plain} ") if plain else np.zeros(0, np.uint64)
    return _block(characters, CHAR_BITS), _block(_word_hashes(plain), WORD_BITS)
