"""The claim that is signed into a file: pure facts in, c2pa-rs manifest definition out.

What each kind states (C2PA 2.4; rows P1-P8 are those of the conformance programme, see docs/provenance.md):

========== =========================================================================================================
generated  ``c2pa.created`` with trainedAlgorithmicMedia
edited     ``c2pa.opened`` (parentOf ingredient, no source type) + ``c2pa.edited`` with the composite type
imported   ``c2pa.opened`` (parentOf ingredient): only marked and signed here; how it was made is stated of the
           ingredient, where the caller knows it
========== =========================================================================================================

then, where they apply, ``c2pa.converted``, ``c2pa.redacted``, the composited visible label and
``c2pa.watermarked.bound`` with its ``c2pa.soft-binding``. c2pa-rs signs nearly any content (measured), so whatever the
rubrics ask for is checked here and in the tests. Prompts are left out unless they are given on purpose; then they stand
in an assertion of their own, which can be redacted later without breaking the rest.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from guard.credentials import SoftBinding
from guard.errors import RequestError
from guard.provenance.source_types import (
    ALGORITHMIC_MEDIA,
    COMPOSITE_WITH_TRAINED_ALGORITHMIC_MEDIA,
    TRAINED_ALGORITHMIC_MEDIA,
    checked,
)
from guard.records import LabelMode

SPEC_VERSION = "2.4.0"
"""The specification this claim follows; conformance programme v0.2 requires the field from 2.4 on (row P1)."""
PARENT_LABEL = "parent"
"""Build-time name that ties ``c2pa.opened`` to the ingredient; c2pa-rs replaces it by a hashed reference."""
DISCLOSURE_LABEL = "io.github.signet-gateway.disclosure"
"""Our assertion: the four latent-disclosure fields of California B&P Code 22757.3(b)."""
ACTIONS_LABEL = "c2pa.actions.v2"
SOFT_BINDING_LABEL = "c2pa.soft-binding"
BINARY_ALGORITHMS = frozenset({"io.iscc.v0"})
"""Soft-binding algorithms whose value is bytes (IEP-0020); ours is text, 16 hex digits."""
PROMPT_LABEL = "io.github.signet-gateway.prompt"
"""Our assertion for what the user asked for; alone in it, so that redacting it takes nothing else away."""
CREATED_LABELS = (ACTIONS_LABEL, SOFT_BINDING_LABEL, "c2pa.ai-disclosure", DISCLOSURE_LABEL, PROMPT_LABEL)
"""Assertions that this system makes itself; the default of c2pa-rs would file them under gathered_assertions."""
MAX_PROMPT_CHARS = 10_000
"""Longest prompt that is carried: long-context text encoders take some 2 000 characters."""
MAX_TEXT_CHARS = 200
"""Longest text field; names and versions are far shorter, and c2pa-rs would carry 10 kB strings into every viewer."""


class ManifestKind(StrEnum):
    """What the claim says happened."""

    GENERATED = "generated"
    EDITED = "edited"
    IMPORTED = "imported"


class EditOperation(StrEnum):
    """What a model did to an existing picture."""

    EDITED = "edited"
    IMAGE_TO_IMAGE = "image-to-image"
    INPAINTED = "inpainted"
    UPSCALED = "upscaled"


_DESCRIPTIONS = {
    EditOperation.EDITED: "Changed by a trained model",
    EditOperation.IMAGE_TO_IMAGE: "Made from another picture by a trained model (image-to-image)",
    EditOperation.INPAINTED: "Parts were replaced by a trained model (in-painting)",
    EditOperation.UPSCALED: "Enlarged by a trained model, which invents detail",
}


class TrainingUse(StrEnum):
    """Permission given to others in ``cawg.training-mining``."""

    ALLOWED = "allowed"
    NOT_ALLOWED = "notAllowed"
    UNSTATED = "unstated"


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestFacts:
    """Everything that a claim states.

    Attributes:
        kind: what happened.
        image_id: 16 hex digits; also the value of the soft binding and the unique id of the latent disclosure.
        provider: name of the organisation that provides the generative system (California 22757.3(b)(1)(A)).
        system_name, system_version: this system, the claim generator.
        created_at: when the picture was made, timezone-aware.
        model_name, model_revision: what made the pixels; needed unless imported.
        model_id: identifier of the model for ``c2pa.ai-disclosure``, or empty.
        watermark_algorithm: soft-binding algorithm id of the embedded mark, or None when no mark was embedded.
        further_bindings: other ways to find this manifest: a mark that the picture carried before, a fingerprint.
        label: the visible label that was composited.
        edit: what was done to the parent, for kind edited.
        source_type: digitalSourceType of the making, or None for the usual one of the kind; for kind imported, that of
            the parent, or None when it is not known. Not for a parent with credentials: those say it themselves.
        converted: the file format differs from the parent's.
        redactions: JUMBF URIs of the parent's assertions that are taken out (``redaction_uri``).
        prompt, negative_prompt: what was asked for; empty (the rule) leaves it out of the file.
        training_use: permission to train on the picture.
        title: name shown by viewers, or empty.
        parent_title: name of the parent shown by viewers.
    """

    kind: ManifestKind
    image_id: str
    provider: str
    system_name: str
    system_version: str
    created_at: datetime
    model_name: str = ""
    model_revision: str = ""
    model_id: str = ""
    watermark_algorithm: str | None = None
    further_bindings: tuple[SoftBinding, ...] = ()
    label: LabelMode = LabelMode.NONE
    edit: EditOperation = EditOperation.EDITED
    source_type: str | None = None
    converted: bool = False
    redactions: tuple[str, ...] = ()
    prompt: str = ""
    negative_prompt: str = ""
    training_use: TrainingUse = TrainingUse.NOT_ALLOWED
    title: str = ""
    parent_title: str = "source picture"

    def __post_init__(self) -> None:
        """Refuse facts that would make a claim nobody can read. Raises RequestError."""
        for name in ("image_id", "provider", "system_name", "system_version"):
            if not getattr(self, name).strip():
                raise RequestError(f"The manifest needs {name}; got an empty text.")
        if self.kind is not ManifestKind.IMPORTED and not self.model_name.strip():
            raise RequestError(f"A manifest of kind {self.kind} needs model_name; got an empty text.")
        if self.created_at.tzinfo is None:
            raise RequestError("created_at has no time zone; expected an aware UTC time.")
        for name in ("provider", "system_name", "system_version", "model_name", "model_revision", "model_id", "title"):
            if len(getattr(self, name)) > MAX_TEXT_CHARS:
                raise RequestError(f"{name} has more than {MAX_TEXT_CHARS} characters.")
        if len(self.prompt) + len(self.negative_prompt) > MAX_PROMPT_CHARS:
            raise RequestError(f"The prompts have more than {MAX_PROMPT_CHARS} characters.")
        if self.redactions and not self.has_parent:
            raise RequestError("A generated picture has no parent from which anything could be redacted.")

    @property
    def has_parent(self) -> bool:
        """Return whether the claim refers to a parent ingredient."""
        return self.kind is not ManifestKind.GENERATED


def manifest_definition(facts: ManifestFacts, *, label: str) -> dict[str, Any]:
    """Return the manifest definition for ``c2pa.Builder``.

    Args:
        facts: what to state.
        label: URN of the new manifest, ``urn:c2pa:<uuid>``.

    Raises:
        RequestError: the source type is unknown.
    """
    assertions = [
        {"label": ACTIONS_LABEL, "created": True, "data": {"allActionsIncluded": True, "actions": _actions(facts)}},
        _disclosure(facts),
    ]
    if facts.watermark_algorithm is not None:
        assertions.append(_soft_binding(SoftBinding(algorithm=facts.watermark_algorithm, value=facts.image_id)))
    assertions += [_soft_binding(binding) for binding in facts.further_bindings]
    if facts.kind is not ManifestKind.IMPORTED:
        assertions.append(_ai_disclosure(facts))
    if facts.prompt or facts.negative_prompt:
        assertions.append(_prompt(facts))
    if facts.training_use is not TrainingUse.UNSTATED:
        assertions.append(_training_mining(facts.training_use))
    return {
        "label": label,
        "title": facts.title or facts.image_id,
        "claim_generator_info": [
            {"name": facts.system_name, "version": facts.system_version, "specVersion": SPEC_VERSION}
        ],
        "assertions": assertions,
        **({"redactions": list(facts.redactions)} if facts.redactions else {}),
    }


def redaction_uri(manifest_label: str, assertion_label: str) -> str:
    """Return the JUMBF URI by which an assertion of another manifest is redacted (C2PA 2.4 section 6.8)."""
    return f"self#jumbf=/c2pa/{manifest_label}/c2pa.assertions/{assertion_label}"


def parent_definition(facts: ManifestFacts) -> dict[str, Any]:
    """Return the ingredient definition of the parent, for ``Builder.add_ingredient``."""
    definition = {"title": facts.parent_title, "relationship": "parentOf", "label": PARENT_LABEL}
    if facts.kind is ManifestKind.IMPORTED and facts.source_type is not None:
        definition["digital_source_type"] = checked(facts.source_type)
    return definition


def _actions(facts: ManifestFacts) -> list[dict[str, Any]]:
    """Return what was done, in order; the first action is created or opened (C2PA 2.2 section 18.14.2)."""
    system = {"name": facts.system_name, "version": facts.system_version}
    actions: list[dict[str, Any]] = []
    if facts.has_parent:
        actions.append({"action": "c2pa.opened", "parameters": {"ingredientIds": [PARENT_LABEL]}})
    if facts.kind is not ManifestKind.IMPORTED:
        actions.append(_making(facts))
    if facts.converted:
        actions.append({"action": "c2pa.converted", "softwareAgent": system})
    actions += [
        {"action": "c2pa.redacted", "reason": "c2pa.PII.present", "parameters": {"redacted": uri}}
        for uri in facts.redactions
    ]
    if facts.label is not LabelMode.NONE:
        actions.append(
            {
                "action": "c2pa.addedText",
                "digitalSourceType": ALGORITHMIC_MEDIA,
                "softwareAgent": system,
                "description": f"Visible AI label ({facts.label.value}) composited",
            }
        )
    if facts.watermark_algorithm is not None:
        actions.append({"action": "c2pa.watermarked.bound", "softwareAgent": system})
    return actions


def _making(facts: ManifestFacts) -> dict[str, Any]:
    """Return what the model did."""
    generated = facts.kind is ManifestKind.GENERATED
    usual = TRAINED_ALGORITHMIC_MEDIA if generated else COMPOSITE_WITH_TRAINED_ALGORITHMIC_MEDIA
    return {
        "action": "c2pa.created" if generated else "c2pa.edited",
        "digitalSourceType": checked(facts.source_type or usual),
        "softwareAgent": {"name": facts.model_name, "version": facts.model_revision or "unpinned"},
        "when": _utc(facts.created_at),
        "description": "Generated by a trained model" if generated else _DESCRIPTIONS[facts.edit],
    }


def _soft_binding(binding: SoftBinding) -> dict[str, Any]:
    """Return one soft binding: what can be read from the pixels, and with which algorithm.

    Binary values travel as base64 in our records and in what c2pa-rs reads; to write bytes it wants a list of numbers.
    """
    binary = binding.algorithm in BINARY_ALGORITHMS
    value = list(base64.b64decode(binding.value)) if binary else binding.value
    return {
        "label": SOFT_BINDING_LABEL,
        "created": True,
        "data": {"alg": binding.algorithm, "blocks": [{"scope": {}, "value": value}]},
    }


def _prompt(facts: ManifestFacts) -> dict[str, Any]:
    """Return what was asked for, in an assertion of its own."""
    data: dict[str, Any] = {"version": 1, "prompt": facts.prompt}
    if facts.negative_prompt:
        data["negativePrompt"] = facts.negative_prompt
    return {"label": PROMPT_LABEL, "created": True, "data": data}


def _ai_disclosure(facts: ManifestFacts) -> dict[str, Any]:
    """Return ``c2pa.ai-disclosure`` (C2PA 2.4): which model, and that a prompt guided it."""
    data: dict[str, Any] = {
        "modelType": "c2pa.types.model",
        "modelName": facts.model_name,
        "contentProfile": {"humanOversightLevel": "prompt_guided"},
    }
    if facts.model_id:
        data["modelIdentifier"] = facts.model_id
    return {"label": "c2pa.ai-disclosure", "created": True, "data": data}


def _training_mining(use: TrainingUse) -> dict[str, Any]:
    """Return ``cawg.training-mining`` 1.1 with one answer for mining, training and generative training."""
    entries = {f"cawg.{name}": {"use": use.value} for name in ("data_mining", "ai_training", "ai_generative_training")}
    return {"label": "cawg.training-mining", "data": {"entries": entries}}


def _disclosure(facts: ManifestFacts) -> dict[str, Any]:
    """Return the latent disclosure of California B&P Code 22757.3(b)(1)(A)-(D)."""
    return {
        "label": DISCLOSURE_LABEL,
        "created": True,
        "data": {
            "version": 1,
            "provider": facts.provider,
            "systemName": facts.system_name,
            "systemVersion": facts.system_version,
            "createdAt": _utc(facts.created_at),
            "uniqueId": facts.image_id,
        },
    }


def _utc(moment: datetime) -> str:
    """Return an RFC 3339 time in UTC, whole seconds."""
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
