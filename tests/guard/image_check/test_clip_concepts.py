"""Concepts in words: scores grow with what fits, concepts do not disturb one another, regions say where."""

import importlib.util
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from guard.clip_model import ClipModel
from guard.errors import CheckError
from guard.image_check.clip_concepts import ClipConceptChecker, zero_shot
from guard.records import RGB8
from tests.guard.image_check.tiny_models import noise, save_clip, source_of

needs_clip = pytest.mark.skipif(importlib.util.find_spec("open_clip") is None, reason="the extra clip is absent")


class Colours:
    """An embedder whose picture vectors are mean colours, and which knows the words red, green and blue."""

    digest = "0" * 64
    logit_scale = 20.0
    words = ("red", "green", "blue")

    def embed_pictures(self, pictures: list[RGB8]) -> NDArray[np.float32]:
        means = np.array([one.reshape(-1, 3).mean(axis=0) + 1e-3 for one in pictures], np.float32)
        return means / np.linalg.norm(means, axis=1, keepdims=True)

    def embed_phrases(self, phrases: list[str]) -> NDArray[np.float32]:
        return np.array([[float(word in phrase.split()) for word in self.words] for phrase in phrases], np.float32)


def concept(*prompts: str, min_score: float = 0.5, category: str = "shocking", severity: int = 4) -> SimpleNamespace:
    return SimpleNamespace(category=category, prompts=prompts, min_score=min_score, severity=severity)


def checker(**concepts: SimpleNamespace) -> ClipConceptChecker:
    return ClipConceptChecker(Colours(), concepts=concepts, neutral=("green", "nothing"))


def plain(*colour: int, size: tuple[int, int] = (64, 64)) -> RGB8:
    return np.full((*size, 3), colour, np.uint8)


def test_a_picture_that_fits_a_concept_is_a_finding_of_its_category() -> None:
    (finding,) = checker(redness=concept("red", category="violence_gore", severity=6)).check(plain(250, 0, 0))
    assert (finding.checker, finding.category, finding.severity) == ("image.clip_concepts", "violence_gore", 6)
    assert finding.score > 0.99
    assert finding.regions == ()
    assert "'redness'" in finding.reason


def test_what_fits_a_neutral_phrase_is_none() -> None:
    found = checker(redness=concept("red"), blueness=concept("blue"))
    assert found.check(plain(0, 250, 0)) == []
    assert found.scores(plain(0, 250, 0))["redness"] < 0.01


def test_the_limit_is_the_policys() -> None:
    mixed = plain(140, 140, 0)
    (score,) = checker(redness=concept("red")).scores(mixed).values()
    assert len(checker(redness=concept("red", min_score=score - 0.01)).check(mixed)) == 1
    assert checker(redness=concept("red", min_score=score + 0.01)).check(mixed) == []


def test_a_small_region_of_a_large_picture_is_found_where_it_is() -> None:
    picture = plain(0, 250, 0, size=(900, 900))
    picture[500:, 500:] = (250, 0, 0)
    (finding,) = checker(redness=concept("red")).check(picture)
    (region,) = finding.regions
    assert (region.x, region.y) == (360, 360)
    assert (region.x + region.width, region.y + region.height) == (900, 900)


def test_concepts_and_phrases_do_not_compete() -> None:
    picture = plain(200, 60, 190)
    alone = checker(redness=concept("red")).scores(picture)["redness"]
    together = checker(redness=concept("red"), blueness=concept("blue")).scores(picture)
    more = checker(redness=concept("red", "blue green")).scores(picture)["redness"]
    assert together["redness"] == pytest.approx(alone)
    assert more >= alone


@given(
    st.lists(st.floats(-50, 50), min_size=1, max_size=5),
    st.lists(st.floats(-50, 50), min_size=1, max_size=5),
    st.floats(0, 20),
)
def test_scores_are_probabilities_that_grow_with_the_concept(own: list[float], other: list[float], more: float) -> None:
    low = zero_shot(np.array([own]), np.array([other]))
    high = zero_shot(np.array([[own[0] + more, *own[1:]]]), np.array([other]))
    assert 0.0 <= low[0] <= high[0] <= 1.0
    assert zero_shot(np.array([own]), np.array([[*other, 0.0]]))[0] <= low[0]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ClipModel:
    return ClipModel(source_of(save_clip(tmp_path_factory.mktemp("clip") / "model")))


@needs_clip
@pytest.mark.filterwarnings("ignore")  # of torch and timm, about themselves
def test_scores_with_a_real_model_are_the_softmax_that_open_clip_documents(model: ClipModel) -> None:
    picture, neutral = noise(50, 50), ["a photo", "a drawing"]
    made = ClipConceptChecker(model, concepts={"fire": concept("a fire")}, neutral=neutral)
    logits = model.logit_scale * model.embed_pictures([picture]) @ model.embed_phrases(["a fire", *neutral]).T
    shares = np.exp(logits[0] - logits[0].max())
    assert made.scores(picture)["fire"] == pytest.approx(shares[0] / shares.sum(), abs=1e-5)


@needs_clip
@pytest.mark.filterwarnings("ignore")
def test_a_model_that_fails_on_a_picture_fails_closed(model: ClipModel, monkeypatch: pytest.MonkeyPatch) -> None:
    made = ClipConceptChecker(model, concepts={"fire": concept("a fire")})
    monkeypatch.setattr(model._model, "encode_image", lambda *a, **k: 1 / 0)
    with pytest.raises(CheckError):
        made.check(noise(50, 50))
