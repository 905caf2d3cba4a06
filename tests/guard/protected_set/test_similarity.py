"""What resembles a protected picture is reported when a model and a limit are configured, and only then."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from skimage import data

from guard.errors import CheckError
from guard.protected_set.checker import ProtectedSetChecker
from guard.protected_set.entry import ProtectedEntry
from guard.protected_set.similarity import SimilarityRule, matrix_of, picture_vector
from guard.protected_set.store import ProtectedStore
from guard.records import RGB8
from tests.guard.protected_set.test_checker import entry


class Colours:
    """An embedder whose vectors are the mean colours of a picture's quarters."""

    def __init__(self, digest: str = "a" * 64) -> None:
        self.digest = digest

    def embed_pictures(self, pictures: Sequence[RGB8]) -> NDArray[np.float32]:
        rows = []
        for one in pictures:
            quarters = [part for half in np.array_split(one, 2) for part in np.array_split(half, 2, axis=1)]
            rows.append(np.concatenate([part.reshape(-1, 3).mean(axis=0) - 100 for part in quarters]))
        vectors = np.array(rows, np.float32)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


MODEL = Colours()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ProtectedStore]:
    opened = ProtectedStore(tmp_path / "protected.sqlite3")
    yield opened
    opened.close()


def with_vector(pixels: RGB8, model: Colours = MODEL, **changes: object) -> ProtectedEntry:
    return entry(pixels, vector=picture_vector(model, pixels), **changes)


def checker(store: ProtectedStore, limit: float = 0.95, model: Colours = MODEL) -> ProtectedSetChecker:
    return ProtectedSetChecker(store, similarity=SimilarityRule(model=model, min_similarity=limit))


def another_crop(pixels: RGB8) -> RGB8:
    """Too different for a hash: 12 % cut off on two sides."""
    height, width = pixels.shape[:2]
    return np.ascontiguousarray(pixels[: int(height * 0.88), int(width * 0.12) :])


def test_a_crop_that_no_hash_finds_is_reported_as_a_resemblance(store: ProtectedStore) -> None:
    coffee = data.coffee()
    store.add([with_vector(coffee, hard=True)])
    cropped = another_crop(coffee)
    assert ProtectedSetChecker(store).check(cropped) == []
    (finding,) = checker(store).check(cropped)
    assert "resembles" in finding.reason
    assert (finding.category, finding.severity, finding.hard) == ("trademark_style", 6, False)
    assert 0.95 <= finding.score < 1.0


def test_a_copy_stays_a_copy_and_is_reported_once(store: ProtectedStore) -> None:
    coffee = data.coffee()
    store.add([with_vector(coffee, hard=True)])
    (finding,) = checker(store).check(coffee)
    assert "looks the same" in finding.reason
    assert finding.hard is True


def test_the_limit_is_the_policys_and_others_are_left_alone(store: ProtectedStore) -> None:
    store.add([with_vector(data.coffee())])
    assert checker(store, limit=1.0).check(another_crop(data.coffee())) == []
    assert checker(store).check(data.rocket()) == []


def test_each_list_reports_what_resembles_most(store: ProtectedStore) -> None:
    coffee = data.coffee()
    store.add([with_vector(coffee, label="whole"), with_vector(another_crop(another_crop(coffee)), label="part")])
    store.add([with_vector(coffee, list_name="removed", category="shocking")])
    found = checker(store).check(another_crop(coffee))
    assert sorted(finding.category for finding in found) == ["shocking", "trademark_style"]


def test_vectors_of_another_model_and_bare_hashes_are_not_compared(store: ProtectedStore) -> None:
    coffee = data.coffee()
    store.add([with_vector(coffee, model=Colours("b" * 64)), entry(data.chelsea(), label="bare")])
    assert checker(store).check(another_crop(coffee)) == []


def test_vectors_leave_with_their_entries_and_change_with_them(store: ProtectedStore) -> None:
    coffee = data.coffee()
    seen = checker(store)
    store.add([with_vector(coffee)])
    assert len(seen.check(another_crop(coffee))) == 1
    store.add([entry(coffee)])  # the same hash again, without a vector
    assert seen.check(another_crop(coffee)) == []
    store.add([with_vector(coffee)])
    store.remove(list_name="works")
    assert store.vectors(model=MODEL.digest) == []
    assert seen.check(another_crop(coffee)) == []


def test_a_model_that_fails_fails_closed(store: ProtectedStore) -> None:
    class Broken(Colours):
        def embed_pictures(self, pictures: Sequence[RGB8]) -> NDArray[np.float32]:
            raise CheckError("The model failed.")

    store.add([with_vector(data.coffee())])
    with pytest.raises(CheckError):
        checker(store, model=Broken()).check(data.rocket())


@given(st.integers(0, 2**32 - 1))
def test_rounding_for_the_store_keeps_cosines(seed: int) -> None:
    one, other = np.random.default_rng(seed).standard_normal((2, 512)).astype(np.float32)
    one, other = one / np.linalg.norm(one), other / np.linalg.norm(other)
    stored = matrix_of([one.astype("<f2").tobytes(), other.astype("<f2").tobytes()])
    assert abs(float(stored[0] @ stored[1]) - float(one @ other)) < 1e-3
