"""The HTTP wire format of generation: pydantic models and their mapping to and from records.

Unknown fields are refused, numbers must be finite, pictures travel as base64.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from guard.admission import MAX_COUNT, MAX_GUIDANCE, MAX_PROMPT_CHARS, MAX_STEPS
from guard.errors import RequestError
from guard.kept_metadata import KeptMetadata
from guard.media import MAX_BYTES
from guard.picture_file import PictureFile
from guard.records import (
    Failure,
    GenerationRequest,
    ImageFormat,
    LabelMode,
    LoRASpec,
    Operation,
    Outcome,
    RecordedImage,
    Refusal,
)

MAX_BASE64_CHARS = (MAX_BYTES + 2) // 3 * 4
"""Base64 length of the largest accepted picture."""
Finite = Annotated[float, Field(allow_inf_nan=False)]


class LoRABody(BaseModel):
    """One LoRA adapter."""

    model_config = ConfigDict(extra="forbid")

    source: str = Field(max_length=512, description="Local folder or file, or hub id.")
    revision: str | None = Field(None, max_length=64, description="Pinned revision; required for hub ids.")
    weight: Finite = Field(1.0, ge=-2, le=2)


class GenerateBody(BaseModel):
    """Body of POST /v1/generate."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"prompt": "a red circle above a blue square", "count": 2, "seed": 7}]},
    )

    prompt: str = Field(max_length=MAX_PROMPT_CHARS, description="What the picture should show.")
    prompt_2: str = Field("", max_length=MAX_PROMPT_CHARS, description="Text for a second text encoder, if any.")
    negative_prompt: str = Field("", max_length=MAX_PROMPT_CHARS, description="What to avoid; checked too.")
    operation: Operation = Operation.TEXT_TO_IMAGE
    source_image: str | None = Field(None, max_length=MAX_BASE64_CHARS, description="Base64 picture to start from.")
    mask: str | None = Field(None, max_length=MAX_BASE64_CHARS, description="Base64 picture; white is repainted.")
    strength: Finite | None = Field(None, ge=0, le=1)
    width: int | None = Field(None, ge=64, le=4096)
    height: int | None = Field(None, ge=64, le=4096)
    steps: int | None = Field(None, ge=1, le=MAX_STEPS)
    guidance: Finite | None = Field(None, ge=0, le=MAX_GUIDANCE)
    scheduler: str | None = Field(None, max_length=64)
    loras: list[LoRABody] = Field(default_factory=list, max_length=8)
    seed: int | None = Field(None, ge=0, lt=2**63)
    count: int = Field(1, ge=1, le=MAX_COUNT)
    model: str | None = Field(None, max_length=128)
    label: LabelMode = LabelMode.NONE
    image_format: ImageFormat = ImageFormat.PNG
    locale: str = Field("", max_length=64, description="Language tag of the person who asks; policies may have rules.")
    response_format: Literal["url", "b64_json"] = Field("url", description="Fetch each image by URL, or inline.")

    def to_request(self, *, tenant: str, decoder: Callable[[bytes], PictureFile]) -> GenerationRequest:
        """Return the request as a record.

        Args:
            tenant: whose request it is.
            decoder: takes an uploaded picture apart, in a killable worker where it is a stranger's.

        Raises:
            RequestError: a picture is not base64, or the operation takes none.
            MediaError: a picture cannot be decoded.
        """
        if self.operation is Operation.TEXT_TO_IMAGE and (self.source_image or self.mask):
            raise RequestError(
                "A source image or mask was sent, but the operation is text-to-image.",
                next_step="Set `operation`, or leave the pictures out.",
            )
        source_bytes = _from_base64(self.source_image, "source_image")
        mask_bytes = _from_base64(self.mask, "mask")
        source = decoder(source_bytes) if source_bytes else None
        return GenerationRequest(
            prompt=self.prompt,
            prompt_2=self.prompt_2,
            negative_prompt=self.negative_prompt,
            operation=self.operation,
            source_image=source.rgb if source else None,
            source_bytes=source_bytes,
            source_metadata=source.kept if source else KeptMetadata(),
            mask=decoder(mask_bytes).rgb.max(axis=2) if mask_bytes else None,
            strength=self.strength,
            width=self.width,
            height=self.height,
            steps=self.steps,
            guidance=self.guidance,
            scheduler=self.scheduler,
            loras=tuple(LoRASpec(source=x.source, revision=x.revision, weight=x.weight) for x in self.loras),
            seed=self.seed,
            count=self.count,
            model=self.model,
            label=self.label,
            image_format=self.image_format,
            tenant=tenant,
            locale=self.locale,
        )


def _from_base64(text: str | None, field: str) -> bytes | None:
    if text is None:
        return None
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise RequestError(f"`{field}` is not base64.", next_step="Send the file's bytes as plain base64.") from exc


def outcome_row(outcome: Outcome) -> dict[str, Any]:
    """Return the promised JSON keys of one outcome (command contract), without the picture itself."""
    if isinstance(outcome, RecordedImage):
        generated = outcome.signed.marked.cleared.generated
        return {
            "image_id": outcome.image_id,
            "refused": False,
            "sha256": outcome.signed.sha256,
            "media_type": outcome.signed.media_type,
            "seed": generated.seed,
            "model": generated.generation.model.model_id,
            "manifest_label": outcome.signed.manifest_label,
            "watermark_id": outcome.signed.marked.reading.image_id,
            "watermark_log10_p": round(outcome.signed.marked.reading.log10_p, 2),
            "credential_state": outcome.signed.credential.state.value,
            "ledger_index": outcome.receipt.index,
        }
    if isinstance(outcome, Refusal):
        return {
            "image_id": outcome.image_id,
            "refused": True,
            "stage": outcome.stage,
            "category": outcome.decision.category,
            "reason": outcome.decision.reason,
            "rules": list(outcome.decision.rules),
            "spans": [
                {"field": span.field, "start": span.start, "end": span.end, "rule": span.rule}
                for finding in outcome.decision.findings
                for span in finding.spans
            ],
            "appeal_id": outcome.appeal_id,
            "ledger_index": outcome.receipt.index if outcome.receipt else None,
        }
    return failure_row(outcome)


def failure_row(failure: Failure) -> dict[str, Any]:
    """Return one failure as JSON keys; nothing was released for it."""
    return {
        "image_id": failure.image_id,
        "refused": False,
        "error": failure.code,
        "stage": failure.stage,
        "reason": failure.message,
        "next_step": failure.next_step,
        "ledger_index": failure.receipt.index if failure.receipt else None,
    }
