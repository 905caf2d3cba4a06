"""Builds ledger entry bodies from the records of the flow: digests, ids, policy, model card, verdicts and timings.

Nothing personal goes in: no prompt, no pixels, no sentence meant for people. There is no digest of the prompt
either: prompts can be guessed, so a digest of one would still be personal data. ``entry_schema`` has the schema
against which the store checks every body, and docs/ledger.md describes it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from guard.credentials import SoftBinding, TimeStampOutcome
from guard.errors import LedgerError
from guard.interfaces import Registration
from guard.ledger.canonical_json import canonical_bytes
from guard.records import (
    AdmittedRequest,
    Decision,
    Failure,
    ImageID,
    LabelMode,
    MarkReading,
    ModelCard,
    Refusal,
    SignedImage,
)

VERSION = 1
"""Version of the entry format."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningFacts:
    """What the entry of a file says that was made elsewhere and marked and signed here.

    Attributes:
        image_id: id of this signing; in the manifest, and in the mark unless the file carried one already.
        operation: ``generated``, ``edited`` or ``imported``.
        sha256: of the final bytes.
        manifest: the manifest store.
        time_stamp: whether the signature carries the time of the operator's authority.
        size: (width, height) in pixels; None for media other than still pictures.
        reading: the mark that was embedded and read back; None when none was.
        carried: the mark that the file carried already, or None.
        model: what made the pixels, as the caller says; None when nothing was said.
    """

    image_id: ImageID
    operation: str
    tenant: str
    sha256: str
    media_type: str
    manifest: bytes
    manifest_label: str
    time_stamp: TimeStampOutcome
    size: tuple[int, int] | None
    label: LabelMode
    reading: MarkReading | None
    carried: SoftBinding | None
    model: ModelCard | None


