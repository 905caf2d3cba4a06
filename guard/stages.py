"""What the generation flow is made of: one implementation for each step, and the time that each step is granted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from guard.interfaces import (
    Clock,
    CredentialReader,
    CredentialSigner,
    DecisionMaker,
    ForeignMarkReader,
    ImageChecker,
    ImageGenerator,
    ImageStore,
    Labeller,
    LedgerStore,
    PromptChecker,
    Quarantine,
    Watermarker,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadlines:
    """Seconds granted to each stage; running over withholds the picture."""

    check_s: float = 30.0
    generation_s: float = 900.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stages:
    """One implementation for each step; built by ``guard/assembly.py`` or by a test.

    Attributes:
        foreign_marks: readers of other makers' marks, asked where a model changed a picture.
        preview_at: shares of the denoising steps after which the image checkers look at previews.
    """

    prompt_checkers: Sequence[PromptChecker]
    image_checkers: Sequence[ImageChecker]
    policy: DecisionMaker
    generators: Mapping[str, ImageGenerator]
    default_model: str
    labeller: Labeller
    watermarker: Watermarker
    signer: CredentialSigner
    reader: CredentialReader
    ledger: LedgerStore
    images: ImageStore
    clock: Clock
    quarantine: Quarantine | None = None
    preview_at: tuple[float, ...] = ()
    foreign_marks: Sequence[ForeignMarkReader] = ()
