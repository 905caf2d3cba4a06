"""What a policy may say about each checker of pictures; ``guard/policy/schema.py`` joins them."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field, model_validator

from guard.policy.fields import Category, CheckerID, Digest, Name, Probability, Severity, Strict

UNCHECKED = "image.unsafe_unchecked"
"""Id of the explicit way to run without an image checker; every picture is then at least flagged."""


class NudityClass(Strict):
    """How one class of the nudity detector counts: from which score on, and how severe it is."""

    min_score: Probability
    severity: Severity


class FaceModel(Strict):
    """A YuNet file of the operator: a second opinion on faces (``guard/image_check/faces.py``).

    Attributes:
        file: path of the ONNX file.
        digest: its SHA-256.
        min_score: what scores lower is no face.
    """

    file: str
    digest: Digest
    min_score: Annotated[float, Field(ge=0.5, le=1.0, allow_inf_nan=False)] = 0.8


class NudityEntry(Strict):
    """``image.nudity``: the nudity detector (extra ``nudenet``), class by class; classes left out do not count.

    Attributes:
        alone_min_score: below it, a class in a picture that shows nothing else of a body is reported as mild; None =
            no difference.
        faces: a second detector of faces, for the hard rule on intimate parts together with a face.
    """

    id: Literal["image.nudity"]
    classes: dict[str, NudityClass] = Field(min_length=1)
    alone_min_score: Probability | None = None
    faces: FaceModel | None = None


class UncheckedEntry(Strict):
    """``image.unsafe_unchecked``: no picture is looked at; the policy must say why, and every picture is flagged."""

    id: Literal["image.unsafe_unchecked"]
    because: str = Field(min_length=10, max_length=300)


class PinnedModel(Strict):
    """Weights of the operator: a local folder, or a hub id with its commit in the local cache; always with a digest.

    Attributes:
        digest: SHA-256 over the files (``guard.weights.content_digest``).
    """

    folder: str | None = None
    hub: str | None = None
    revision: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")] | None = None
    digest: Digest

    @model_validator(mode="after")
    def _one_place(self) -> PinnedModel:
        if (self.folder is None) == (self.hub is None) or (self.hub is None) != (self.revision is None):
            raise ValueError("a model needs either folder, or hub and revision")
        return self


class ProtectedSetEntry(Strict):
    """``image.protected``: comparison with the operator's protected set, by PDQ hash and, if asked for, by CLIP.

    Attributes:
        max_distance: bits of 256 that may differ.
        model: CLIP model for embeddings, as for ``image.clip_concepts``.
        min_similarity: cosine of embeddings from which a picture matches; only with ``model``.
    """

    id: Literal["image.protected"]
    max_distance: Annotated[int, Field(ge=0, le=31)] = 31
    model: PinnedModel | None = None
    min_similarity: Probability | None = None

    @model_validator(mode="after")
    def _both_or_none(self) -> ProtectedSetEntry:
        if (self.model is None) != (self.min_similarity is None):
            raise ValueError("min_similarity and model are given together")
        return self


Prompt: TypeAlias = Annotated[str, Field(min_length=1, max_length=300)]


class ConceptRule(Strict):
    """One concept: phrases of which the best fitting counts, from which score on, how severe, of which category."""

    category: Category
    prompts: tuple[Prompt, ...] = Field(min_length=1, max_length=50)
    min_score: Probability
    severity: Severity


class ClipConceptsEntry(Strict):
    """``image.clip_concepts``: concepts in words, by a CLIP model (extra ``clip``).

    Attributes:
        concepts: by name.
        neutral: phrases for harmless pictures that every concept competes with; None = those of the checker.
    """

    id: Literal["image.clip_concepts"]
    model: PinnedModel
    concepts: dict[Name, ConceptRule] = Field(min_length=1)
    neutral: Annotated[tuple[Prompt, ...], Field(min_length=2, max_length=100)] | None = None


class SafetyCheckerEntry(Strict):
    """``image.safety_checker``: the safety checker of Stable Diffusion (extra ``generate``), as one opinion of several.

    Attributes:
        severity: of its findings; it knows sexual content only.
        adjustment: added to every concept's margin; above 0 is stricter.
    """

    id: Literal["image.safety_checker"]
    model: PinnedModel
    severity: Severity = 4
    adjustment: Annotated[float, Field(ge=-0.1, le=0.1, allow_inf_nan=False)] = 0.0


class ImageTextEntry(Strict):
    """``image.text``: text that is drawn into the picture (extra ``ocr``), read and checked like a prompt.

    Attributes:
        checkers: prompt checkers of this policy that read it.
        min_confidence: lines read with less are not checked.
    """

    id: Literal["image.text"]
    checkers: tuple[CheckerID, ...] = Field(default=("prompt.terms",), min_length=1)
    min_confidence: Probability = 0.6


class PreviewRules(Strict):
    """Looking at unfinished pictures, so that what will be blocked anyway is not finished.

    Attributes:
        at: shares of the denoising steps after which the image checkers look, for instance 0.5.
    """

    at: tuple[Annotated[float, Field(ge=0.1, le=0.95, allow_inf_nan=False)], ...] = Field(min_length=1, max_length=3)
