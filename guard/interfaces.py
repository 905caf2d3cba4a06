"""Protocols of the generation flow: what each stage takes, gives and promises.

The flow (``guard/pipeline.py``) knows these Protocols and never a concrete stage; ``guard/assembly.py`` knows the
classes. Stage implementations return plain products; only the pipeline turns them into records.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from guard.credentials import CredentialReport, SignedBytes
from guard.records import (
    RGB8,
    AdmittedRequest,
    ClearedPrompt,
    Decision,
    Finding,
    Fingerprints,
    Generation,
    ImageID,
    LabelMode,
    MarkedImage,
    MarkReading,
    Receipt,
    Refusal,
)


class Clock(Protocol):
    """Where the time comes from; injected so that tests and audits can fix it."""

    def now(self) -> datetime:
        """Return the current time, timezone-aware, UTC."""
        ...


class PromptChecker(Protocol):
    """Looks at every text that would reach a text encoder."""

    @property
    def id(self) -> str:
        """Instance id from the policy."""
        ...

    def check(self, request: AdmittedRequest) -> Sequence[Finding]:
        """Return what was found; empty means "looked, found nothing". Raises CheckError when it cannot decide."""
        ...


class ImageChecker(Protocol):
    """Looks at a picture: the output, or an input of image-to-image and inpainting."""

    @property
    def id(self) -> str:
        """Instance id from the policy."""
        ...

    def check(self, pixels: RGB8) -> Sequence[Finding]:
        """Return what was found in (H, W, 3) uint8. Raises CheckError when it cannot decide."""
        ...


class DecisionMaker(Protocol):
    """The policy: findings in, decision out; pure."""

    @property
    def id(self) -> str:
        """Name of the policy."""
        ...

    @property
    def digest(self) -> str:
        """SHA-256 of the policy file, 64 hex digits."""
        ...

    def for_caller(self, *, tenant: str, locale: str) -> DecisionMaker:
        """Return the policy as it holds for a tenant and a language tag (BCP 47, empty when unknown)."""
        ...

    def decide(self, findings: Sequence[Finding], *, stage: str) -> Decision:
        """Return the strongest action that any rule asks for at this stage ("prompt" or "image")."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationHooks:
    """Optional calls into a running generation.

    Attributes:
        on_step: called after each denoising step with (steps done, steps in all).
        should_cancel: asked before each step; True stops with CancelledError.
        preview_at: shares of the steps, 0..1, after which ``on_preview`` is called where the model can show previews.
        on_preview: called with the index of the running batch's first image and one small picture for each image of
            the batch. True gives the batch up: the previews then stand in the product for its pictures.
    """

    on_step: Callable[[int, int], None] | None = None
    should_cancel: Callable[[], bool] | None = None
    preview_at: tuple[float, ...] = ()
    on_preview: Callable[[int, Sequence[RGB8]], bool] | None = None


class ImageGenerator(Protocol):
    """Turns a cleared prompt into pictures."""

    @property
    def id(self) -> str:
        """Name by which requests choose the model."""
        ...

    def generate(self, prompt: ClearedPrompt, *, hooks: GenerationHooks) -> Generation:
        """Return one picture for each id of the request. Raises GenerationError and its kinds."""
        ...


class Labeller(Protocol):
    """Composites the visible label; runs before the mark so that mark and signature cover it."""

    def apply(self, pixels: RGB8, *, mode: LabelMode) -> RGB8:
        """Return a labelled copy; the input is not changed."""
        ...


class Watermarker(Protocol):
    """The invisible mark: a codec that can read what it writes."""

    @property
    def algorithm(self) -> str:
        """Versioned id of the algorithm, as it stands in manifests."""
        ...

    @property
    def min_side(self) -> int:
        """Smallest width and height in pixels that a mark can be written into."""
        ...

    def embed(self, pixels: RGB8, image_id: ImageID) -> RGB8:
        """Return a marked copy of the same shape. Raises WatermarkError (for instance: too small)."""
        ...

    def detect(self, pixels: RGB8) -> MarkReading:
        """Return the reading; ``image_id`` is None when no mark passes the proven bound."""
        ...


class KeySource(Protocol):
    """A signing key that may live elsewhere (file, token, remote signer)."""

    algorithm: str
    certificate_chain_pem: str

    def sign(self, data: bytes) -> bytes:
        """Return the raw signature (ECDSA: r||s) over ``data``. Raises KeyMaterialError or SigningError."""
        ...


class LatentMarker(Protocol):
    """Draws the noise that pictures grow from, so that it carries their id; the distribution stays standard normal."""

    @property
    def algorithm(self) -> str:
        """Versioned algorithm id."""
        ...

    def draw(self, image_id: ImageID, shape: tuple[int, ...], *, seed: int) -> NDArray[np.float32]:
        """Return the initial latent of a picture. Raises WatermarkError when it is too small to carry an id."""
        ...


class ForeignMark(Protocol):
    """A mark of others, as far as signing needs to know it."""

    @property
    def scheme(self) -> str:
        """Name of the scheme."""
        ...

    @property
    def payload(self) -> str:
        """What it says, hex digits."""
        ...


class ForeignMarkReader(Protocol):
    """Reads a watermark of others."""

    def read(self, pixels: RGB8) -> ForeignMark | None:
        """Return the mark found in (H, W, 3) uint8, or None."""
        ...


class CredentialSigner(Protocol):
    """Writes the signed manifest into the encoded picture."""

    def sign(self, image: MarkedImage, *, encoded: bytes, media_type: str) -> SignedBytes:
        """Return the final bytes. Raises SigningError."""
        ...


class CredentialReader(Protocol):
    """Reads and validates content credentials of any file, with our own trust list."""

    def read(self, data: bytes) -> CredentialReport:
        """Return a report for any bytes; never raises for what the bytes contain. Raises BusyError."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """What the registry keeps of a released image so that a stripped copy can be traced to its manifest."""

    image_id: ImageID
    sha256: str
    media_type: str
    manifest: bytes
    manifest_label: str
    fingerprints: Fingerprints
    tenant: str


class LedgerStore(Protocol):
    """Append-only record of everything that left or was withheld."""

    def append(self, body: dict[str, Any], *, registration: Registration | None = None) -> Receipt:
        """Append one canonical-JSON body (and, in the same transaction, the registration).

        The receipt's inclusion proof has been verified. Raises LedgerError; duplicate image ids are refused.
        """
        ...

    def registration(self, image_id: ImageID) -> Registration | None:
        """Return what was registered under an id, or None."""
        ...

    def find_sha256(self, sha256: str) -> Registration | None:
        """Return the registration whose released bytes have this SHA-256, or None."""
        ...

    def find_similar(self, pdq: str, *, max_distance: int) -> Sequence[tuple[Registration, int]]:
        """Return registrations within a Hamming distance (bits of 256) of a PDQ hash, nearest first."""
        ...


class ImageStore(Protocol):
    """Holds the bytes of released images; written before the ledger entry, so no record lacks its image."""

    def put(self, image_id: ImageID, data: bytes, *, media_type: str) -> None:
        """Store durably (fsync) under the id. Raises LedgerError."""
        ...

    def get(self, image_id: ImageID) -> tuple[bytes, str] | None:
        """Return (bytes, media type), or None when nothing is stored."""
        ...


class Quarantine(Protocol):
    """Keeps what was refused for a person to review; nothing in it is ever released by itself."""

    def hold(self, refusal: Refusal, *, admitted: AdmittedRequest, pixels: RGB8 | None) -> None:
        """Keep a refusal, with the withheld picture where there is one. Raises StageError."""
        ...
