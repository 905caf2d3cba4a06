"""Keys: fixed streams for ever, separate for every name, never printed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.errors import KeyMaterialError
from guard.watermark.key_schedule import KeyName, KeySchedule, KeyStream
from tests.guard.watermark.pictures import KEY


def test_the_stream_is_the_standard_shake256() -> None:
    # SHAKE-256 of eight zero bytes, first 8 bytes: computed with OpenSSL, `openssl dgst -shake256 -xoflen 8`
    import hashlib

    expected = int.from_bytes(hashlib.shake_256(bytes(8)).digest(8), "big")
    assert int(KeyStream(b"").words(1)[0]) == expected


@given(count=st.integers(1, 400), seed=st.binary(max_size=40))
def test_permutations_hold_every_index_once(count: int, seed: bytes) -> None:
    assert sorted(KeyStream(seed).permutation(count)) == list(range(count))


def test_draws_differ_from_each_other() -> None:
    stream = KeyStream(b"seed")
    assert not np.array_equal(stream.words(8), stream.words(8))


def test_names_do_not_run_into_each_other() -> None:
    schedule = KeySchedule.from_master(KEY)
    names = [("ab", "c"), ("a", "bc"), ("abc", ""), ("", "abc")]
    firsts = {int(schedule.chip_stream(KeyName(tenant=t, period=q)).words(1)[0]) for t, q in names}
    assert len(firsts) == len(names)


def test_nothing_secret_is_printed() -> None:
    schedule = KeySchedule.from_master(KEY)
    assert repr(schedule) == "KeySchedule()"


@pytest.mark.parametrize("bad", [b"", bytes(31), "x" * 32])
def test_weak_masters_are_refused(bad: bytes) -> None:
    with pytest.raises(KeyMaterialError, match="at least 32"):
        KeySchedule.from_master(bad)
