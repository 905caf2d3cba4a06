"""Writing the signed manifest into an encoded picture.

Thumbnails are off by default (85-95 % of the cost of signing, measured), c2pa-rs verifies its own signature after
writing, and the pipeline then reads the file back with our own reader and trust list. Keys are in ``native_signer.py``,
time stamps in ``time_stamp.py``.
"""

from __future__ import annotations

import io
import logging
import uuid
from dataclasses import dataclass, replace
from typing import Any

from guard.credentials import SignedBytes, SoftBinding, TimeStampOutcome
from guard.errors import SigningError, StageError
from guard.interfaces import CredentialReader, KeySource
from guard.iscc import image_code, soft_binding
from guard.media import decode, encode
from guard.provenance.bounds import find_excess
from guard.provenance.containers import container_type, require_signable
from guard.provenance.keys.ring import KeyRing
from guard.provenance.manifest import (
    CREATED_LABELS,
    EditOperation,
    ManifestFacts,
    ManifestKind,
    TrainingUse,
    manifest_definition,
    parent_definition,
)
from guard.provenance.native import reading_context, reading_settings, signing_context
from guard.provenance.native_signer import NativeSigners
from guard.provenance.read import STOPPED
from guard.provenance.time_stamp import TimeStampPolicy, TimeStampSource
from guard.provenance.trust import TrustAnchors
from guard.records import ImageFormat, MarkedImage, Operation
from guard.version import __version__

_EDITS = {Operation.IMAGE_TO_IMAGE: EditOperation.IMAGE_TO_IMAGE, Operation.INPAINTING: EditOperation.INPAINTED}

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimGenerator:
    """Who signs, as every manifest names it.

    Attributes:
        provider: the organisation that provides this system.
        name, version: this system.
        training_use: permission for others to train on the pictures.
        prompts: put prompts into manifests, in an assertion of their own; off, since manifests are public.
        thumbnails: let c2pa-rs add thumbnails of picture and ingredients; they make signing ten times as slow.
    """

    provider: str
    name: str = "Signet"
    version: str = __version__
    training_use: TrainingUse = TrainingUse.NOT_ALLOWED
    prompts: bool = False
    thumbnails: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """One file to sign."""

    definition: dict[str, Any]
    facts: ManifestFacts
    encoded: bytes
    media_type: str
    parent: bytes | None
    sidecar: bool


