"""The schema of a ledger entry, format version 1: every field named, typed, bounded and required.

``check_entry`` refuses everything else, so no prompt text, file name or free sentence can reach the ledger by way of
a new key. Fields are never optional; what is absent is null. Described in docs/ledger.md.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError

from guard.errors import LedgerError
from guard.ledger.canonical_json import canonical_bytes
from guard.ledger.entry import VERSION
from guard.records import ImageID

MAX_ENTRY_BYTES = 65_536
"""Largest canonical body: a release with 40 findings has 5 KB (measured); ten times that is a mistake, not a record."""

_IDENTIFIER = re.compile(r"[a-z0-9_]{1,32}")
_Hex16 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]
_Hex32 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
_Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
_Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:/@+-]{0,127}$")]
"""Identifiers only: without white space no sentence, and so no prompt, fits in."""
_Label = Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{1,256}$")]
_Card = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f]{0,200}$")]
_Time = Annotated[str, StringConstraints(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")]
_Version = Annotated[int, Field(ge=VERSION, le=VERSION)]  # Literal[1] would take true, and true has another digest
_Milliseconds = Annotated[int, Field(ge=0, le=86_400_000)]
_Side = Annotated[int, Field(ge=1, le=65_535)]


class _Model(BaseModel):
    """No unknown keys, no coercion."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class _Policy(_Model):
    id: _Name
    digest: _Name


class _ModelCard(_Model):
    model_id: _Card
    name: _Card
    revision: _Card
    pipeline: _Card
    digest: _Card
    licence: _Card


class _Finding(_Model):
    checker: _Name
    category: _Name
    score: Annotated[float, Field(ge=0, le=1)]
    severity: Annotated[int, Field(ge=0, le=7)]
    hard: bool


class _Verdict(_Model):
    stage: _Name
    action: Literal["allow", "flag", "review", "block"]
    category: _Name | None
    rules: Annotated[list[_Name], Field(max_length=100)]
    findings: Annotated[list[_Finding], Field(max_length=200)]


class _Watermark(_Model):
    algorithm: _Name
    log10_p: Annotated[float, Field(le=0)]


class _Image(_Model):
    sha256: _Sha256
    media_type: Literal["image/png", "image/jpeg", "image/webp"]
    width: _Side
    height: _Side
    label: Literal["none", "basic", "generated", "modified"]


class _SignedFile(_Model):
    sha256: _Sha256
    media_type: _Name
    width: _Side | None
    height: _Side | None
    label: Literal["none", "basic", "generated", "modified"]


class _CarriedMark(_Model):
    algorithm: _Name
    value: _Label


class _Manifest(_Model):
    sha256: _Sha256
    label: _Label
    time_stamp: Literal["not_configured", "stamped", "signed_without"] | None = (
        None  # entries before 23 Nov 2026 lack it
    )


class _Entry(_Model):
    v: _Version
    at: _Time
    request_id: _Hex32
    tenant: _Name
    policy: _Policy
    locale: _Name | None = None  # entries before 23 Nov 2026 lack it


class _Release(_Entry):
    kind: Literal["release"]
    image_id: _Hex16
    operation: Literal["text-to-image", "image-to-image", "inpainting"]
    image: _Image
    manifest: _Manifest
    registration_sha256: _Sha256
    watermark: _Watermark
    foreign_marks: Annotated[list[_CarriedMark], Field(max_length=8)] = []  # entries before 23 Nov 2026 lack it
    latent_mark: _Name | None = None  # likewise
    model: _ModelCard
    verdicts: Annotated[list[_Verdict], Field(min_length=1, max_length=8)]
    timings_ms: dict[_Name, _Milliseconds]


class _Refusal(_Entry):
    kind: Literal["refusal"]
    image_id: _Hex16 | None
    stage: _Name
    appeal_id: _Name
    verdict: _Verdict
    model: _ModelCard | None
    timings_ms: dict[_Name, _Milliseconds]


class _Failure(_Entry):
    kind: Literal["failure"]
    image_id: _Hex16 | None
    stage: _Name
    code: _Name
    model: _ModelCard | None
    timings_ms: dict[_Name, _Milliseconds]


class _Signing(_Model):
    v: _Version
    at: _Time
    kind: Literal["signing"]
    tenant: _Name
    image_id: _Hex16
    operation: Literal["generated", "edited", "imported"]
    image: _SignedFile
    manifest: _Manifest
    registration_sha256: _Sha256 | None
    watermark: _Watermark | None
    carried_mark: _CarriedMark | None
    model: _ModelCard | None


class _Deletion(_Model):
    v: _Version
    at: _Time
    kind: Literal["deletion"]
    image_id: _Hex16
    tenant: _Name
    reason: _Name


_SCHEMA: TypeAdapter[_Release | _Signing | _Refusal | _Failure | _Deletion] = TypeAdapter(
    Annotated[_Release | _Signing | _Refusal | _Failure | _Deletion, Field(discriminator="kind")]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedEntry:
    """A body that fits the schema, and the columns under which it is found.

    Attributes:
        data: canonical bytes; the leaf of the tree.
        kind: release, signing, refusal, failure or deletion.
        image_id: the picture meant, if any.
        registration_sha256: digest of the registry row that the entry binds, or None.
        image_sha256: digest of the bytes that were released or signed, else None.
    """

    data: bytes
    kind: str
    image_id: ImageID | None
    registration_sha256: str | None
    image_sha256: str | None


def check_entry(body: Mapping[str, Any]) -> CheckedEntry:
    """Return a body's canonical bytes and look-up columns.

    Raises:
        LedgerError: the body does not fit the schema (unknown, missing or malformed fields, by name, never by value),
            or is larger than MAX_ENTRY_BYTES.
    """
    try:
        parsed = _SCHEMA.validate_python(dict(body))
    except ValidationError as exc:
        faults = "; ".join(f"{_place(error['loc'])}: {error['type']}" for error in exc.errors()[:8])
        # the cause is dropped on purpose: pydantic's message quotes the refused values
        raise LedgerError(f"Ledger entry: does not fit format v{VERSION}: {faults}.") from None
    data = canonical_bytes(body)
    if len(data) > MAX_ENTRY_BYTES:
        raise LedgerError(f"Ledger entry: {len(data)} bytes, at most {MAX_ENTRY_BYTES} are accepted.")
    made = parsed if isinstance(parsed, _Release | _Signing) else None
    return CheckedEntry(
        data=data,
        kind=parsed.kind,
        image_id=None if parsed.image_id is None else ImageID(parsed.image_id),
        registration_sha256=None if made is None else made.registration_sha256,
        image_sha256=None if made is None else made.image.sha256,
    )


def _place(location: tuple[int | str, ...]) -> str:
    """Return where a fault is, dotted; keys that are no identifiers may be anything, and are not quoted."""
    parts = [str(part) for part in location]
    return ".".join(part if _IDENTIFIER.fullmatch(part) else "?" for part in parts) or "body"
