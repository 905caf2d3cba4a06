"""``image.clip_concepts``: concepts written in words, recognised by a CLIP model of the operator's choice.

Flow: (1) the whole picture and overlapping squares of it (``views.py``), (2) their vectors, (3) each phrase of a
concept against the neutral phrases (softmax over them and it), (4) the best phrase in the best view is the concept's
score. Concepts do not compete with one another: adding one never lowers another, adding a phrase never lowers its own.

A score depends on the model, on the wording and on the neutral phrases; it is no calibrated probability. Choose
``min_score`` on pictures of your own (docs/image-safety.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from guard.image_check.views import ImageView, views
from guard.records import RGB8, Finding, Region

INPUT_PX = 224
"""Side for which views are chosen; CLIP models take 224 to 384."""
NEUTRAL = (
    "a photo",
    "a photo of a person",
    "a photo of people",
    "a photo of an animal",
    "a photo of a landscape",
    "a photo of food",
    "a photo of a building",
    "a photo of an object",
    "a drawing",
    "a painting",
    "a digital illustration",
    "a page of text",
)
"""Phrases for harmless pictures. Source: our own choice: the usual subjects and media; a policy can write others."""


class Concept(Protocol):
    """What a policy says about a concept; ``guard.policy.image_entries.ConceptRule`` is one."""

    @property
    def category(self) -> str:
        """Return the category of findings."""
        ...

    @property
    def prompts(self) -> Sequence[str]:
        """Return the phrases, of which the best fitting counts."""
        ...

    @property
    def min_score(self) -> float:
        """Return the score, 0..1, from which it is a finding."""
        ...

    @property
    def severity(self) -> int:
        """Return the severity, 0..7."""
        ...


class Embedder(Protocol):
    """Pictures and phrases as unit vectors; ``guard.clip_model.ClipModel`` is one."""

    digest: str
    logit_scale: float

    def embed_pictures(self, pictures: Sequence[RGB8]) -> NDArray[np.float32]:
        """Return (n, d) unit vectors. Raises CheckError."""
        ...

    def embed_phrases(self, phrases: Sequence[str]) -> NDArray[np.float32]:
        """Return (n, d) unit vectors. Raises CheckError."""
        ...


class ClipConceptChecker:
    """Implements ``ImageChecker`` with a CLIP model.

    Attributes:
        id: ``image.clip_concepts``.
        digest: content digest of the model.
    """

    id: str = "image.clip_concepts"

    def __init__(
        self, model: Embedder, *, concepts: Mapping[str, Concept], neutral: Sequence[str] | None = None
    ) -> None:
        """Embed all phrases once.

        Args:
            model: the CLIP model.
            concepts: name -> what counts as it; not empty.
            neutral: phrases for harmless pictures; None = NEUTRAL.

        Raises:
            CheckError: the model failed on a phrase.
        """
        self._model = model
        self._concepts = dict(concepts)
        self._neutral = model.embed_phrases(neutral or NEUTRAL)
        self._phrases = {name: model.embed_phrases(concept.prompts) for name, concept in self._concepts.items()}
        self.digest = model.digest

    def check(self, pixels: RGB8) -> Sequence[Finding]:
        """Return one finding for each concept that reaches its score.

        Args:
            pixels: (H, W, 3) uint8.

        Raises:
            CheckError: the model failed or gave numbers that are not finite.
        """
        seen = views(pixels, input_px=INPUT_PX)  # (1)
        scores = self._scores([view.pixels for view in seen])
        return [
            self._finding(name, values, seen)
            for name, values in scores.items()
            if values.max() >= self._concepts[name].min_score
        ]

    def scores(self, pixels: RGB8) -> dict[str, float]:
        """Return every concept's score, 0..1, also below its limit: what a limit is chosen from."""
        seen = [view.pixels for view in views(pixels, input_px=INPUT_PX)]
        return {name: float(values.max()) for name, values in self._scores(seen).items()}

    def _scores(self, pictures: Sequence[RGB8]) -> dict[str, NDArray[np.float64]]:
        """Return the score of every concept in every view."""
        vectors = self._model.embed_pictures(pictures)  # (2)
        neutral = self._model.logit_scale * (vectors @ self._neutral.T).astype(np.float64)
        return {
            name: zero_shot(self._model.logit_scale * (vectors @ phrases.T).astype(np.float64), neutral)
            for name, phrases in self._phrases.items()
        }

    def _finding(self, name: str, values: NDArray[np.float64], seen: Sequence[ImageView]) -> Finding:
        """Return the finding of one concept, with the view that shows it best unless that is the whole picture."""
        best = int(values.argmax())
        view = seen[best]
        height, width = view.pixels.shape[:2]
        concept = self._concepts[name]
        return Finding(
            checker=self.id,
            category=str(concept.category),
            score=float(values[best]),
            severity=concept.severity,
            reason=f"The picture looks like the concept {name!r} of the policy.",
            regions=() if best == 0 else (Region(x=view.x, y=view.y, width=width, height=height),),
        )


def zero_shot(concept: NDArray[np.float64], neutral: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return each picture's probability of its best concept phrase in a softmax over that phrase and the neutral ones.

    Args:
        concept: (pictures, phrases) logits.
        neutral: (pictures, neutral phrases) logits.

    Returns:
        (pictures,) in 0..1. Grows with every concept logit, falls with every neutral one.

    Source: Radford et al. 2021, "Learning Transferable Visual Models", sec. 3.1.2 (arXiv 2103.00020). Differs: one
    concept phrase at a time, so that concepts and phrases do not compete.
    """
    best = concept.max(axis=1)  # (3), (4)
    against = np.logaddexp.reduce(neutral, axis=1)
    return np.asarray(1.0 / (1.0 + np.exp(np.clip(against - best, -700.0, 700.0))))