class C2PACredentialSigner:
    """``CredentialSigner`` over c2pa-rs; safe to share between threads, usable on both sides of a fork."""

    def __init__(
        self,
        keys: KeySource | KeyRing,
        *,
        claim_generator: ClaimGenerator,
        time_stamps: TimeStampSource | None = None,
        stranger: CredentialReader | None = None,
    ) -> None:
        """Prepare to sign; the native signer is made on first use in each process.

        Args:
            keys: signing key with its certificate chain, or the ring that says which one signs now.
            claim_generator: who signs.
            time_stamps: the operator's RFC 3161 authority, or None for signatures without a time stamp.
            stranger: reads an uploaded source in a killable worker before this process does; a source that it cannot
                finish becomes the ingredient by its pixels alone. None trusts all sources.
        """
        self._signers = NativeSigners(keys)
        self._generator = claim_generator
        self._time_stamps = time_stamps
        self._stranger = stranger

    @property
    def claim_generator(self) -> ClaimGenerator:
        """Return who signs."""
        return self._generator

    def sign(self, image: MarkedImage, *, encoded: bytes, media_type: str) -> SignedBytes:
        """Sign a picture of the flow. Raises SigningError."""
        return self.sign_bytes(self._facts(image, media_type), encoded, media_type, parent=self._parent_of(image))

    def sign_bytes(
        self,
        facts: ManifestFacts,
        encoded: bytes,
        media_type: str,
        *,
        parent: bytes | None = None,
        sidecar: bool = False,
    ) -> SignedBytes:
        """Sign encoded bytes with given facts.

        Args:
            facts: what the manifest states.
            encoded: of a type in ``containers.SIGNABLE``. Text chunks survive signing: strip them before if they must
                not leak. Earlier credentials in these bytes are replaced; hand the original file over as ``parent``
                to keep them.
            media_type: of ``encoded``.
            parent: the file that was edited or imported; its credentials are carried along.
            sidecar: leave the bytes as they are; the manifest is to be kept beside the file.

        Raises:
            SigningError: the bytes are not what ``media_type`` says, the parent is missing, the key, the time-stamp
                authority or c2pa-rs failed.
            UnsupportedMediaError: credentials cannot be written into this kind of file.
            MediaError: the parent cannot be read as a picture at all.
        """
        found = require_signable(encoded)
        if found != media_type:
            raise SigningError(f"The bytes are {found}; expected {media_type}.")
        if facts.has_parent != (parent is not None):
            raise SigningError(
                f"A manifest of kind {facts.kind} {'needs a parent file' if facts.has_parent else 'has no parent'}."
            )
        label = f"urn:c2pa:{uuid.uuid4()}"
        job = _Job(
            definition=manifest_definition(facts, label=label),
            facts=facts,
            encoded=encoded,
            media_type=media_type,
            parent=parent,
            sidecar=sidecar,
        )
        try:
            self._expect_safe_parent(parent)
            out, manifest, outcome = self._write(job)
        except _NativeParentError:
            # the parent's credentials are damaged beyond reading, over the bounds, or stopped a worker: keep the
            # picture as the parent
            safe = encode(decode(parent or b"").rgb, ImageFormat.PNG)
            out, manifest, outcome = self._write(replace(job, parent=safe))
        return SignedBytes(data=out, manifest=manifest, manifest_label=label, time_stamp=outcome)

    def _expect_safe_parent(self, parent: bytes | None) -> None:
        """Raise _NativeParentError for a parent that must not be parsed in this process, which nothing could stop."""
        if parent is None or self._stranger is None:
            return
        try:
            stopped = STOPPED & set(self._stranger.read(parent).codes)
        except StageError as exc:
            raise _NativeParentError from exc
        if stopped:
            raise _NativeParentError

    def _write(self, job: _Job) -> tuple[bytes, bytes, TimeStampOutcome]:
        """Write with a time stamp, or without one as policy says. Raises SigningError, _NativeParentError."""
        source, reason = self._time_stamps, ""
        if source is not None and not source.paused():
            try:
                out, manifest = self._build(job, source.address())
                _expect_trusted_stamp(out, manifest if job.sidecar else None, job.media_type, source)
            except _NativeWriteError as exc:
                reason = source.last_failure or str(exc)
                if source.policy is TimeStampPolicy.REFUSE:
                    raise SigningError(
                        f"The picture could not be signed with a time stamp of {source.url}: {reason}.",
                        next_step="Check the time-stamp authority; SIGNET_TSA_POLICY=sign_without goes on without it.",
                    ) from exc
            else:
                source.succeeded()
                return out, manifest, TimeStampOutcome.STAMPED
        try:
            out, manifest = self._build(job, None)
        except _NativeWriteError as exc:
            raise SigningError(
                f"The content credential could not be written: {exc}",
                next_step="Check the validity of the signing certificate, and that the file is not damaged.",
            ) from exc
        if source is None:
            return out, manifest, TimeStampOutcome.NOT_CONFIGURED
        if reason:  # without the stamp it works, so the stamp was at fault
            source.failed(reason)
        source.count_without()
        _LOG.warning("%s was signed without a time stamp: %s", job.facts.image_id, source.last_failure)
        return out, manifest, TimeStampOutcome.SIGNED_WITHOUT

    def _build(self, job: _Job, tsa_url: str | None) -> tuple[bytes, bytes]:
        """Run the native builder once. Raises SigningError (the key), _NativeWriteError, _NativeParentError."""
        from c2pa import Builder, C2paError

        out = io.BytesIO()
        context = signing_context(CREATED_LABELS, thumbnails=self._generator.thumbnails)
        self._signers.clear_failure()
        try:
            with Builder(job.definition, context=context) as builder:
                if job.sidecar:
                    builder.set_no_embed()
                if job.parent is not None:
                    _add_parent(builder, job.facts, job.parent)
                manifest = builder.sign(self._signers.get(tsa_url), job.media_type, io.BytesIO(job.encoded), out)
        except (C2paError, KeyError, TypeError, ValueError) as exc:
            cause = self._signers.failure()
            if cause is not None:  # c2pa-python swallows what a key raises; say it here
                raise SigningError(f"The signing key failed: {cause}", next_step=cause.diagnostics()) from cause
            raise _NativeWriteError(str(exc)) from exc
        return (job.encoded if job.sidecar else out.getvalue()), bytes(manifest)

    @staticmethod
    def _parent_of(image: MarkedImage) -> bytes | None:
        """Return the file that was edited; its pixels as a plain PNG where there is no file."""
        request = image.cleared.generated.cleared.admitted.request
        if request.operation is Operation.TEXT_TO_IMAGE or request.source_image is None:
            return None
        return request.source_bytes or encode(request.source_image, ImageFormat.PNG)

    def _facts(self, image: MarkedImage, media_type: str) -> ManifestFacts:
        """Collect from the records what the manifest states."""
        generated = image.cleared.generated
        admitted = generated.cleared.admitted
        model = generated.generation.model
        edited = admitted.request.operation is not Operation.TEXT_TO_IMAGE
        return ManifestFacts(
            kind=ManifestKind.EDITED if edited else ManifestKind.GENERATED,
            image_id=generated.image_id,
            provider=self._generator.provider,
            system_name=self._generator.name,
            system_version=self._generator.version,
            created_at=admitted.admitted_at,
            model_name=model.name,
            model_revision=model.revision,
            model_id=model.model_id,
            watermark_algorithm=image.reading.algorithm if image.reading.image_id == generated.image_id else None,
            further_bindings=(*_carried(image), soft_binding(image_code(image.pixels))),
            edit=_EDITS.get(admitted.request.operation, EditOperation.EDITED),
            prompt=admitted.request.prompt if self._generator.prompts else "",
            negative_prompt=admitted.request.negative_prompt if self._generator.prompts else "",
            label=image.cleared.label,
            training_use=self._generator.training_use,
            title=f"{generated.image_id}{ImageFormat(media_type.removeprefix('image/')).suffix}",
        )


