"""A mark that was copied or averaged onto another picture is stopped by the fingerprint of the id that it shows."""

import numpy as np
import pytest
from skimage import data

from guard.errors import RequestError
from guard.fingerprint import fingerprints
from guard.records import ImageID
from guard.robustness.forgery import confirm_forgeries, confirmed_anyway, estimated_mark, forged, marked_twice
from guard.robustness.samples import clouds
from guard.watermark.codec import LatticeWatermarker
from tests.guard.watermark import pictures as p

ID = ImageID("00112233445566ff")


@pytest.fixture(scope="module")
def codec() -> LatticeWatermarker:
    return LatticeWatermarker(p.KEY)


def test_an_averaged_mark_is_read_on_a_foreign_picture_and_not_confirmed(codec: LatticeWatermarker) -> None:
    """Twenty pictures with one id: the strongest form of the attack, for the average keeps the data lines too."""
    marked = [codec.embed(clouds(seed), ID) for seed in range(20)]
    mark = estimated_mark(marked)
    victim = p.photo("astronaut", (512, 512))
    forgery = forged(victim, mark)
    assert codec.detect(victim).image_id is None
    assert codec.detect(forgery).image_id == ID, "the attack must work, or the test shows nothing"
    tally = confirm_forgeries(codec, [forgery, victim], {ID: fingerprints(marked[0])})
    assert (tally.tried, tally.read, tally.confirmed) == (2, 1, 0)


def test_a_true_copy_is_confirmed_so_the_comparison_is_not_simply_no(codec: LatticeWatermarker) -> None:
    marked = codec.embed(p.photo("coffee", (512, 512)), ID)
    tally = confirm_forgeries(codec, [p.jpeg(marked, 60)], {ID: fingerprints(marked)})
    assert (tally.tried, tally.read, tally.confirmed) == (1, 1, 1)
    assert confirmed_anyway(fingerprints(marked), [p.jpeg(marked, 60), data.astronaut(), clouds(9)]) == 1


def test_an_id_that_is_not_registered_counts_as_not_read(codec: LatticeWatermarker) -> None:
    marked = codec.embed(p.photo("coffee", (512, 512)), ID)
    assert confirm_forgeries(codec, [marked], {}).read == 0


def test_averaging_nothing_is_refused() -> None:
    with pytest.raises(RequestError, match="at least one"):
        estimated_mark([])


def test_a_picture_marked_twice_reads_as_one_of_the_two_or_as_none(codec: LatticeWatermarker) -> None:
    second = ImageID("ffeeddccbbaa9988")
    read = marked_twice(codec, p.photo("coffee", (512, 512)), ID, second)
    assert read in (ID, second, None)
    assert np.array_equal(*(codec.embed(p.photo("coffee", (512, 512)), i) for i in (ID, ID)))
