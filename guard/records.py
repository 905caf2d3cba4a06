"""Frozen records of the generation flow, in the order in which they come to be.

``GenerationRequest -> AdmittedRequest -> ClearedPrompt -> GeneratedImage -> ClearedImage -> MarkedImage -> SignedImage
-> RecordedImage``; a ``Refusal`` or a ``Failure`` may end the flow at any step. Only ``guard/pipeline.py`` constructs
the records from ``AdmittedRequest`` on (architecture test), and each stage takes the record of the step before it,
so a skipped safety stage does not type-check.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NewType, TypeAlias

import numpy as np
from numpy.typing import NDArray

from guard.credentials import CredentialReport, SoftBinding, TimeStampOutcome
from guard.kept_metadata import KeptMetadata

ImageID = NewType("ImageID", str)
"""16 lower-case hex digits: 64 random bits; the same id is in the watermark, the manifest and the ledger."""
RequestID = NewType("RequestID", str)
"""32 lower-case hex digits from a CSPRNG."""
RGB8: TypeAlias = NDArray[np.uint8]
"""(H, W, 3) uint8, sRGB."""


class Operation(StrEnum):
    """What is asked of the generator."""

    TEXT_TO_IMAGE = "text-to-image"
    IMAGE_TO_IMAGE = "image-to-image"
    INPAINTING = "inpainting"


class ImageFormat(StrEnum):
    """Container of a released image."""

    PNG = "png"
    JPEG = "jpeg"
    WEBP = "webp"

    @property
    def media_type(self) -> str:
        """Return the IANA media type."""
        return f"image/{self.value}"

    @property
    def suffix(self) -> str:
        """Return the usual file suffix, with its dot."""
        return ".jpg" if self is ImageFormat.JPEG else f".{self.value}"


class LabelMode(StrEnum):
    """The visible label that is composited before marking and signing."""

    NONE = "none"
    BASIC = "basic"
    GENERATED = "generated"
    MODIFIED = "modified"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoRASpec:
    """A LoRA adapter to load: local folder/file or hub id, pinned revision, strength."""

    source: str
    revision: str | None = None
    weight: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationRequest:
    """What a caller asks for; checked for form, not yet for safety.

    Attributes:
        prompt: text, 1..MAX_PROMPT_CHARS characters after stripping.
        prompt_2: text for a second text encoder (SDXL, SD3, FLUX), or empty.
        negative_prompt: text, may be empty; checked like the prompt.
        source_image: decoded input of image-to-image and inpainting.
        source_bytes: the uploaded file behind ``source_image``, kept for its credentials.
        source_metadata: of that file, as far as it goes on with the result.
        mask: (H, W) uint8, 255 = repaint; inpainting only.
        strength: 0..1, share of the schedule that is redone; image-to-image and inpainting only.
        width, height: pixels, or None for the model's native size.
        steps, guidance, scheduler: None = the model's own default.
        seed: 0..2**63-1, or None for one from the CSPRNG.
        count: images wanted, generated as one batch.
        model: id of a configured model, or None for the default one.
        label: visible label asked for.
        tenant: whose policy, keys and ledger rows apply.
        locale: language tag (BCP 47) of the person who asks, or empty; policies may have rules for it.
    """

    prompt: str
    prompt_2: str = ""
    negative_prompt: str = ""
    operation: Operation = Operation.TEXT_TO_IMAGE
    source_image: RGB8 | None = None
    source_bytes: bytes | None = None
    source_metadata: KeptMetadata = field(default_factory=KeptMetadata)
    mask: NDArray[np.uint8] | None = None
    strength: float | None = None
    width: int | None = None
    height: int | None = None
    steps: int | None = None
    guidance: float | None = None
    scheduler: str | None = None
    loras: tuple[LoRASpec, ...] = ()
    seed: int | None = None
    count: int = 1
    model: str | None = None
    label: LabelMode = LabelMode.NONE
    image_format: ImageFormat = ImageFormat.PNG
    tenant: str = "local"
    locale: str = ""

    def texts(self) -> tuple[tuple[str, str], ...]:
        """Return every (field name, text) that would reach a text encoder; empty ones left out."""
        named = (("prompt", self.prompt), ("prompt_2", self.prompt_2), ("negative_prompt", self.negative_prompt))
        return tuple((name, text) for name, text in named if text.strip())


@dataclass(frozen=True, slots=True, kw_only=True)
class TextSpan:
    """Half-open character range in the *original* text of one request field."""

    field: str
    start: int
    end: int
    rule: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """Axis-aligned box in pixels, origin top left."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one checker saw in one category.

    Attributes:
        checker: instance id from the policy, e.g. ``prompt.terms``.
        category: a category of ``guard.policy.schema.Category``.
        score: 0..1, the checker's calibrated probability that the category applies.
        severity: 0 (none) .. 7 (worst).
        hard: True for rules that no policy may switch off.
        reason: one sentence for people; never quotes the offending words.
    """

    checker: str
    category: str
    score: float
    severity: int
    reason: str
    hard: bool = False
    spans: tuple[TextSpan, ...] = ()
    regions: tuple[Region, ...] = ()


class Action(StrEnum):
    """What the policy decides, mildest first."""

    ALLOW = "allow"
    FLAG = "flag"
    REVIEW = "review"
    BLOCK = "block"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The policy's answer to a set of findings.

    Attributes:
        action: strongest action that any rule asked for.
        category: the category that decided, or None when nothing was found.
        reason: one sentence for the person who asked.
        rules: ids of the policy rules that decided.
    """

    action: Action
    category: str | None
    reason: str
    rules: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()

    @property
    def releases(self) -> bool:
        """Return whether the flow may go on; review and block withhold."""
        return self.action in (Action.ALLOW, Action.FLAG)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """Which model made the pixels; goes into the manifest and the ledger."""

    model_id: str
    name: str
    revision: str
    pipeline: str
    digest: str
    licence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """Plain product of an ``ImageGenerator``; ``latent_mark``: algorithm of the mark in the initial noise, if any."""

    images: tuple[RGB8, ...]
    seeds: tuple[int, ...]
    model: ModelCard
    steps: int
    guidance: float
    scheduler: str
    latent_mark: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Geometry:
    """How an examined picture lies relative to the picture that was marked."""

    scale: float = 1.0
    rotation_deg: float = 0.0
    mirrored: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkReading:
    """Result of looking for a watermark.

    Attributes:
        algorithm: versioned algorithm id.
        image_id: the decoded id, or None when no mark was accepted.
        log10_p: log10 of the proven bound on the false-accept probability of this reading, <= 0.
        geometry: estimated geometry; None when nothing was found.
    """

    algorithm: str
    image_id: ImageID | None
    log10_p: float
    geometry: Geometry | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprints:
    """Perceptual hashes of the released picture, for search and confirmation.

    Attributes:
        pdq: 256-bit PDQ hash as 64 hex digits.
        pdq_quality: 0..100; below 50 the hash is not discriminative (PDQ reference, section "quality").
        thumbnail: small luma picture as text (``guard.fingerprint``), against which a crop can be confirmed; empty
            when it was erased or never made.
        iscc: 256-bit ISCC Image-Code (``guard.iscc``) as 64 hex digits, by which others search; empty when not made.
    """

    pdq: str
    pdq_quality: int
    thumbnail: str = ""
    iscc: str = ""