def _carried(image: MarkedImage) -> tuple[SoftBinding, ...]:
    """Return the marks that an edit kept from its source, as bindings."""
    found = image.reading.image_id
    if found is None or found == image.cleared.generated.image_id:
        return image.foreign
    return (SoftBinding(algorithm=image.reading.algorithm, value=found), *image.foreign)


class _NativeWriteError(Exception):
    """c2pa-rs did not write the credential; becomes a SigningError, or is tried without a time stamp."""


class _NativeParentError(Exception):
    """The parent's credentials cannot be carried along; not an error of ours, hence outside the tree."""


def _expect_trusted_stamp(signed: bytes, manifest: bytes | None, media_type: str, source: TimeStampSource) -> None:
    """Raise _NativeWriteError when none of the configured roots vouches for the stamp; c2pa-rs only notes that."""
    from c2pa import Reader

    if not source.anchors_pem:
        return
    context = reading_context(reading_settings(TrustAnchors(tsa_pem=source.anchors_pem)))
    with Reader(media_type, io.BytesIO(signed), manifest, context=context) as reader:
        results = (reader.get_validation_results() or {}).get("activeManifest", {})
    if not any(status.get("code") == "timeStamp.trusted" for status in results.get("success", [])):
        raise _NativeWriteError("none of the configured anchors for time stamps vouches for its certificate")


def _add_parent(builder: Any, facts: ManifestFacts, parent: bytes) -> None:
    """Add the parent ingredient with its own credentials. Raises _NativeParentError."""
    from c2pa import C2paError

    media_type = container_type(parent)
    if find_excess(parent) is not None or media_type is None:
        raise _NativeParentError
    try:
        builder.add_ingredient(parent_definition(facts), media_type, io.BytesIO(parent))
    except (C2paError, KeyError, TypeError, ValueError) as exc:
        raise _NativeParentError from exc
