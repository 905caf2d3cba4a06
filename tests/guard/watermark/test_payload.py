"""Id <-> word: round trip, the published CRC check value, and damage that must not pass."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from guard.records import ImageID
from guard.watermark.payload import WORD_BITS, crc24, id_of, word_of

ids = st.integers(0, 2**64 - 1).map(lambda n: ImageID(f"{n:016x}"))
pads = st.lists(st.integers(0, 1), min_size=WORD_BITS, max_size=WORD_BITS).map(lambda b: np.array(b, np.uint8))


def test_crc_has_the_published_check_value() -> None:
    assert crc24(b"123456789") == 0x21CF02  # CRC-24/OPENPGP, RFC 9580; reveng catalogue "check"


@given(image_id=ids, pad=pads)
def test_round_trip(image_id: ImageID, pad: np.ndarray) -> None:
    assert id_of(word_of(image_id, pad), pad) == image_id


@given(image_id=ids, pad=pads, flips=st.sets(st.integers(0, WORD_BITS - 1), min_size=1, max_size=3))
def test_up_to_three_wrong_bits_never_pass(image_id: ImageID, pad: np.ndarray, flips: set[int]) -> None:
    word = word_of(image_id, pad)
    word[list(flips)] ^= 1
    assert id_of(word, pad) is None


@given(image_id=ids, first=pads, second=pads)
def test_the_pad_of_another_key_does_not_fit(image_id: ImageID, first: np.ndarray, second: np.ndarray) -> None:
    if not np.array_equal(first, second):
        assert id_of(word_of(image_id, first), second) != image_id