# --- records of the flow: constructed by guard/pipeline.py only ------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmittedRequest:
    """Step (0): a well-formed request with its ids, policy digest and time."""

    request: GenerationRequest
    request_id: RequestID
    image_ids: tuple[ImageID, ...]
    seed: int
    policy_id: str
    policy_digest: str
    admitted_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ClearedPrompt:
    """Step (1): every text and every input picture passed the policy."""

    admitted: AdmittedRequest
    decision: Decision


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratedImage:
    """Step (2): pixels from the model, not yet checked."""

    cleared: ClearedPrompt
    image_id: ImageID
    pixels: RGB8
    seed: int
    generation: Generation


@dataclass(frozen=True, slots=True, kw_only=True)
class ClearedImage:
    """Step (3): the picture passed the policy; labelled if a label was asked for."""

    generated: GeneratedImage
    pixels: RGB8
    label: LabelMode
    decision: Decision


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkedImage:
    """Step (4): the watermark was embedded and decoded back; ``reading`` has another id when the source's was kept.

    ``foreign`` are marks of other makers that an edit still carries beside ours.
    """

    cleared: ClearedImage
    pixels: RGB8
    reading: MarkReading
    foreign: tuple[SoftBinding, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedImage:
    """Step (5): the final bytes carry a manifest that verified against our own trust list."""

    marked: MarkedImage
    data: bytes
    sha256: str
    media_type: str
    manifest: bytes
    manifest_label: str
    time_stamp: TimeStampOutcome
    credential: CredentialReport
    fingerprints: Fingerprints


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """Where an entry stands in the ledger, with the proof that was checked."""

    index: int
    leaf_hash: str
    tree_size: int
    root_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedImage:
    """Step (6): recorded and provable; the only thing that may leave."""

    signed: SignedImage
    receipt: Receipt

    @property
    def image_id(self) -> ImageID:
        """Return the id carried by mark, manifest and ledger."""
        return self.signed.marked.cleared.generated.image_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A normal end of the flow: withheld by policy, with a reason and an appeal id."""

    request_id: RequestID
    image_id: ImageID | None
    stage: str
    decision: Decision
    appeal_id: str
    receipt: Receipt | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """An abnormal end for one image: a stage malfunctioned and the output is withheld."""

    request_id: RequestID
    image_id: ImageID | None
    stage: str
    code: str
    message: str
    next_step: str
    receipt: Receipt | None = None


Outcome: TypeAlias = RecordedImage | Refusal | Failure


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationResult:
    """All outcomes of one request, in image order (one Refusal when the prompt was refused)."""

    request_id: RequestID
    outcomes: tuple[Outcome, ...]
    timings_s: dict[str, float] = field(default_factory=dict)
