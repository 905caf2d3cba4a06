"""Fakes of our own Protocols: scripted, counting, deterministic."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from guard.credentials import CredentialReport, CredentialState, SignedBytes, SoftBinding
from guard.errors import CancelledError
from guard.interfaces import GenerationHooks, Registration
from guard.records import (
    RGB8,
    Action,
    AdmittedRequest,
    ClearedPrompt,
    Decision,
    Finding,
    Generation,
    ImageID,
    MarkedImage,
    MarkReading,
    ModelCard,
    Receipt,
)

TRAILER = b"--fake-manifest--"


@dataclass
class FixedClock:
    """A clock that moves one second a call."""

    start: datetime = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
    calls: int = 0

    def now(self) -> datetime:
        self.calls += 1
        return self.start + timedelta(seconds=self.calls - 1)


@dataclass
class ScriptedPromptChecker:
    """Returns the scripted findings, or raises the scripted error."""

    id: str = "fake.prompt"
    findings: Sequence[Finding] = ()
    error: Exception | None = None
    seen: list[AdmittedRequest] = field(default_factory=list)

    def check(self, request: AdmittedRequest) -> Sequence[Finding]:
        self.seen.append(request)
        if self.error is not None:
            raise self.error
        return self.findings


@dataclass
class ScriptedImageChecker:
    """Returns the scripted findings, or raises the scripted error."""

    id: str = "fake.image"
    findings: Sequence[Finding] = ()
    error: Exception | None = None
    seen: list[RGB8] = field(default_factory=list)

    def check(self, pixels: RGB8) -> Sequence[Finding]:
        self.seen.append(pixels)
        if self.error is not None:
            raise self.error
        return self.findings


@dataclass
class PlainGenerator:
    """Paints each image in one colour derived from its seed; can misbehave on request."""

    id: str = "fake"
    error: Exception | None = None
    short_by: int = 0
    calls: int = 0
    steps: int = 3

    def generate(self, prompt: ClearedPrompt, *, hooks: GenerationHooks) -> Generation:
        self.calls += 1
        if self.error is not None:
            raise self.error
        for step in range(self.steps):
            if hooks.should_cancel is not None and hooks.should_cancel():
                raise CancelledError("cancelled as asked")
            if hooks.on_step is not None:
                hooks.on_step(step + 1, self.steps)
        admitted = prompt.admitted
        count = len(admitted.image_ids) - self.short_by
        seeds = tuple(admitted.seed + i for i in range(count))
        images = tuple(np.random.default_rng(seed).integers(0, 256, (64, 64, 3), np.uint8) for seed in seeds)
        card = ModelCard(
            model_id=self.id, name="Fake", revision="1", pipeline="FakePipeline", digest="0" * 64, licence="Apache-2.0"
        )
        return Generation(images=images, seeds=seeds, model=card, steps=self.steps, guidance=1.0, scheduler="none")


@dataclass
class CornerWatermarker:
    """Writes the id into the first 8 pixels' red channel; a real mark would survive more, a test needs no more."""

    algorithm: str = "org.example.corner.1"
    min_side: int = 16
    embeds: bool = True
    log10_p: float = -19.0

    def embed(self, pixels: RGB8, image_id: ImageID) -> RGB8:
        marked = pixels.copy()
        if self.embeds:
            marked[0, :8, 0] = np.frombuffer(bytes.fromhex(image_id), np.uint8)
            marked[0, :8, 1] = 77
        return marked

    def detect(self, pixels: RGB8) -> MarkReading:
        if (pixels[0, :8, 1] != 77).any():
            return MarkReading(algorithm=self.algorithm, image_id=None, log10_p=0.0)
        image_id = ImageID(pixels[0, :8, 0].tobytes().hex())
        return MarkReading(algorithm=self.algorithm, image_id=image_id, log10_p=self.log10_p)


@dataclass
class TrailerSigner:
    """Appends a JSON trailer as its "manifest"; ``tamper`` edits the signed bytes afterwards."""

    tamper: Callable[[bytes], bytes] = bytes
    error: Exception | None = None

    def sign(self, image: MarkedImage, *, encoded: bytes, media_type: str) -> SignedBytes:
        if self.error is not None:
            raise self.error
        image_id = image.reading.image_id
        manifest = json.dumps(
            {"label": f"urn:fake:{image_id}", "id": image_id, "digest": hashlib.sha256(encoded).hexdigest()}
        ).encode()
        data = self.tamper(encoded + TRAILER + manifest)
        return SignedBytes(data=data, manifest=manifest, manifest_label=f"urn:fake:{image_id}")


@dataclass
class TrailerReader:
    """Reads what TrailerSigner writes; ``state`` overrides the outcome of an intact file."""

    state: CredentialState = CredentialState.TRUSTED

    def read(self, data: bytes) -> CredentialReport:
        body, found, manifest = data.partition(TRAILER)
        if not found:
            return CredentialReport(state=CredentialState.NONE)
        said = json.loads(manifest)
        if hashlib.sha256(body).hexdigest() != said["digest"]:
            return CredentialReport(state=CredentialState.INVALID, codes=("fake.mismatch",))
        return CredentialReport(
            state=self.state,
            ai_origin=True,
            manifest_label=said["label"],
            soft_bindings=(SoftBinding(algorithm="org.example.corner.1", value=said["id"]),),
        )


@dataclass
class MemoryLedger:
    """Keeps bodies and registrations in lists; ``error`` makes every append fail."""

    bodies: list[dict[str, Any]] = field(default_factory=list)
    registrations: dict[str, Registration] = field(default_factory=dict)
    error: Exception | None = None

    def append(self, body: Mapping[str, Any], *, registration: Registration | None = None) -> Receipt:
        if self.error is not None:
            raise self.error
        self.bodies.append(dict(body))
        if registration is not None:
            self.registrations[registration.image_id] = registration
        return Receipt(index=len(self.bodies) - 1, leaf_hash="", tree_size=len(self.bodies), root_hash="")

    def registration(self, image_id: ImageID) -> Registration | None:
        return self.registrations.get(image_id)

    def find_sha256(self, sha256: str) -> Registration | None:
        return next((r for r in self.registrations.values() if r.sha256 == sha256), None)

    def find_similar(self, pdq: str, *, max_distance: int) -> Sequence[tuple[Registration, int]]:
        return [(r, 0) for r in self.registrations.values() if r.fingerprints.pdq == pdq]


@dataclass
class MemoryImages:
    """Keeps released bytes in a dict."""

    held: dict[str, tuple[bytes, str]] = field(default_factory=dict)
    error: Exception | None = None

    def put(self, image_id: ImageID, data: bytes, *, media_type: str) -> None:
        if self.error is not None:
            raise self.error
        self.held[image_id] = (data, media_type)

    def get(self, image_id: ImageID) -> tuple[bytes, str] | None:
        return self.held.get(image_id)


@dataclass
class ThresholdPolicy:
    """Blocks on any finding of severity 4 or more."""

    id: str = "fake.policy"
    digest: str = "d" * 64

    def for_caller(self, *, tenant: str, locale: str) -> "ThresholdPolicy":
        return self

    def decide(self, findings: Sequence[Finding], *, stage: str) -> Decision:
        worst = max(findings, key=lambda f: f.severity, default=None)
        if worst is not None and worst.severity >= 4:
            return Decision(action=Action.BLOCK, category=worst.category, reason=worst.reason, findings=tuple(findings))
        return Decision(action=Action.ALLOW, category=None, reason="nothing found", findings=tuple(findings))