def release_body(signed: SignedImage, *, at: datetime, timings_s: Mapping[str, float] | None = None) -> dict[str, Any]:
    """Return the body for a picture that is about to be released.

    Args:
        signed: the finished picture; its registration is bound by digest.
        at: time of the entry, timezone-aware.
        timings_s: stage name -> seconds so far.
    """
    cleared = signed.marked.cleared
    generated = cleared.generated
    prompt = generated.cleared
    height, width = signed.marked.pixels.shape[:2]
    return {
        **_head("release", at, prompt.admitted),
        "image_id": generated.image_id,
        "operation": prompt.admitted.request.operation.value,
        "image": {
            "sha256": signed.sha256,
            "media_type": signed.media_type,
            "width": width,
            "height": height,
            "label": cleared.label.value,
        },
        "manifest": _manifest(signed.manifest, signed.manifest_label, signed.time_stamp),
        "registration_sha256": registry_digest(
            image_id=generated.image_id,
            sha256=signed.sha256,
            media_type=signed.media_type,
            manifest_sha256=hashlib.sha256(signed.manifest).hexdigest(),
            manifest_label=signed.manifest_label,
            pdq=signed.fingerprints.pdq,
            pdq_quality=signed.fingerprints.pdq_quality,
            thumbnail_sha256=hashlib.sha256(signed.fingerprints.thumbnail.encode()).hexdigest(),
            tenant=prompt.admitted.request.tenant,
        ),
        "watermark": {
            "algorithm": signed.marked.reading.algorithm,
            "log10_p": float(signed.marked.reading.log10_p),
        },
        "foreign_marks": [_binding(mark) for mark in signed.marked.foreign],
        "latent_mark": generated.generation.latent_mark,
        "model": _card(generated.generation.model),
        "verdicts": [_verdict("prompt", prompt.decision), _verdict("image", cleared.decision)],
        "timings_ms": _milliseconds(timings_s),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """In what a refusal or a failure came about.

    Attributes:
        admitted: the request.
        at: time of the entry, timezone-aware.
        model: what generated the withheld picture; None when nothing was generated.
        timings_s: stage name -> seconds so far.
    """

    admitted: AdmittedRequest
    at: datetime
    model: ModelCard | None = None
    timings_s: Mapping[str, float] = field(default_factory=dict)


def refusal_body(refusal: Refusal, circumstances: Circumstances) -> dict[str, Any]:
    """Return the body for something the policy withheld."""
    return {
        **_withheld("refusal", refusal, circumstances),
        "appeal_id": refusal.appeal_id,
        "verdict": _verdict(refusal.stage, refusal.decision),
    }


def failure_body(failure: Failure, circumstances: Circumstances) -> dict[str, Any]:
    """Return the body for a malfunction; the error's code only, since messages may quote what was asked."""
    return {**_withheld("failure", failure, circumstances), "code": failure.code}


def signing_body(facts: SigningFacts, registration: Registration | None, *, at: datetime) -> dict[str, Any]:
    """Return the body for a file that was made elsewhere and marked and signed here.

    Args:
        facts: what was done.
        registration: the registry row that is bound by digest; None for media that have no fingerprint.
        at: time of the entry, timezone-aware.
    """
    mark = facts.reading
    return {
        "v": VERSION,
        "kind": "signing",
        "at": timestamp(at),
        "tenant": facts.tenant,
        "image_id": facts.image_id,
        "operation": facts.operation,
        "image": {
            "sha256": facts.sha256,
            "media_type": facts.media_type,
            "width": facts.size[0] if facts.size else None,
            "height": facts.size[1] if facts.size else None,
            "label": facts.label.value,
        },
        "manifest": _manifest(facts.manifest, facts.manifest_label, facts.time_stamp),
        "registration_sha256": None if registration is None else registration_digest(registration),
        "watermark": None if mark is None else {"algorithm": mark.algorithm, "log10_p": float(mark.log10_p)},
        "carried_mark": None if facts.carried is None else _binding(facts.carried),
        "model": None if facts.model is None else _card(facts.model),
    }


def _manifest(manifest: bytes, label: str, time_stamp: TimeStampOutcome) -> dict[str, str]:
    """Return what an entry says of a manifest store."""
    return {"sha256": hashlib.sha256(manifest).hexdigest(), "label": label, "time_stamp": time_stamp.value}


def _binding(mark: SoftBinding) -> dict[str, str]:
    """Return what an entry says of a mark that was there before ours."""
    return {"algorithm": mark.algorithm, "value": mark.value}


def deletion_body(*, at: datetime, image_id: ImageID, tenant: str, reason: str) -> dict[str, Any]:
    """Return the body that says the stored bytes of a released picture were deleted; ``reason`` is an identifier."""
    return {
        "v": VERSION,
        "kind": "deletion",
        "at": timestamp(at),
        "image_id": image_id,
        "tenant": tenant,
        "reason": reason,
    }


def registration_digest(registration: Registration) -> str:
    """Return the SHA-256 that an entry must carry as ``registration_sha256``."""
    return registry_digest(
        image_id=registration.image_id,
        sha256=registration.sha256,
        media_type=registration.media_type,
        manifest_sha256=hashlib.sha256(registration.manifest).hexdigest(),
        manifest_label=registration.manifest_label,
        pdq=registration.fingerprints.pdq,
        pdq_quality=registration.fingerprints.pdq_quality,
        thumbnail_sha256=hashlib.sha256(registration.fingerprints.thumbnail.encode()).hexdigest(),
        tenant=registration.tenant,
    )


def registry_digest(
    *,
    image_id: str,
    sha256: str,
    media_type: str,
    manifest_sha256: str,
    manifest_label: str,
    pdq: str,
    pdq_quality: int,
    thumbnail_sha256: str,
    tenant: str,
) -> str:
    """Return the SHA-256 that binds a registry row to its release entry: of the canonical JSON of these fields.

    Large fields go in by their own digest, so that a thumbnail can be erased later without breaking the binding.
    """
    fields = {
        "image_id": image_id,
        "sha256": sha256,
        "media_type": media_type,
        "manifest_sha256": manifest_sha256,
        "manifest_label": manifest_label,
        "pdq": pdq,
        "pdq_quality": pdq_quality,
        "thumbnail_sha256": thumbnail_sha256,
        "tenant": tenant,
    }
    return hashlib.sha256(canonical_bytes(fields)).hexdigest()


def timestamp(moment: datetime) -> str:
    """Return a time as RFC 3339 in UTC with milliseconds.

    Raises:
        LedgerError: the time has no time zone.
    """
    if moment.tzinfo is None:
        raise LedgerError("Ledger entry: got a time without time zone, expected UTC.")
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _head(kind: str, at: datetime, admitted: AdmittedRequest) -> dict[str, Any]:
    """Return the fields that every entry of a request starts with."""
    return {
        "v": VERSION,
        "kind": kind,
        "at": timestamp(at),
        "request_id": admitted.request_id,
        "tenant": admitted.request.tenant,
        "policy": {"id": admitted.policy_id, "digest": admitted.policy_digest},
        "locale": admitted.request.locale or None,
    }


def _withheld(kind: str, record: Refusal | Failure, circumstances: Circumstances) -> dict[str, Any]:
    """Return the fields that refusals and failures share."""
    return {
        **_head(kind, circumstances.at, circumstances.admitted),
        "image_id": record.image_id,
        "stage": record.stage,
        "model": None if circumstances.model is None else _card(circumstances.model),
        "timings_ms": _milliseconds(circumstances.timings_s),
    }


def _card(model: ModelCard) -> dict[str, str]:
    """Return a model card as JSON."""
    return {
        "model_id": model.model_id,
        "name": model.name,
        "revision": model.revision,
        "pipeline": model.pipeline,
        "digest": model.digest,
        "licence": model.licence,
    }


def _verdict(stage: str, decision: Decision) -> dict[str, Any]:
    """Return a decision without its sentences, spans and regions."""
    findings = [
        {
            "checker": finding.checker,
            "category": finding.category,
            "score": float(finding.score),
            "severity": int(finding.severity),
            "hard": finding.hard,
        }
        for finding in decision.findings
    ]
    return {
        "stage": stage,
        "action": decision.action.value,
        "category": decision.category,
        "rules": list(decision.rules),
        "findings": findings,
    }


def _milliseconds(timings_s: Mapping[str, float] | None) -> dict[str, int]:
    """Return timings in whole milliseconds; sub-millisecond stages read 0."""
    return {stage: round(seconds * 1000) for stage, seconds in (timings_s or {}).items()}
