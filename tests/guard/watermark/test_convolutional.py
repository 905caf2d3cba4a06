"""The code: tail-biting, corrects what its distance promises, decodes noise as well as theory says."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.watermark.convolutional import RATE, TailBitingCode
from guard.watermark.payload import WORD_BITS

CODE = TailBitingCode()
words = st.lists(st.integers(0, 1), min_size=WORD_BITS, max_size=WORD_BITS).map(lambda b: np.array(b, np.uint8))


@given(word=words)
@settings(max_examples=10, deadline=None)
def test_round_trip(word: np.ndarray) -> None:
    chips = CODE.encode(word)
    assert set(np.unique(chips)) <= {-1.0, 1.0}
    assert np.array_equal(CODE.decode(chips), word)


@given(word=words, turn=st.integers(1, WORD_BITS - 1))
@settings(max_examples=10, deadline=None)
def test_turning_the_word_turns_the_chips(word: np.ndarray, turn: int) -> None:
    assert np.array_equal(CODE.encode(np.roll(word, turn)), np.roll(CODE.encode(word), RATE * turn))


@given(word=words, seed=st.integers(0, 2**32 - 1))
@settings(max_examples=10, deadline=None)
def test_corrects_half_its_free_distance_anywhere(word: np.ndarray, seed: int) -> None:
    chips = CODE.encode(word)
    chips[np.random.default_rng(seed).choice(len(chips), 16, replace=False)] *= -1  # d_free 33 corrects 16
    assert np.array_equal(CODE.decode(chips), word)


def test_decodes_at_two_decibels_above_the_noise() -> None:
    rng = np.random.default_rng(7)
    sigma = np.sqrt(RATE / (2 * 10**0.3))  # Eb/N0 = 3 dB
    wrong = 0
    for _ in range(20):
        word = rng.integers(0, 2, WORD_BITS).astype(np.uint8)
        soft = CODE.encode(word) + rng.normal(0, sigma, RATE * WORD_BITS).astype(np.float32)
        wrong += not np.array_equal(CODE.decode(soft.astype(np.float32)), word)
    assert wrong <= 1
