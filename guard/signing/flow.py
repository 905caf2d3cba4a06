"""The signing flow: a file that was made elsewhere gets a mark, a credential and a ledger entry.

::

    SigningRequest
     (0) open      the picture is decoded under limits; its own credentials and marks are read
     (1) decide    "generated" is refused for a file that already says where it is from; a mark is never put over a mark
     (2) label     the visible label, if asked for
     (3) mark      embed a new image id, encode with the kept metadata, decode and read the id back
     (4) sign      write the manifest, with the file or its source as ingredient; verify it with our own trust list
     (5) record    append digests and the registry row, from which a stripped copy is traced back
    -> SignedFile

The same rules as in generation (``guard/pipeline.py``): what was written is read back, and anything that breaks
withholds the file. Not the same: nothing is checked for content here, and the bytes are not stored; the caller has
them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from guard.carried_marks import foreign_bindings
from guard.credentials import CredentialReport, CredentialState, SignedBytes, SoftBinding
from guard.errors import MediaError, MediaTooLargeError, ReadBackError, RequestError
from guard.fingerprint import fingerprints
from guard.interfaces import Registration
from guard.iscc import soft_binding
from guard.ledger.entry import SigningFacts, signing_body
from guard.media import MAX_BYTES, sha256_hex, sniff_media_type
from guard.picture_file import PictureFile, write_picture
from guard.pipeline import PASSING_LOG10_P
from guard.provenance.containers import require_signable
from guard.provenance.manifest import ManifestFacts, ManifestKind, redaction_uri
from guard.records import RGB8, Fingerprints, ImageID, LabelMode, MarkReading, ModelCard
from guard.signing.request import SignedFile, SigningParts, SigningRequest

UNNAMED_MODEL = "unspecified generative model"
"""Software agent in the manifest of a generated or edited picture whose model the caller does not name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Opened:
    """Step (0): a file and what it already says."""

    data: bytes
    media_type: str
    picture: PictureFile | None
    credential: CredentialReport
    carried: SoftBinding | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Prepared:
    """Step (3): the bytes to sign."""

    encoded: bytes
    media_type: str
    pixels: RGB8 | None
    reading: MarkReading | None
    fingerprints: Fingerprints | None


class FileSigner:
    """Runs the signing flow; safe to share between threads as far as its parts are."""

    def __init__(self, parts: SigningParts, *, random_bytes: Callable[[int], bytes]) -> None:
        """Keep the parts and a CSPRNG such as ``secrets.token_bytes``."""
        self._parts = parts
        self._random = random_bytes

    def sign(self, request: SigningRequest) -> SignedFile:
        """Mark, sign, verify and record one file.

        Raises:
            RequestError: what is asked for contradicts the file or itself.
            MediaError: the file cannot carry credentials, or cannot be marked.
            StageError: a mark or credential could not be written or read back, or the ledger failed.
        """
        opened = self._open(request)  # (0)
        _decide(request, opened, ours=self._parts.watermarker.algorithm)  # (1)
        image_id = ImageID(self._random(8).hex())
        prepared = self._prepare(request, opened, image_id)  # (2), (3)
        signed, report = self._sign(request, opened, prepared, image_id)  # (4)
        return self._record(request, opened, prepared, signed, report, image_id)  # (5)

    def _open(self, request: SigningRequest) -> _Opened:
        """(0) Read everything that the file says about itself."""
        data = request.data
        if len(data) > MAX_BYTES:
            raise MediaTooLargeError(f"The file has {len(data)} bytes; at most {MAX_BYTES} can be verified again.")
        media_type = _media_type(data, marked=request.mark)
        try:
            picture = self._parts.open_picture(data)
        except MediaError as exc:
            if request.mark or request.label is not LabelMode.NONE:
                raise type(exc)(
                    f"{exc} So it cannot be marked.",
                    next_step="Convert it, or sign it with credentials alone: `--no-mark` (mark=False).",
                ) from exc
            picture = None
        return _Opened(
            data=data,
            media_type=media_type,
            picture=picture,
            credential=self._parts.reader.read(data),
            carried=None if picture is None else self._carried_mark(picture.rgb),
        )

    def _carried_mark(self, pixels: RGB8) -> SoftBinding | None:
        """Return the mark that a picture carries: ours, or one of others for which a reader is installed."""
        ours = self._parts.watermarker.detect(pixels)
        if ours.image_id is not None:
            return SoftBinding(algorithm=ours.algorithm, value=ours.image_id)
        return next(iter(foreign_bindings(pixels, self._parts.foreign_marks)), None)

    def _prepare(self, request: SigningRequest, opened: _Opened, image_id: ImageID) -> _Prepared:
        """(2) Label, (3) mark, encode, decode and read back; leaves bytes alone where nothing is to change."""
        picture, target = opened.picture, request.media_type or opened.media_type
        marks = request.mark and opened.carried is None
        if picture is None or not (marks or request.label is not LabelMode.NONE or target != opened.media_type):
            return _prepared(opened.data, opened.media_type, None if picture is None else picture.rgb, None)
        pixels = picture.rgb
        if request.label is not LabelMode.NONE:
            pixels = self._parts.labeller.apply(pixels, mode=request.label)
        if marks:
            pixels = self._parts.watermarker.embed(pixels, image_id)
        if request.kind is ManifestKind.EDITED:
            picture = replace(picture, kept=picture.kept.after_a_model())
        encoded = write_picture(pixels, picture, target)
        as_seen = self._parts.open_picture(encoded).rgb
        reading = self._read_back(as_seen, image_id) if marks else None
        return _prepared(encoded, target, as_seen, reading)

    def _read_back(self, pixels: RGB8, image_id: ImageID) -> MarkReading:
        """Return the reading of the mark just embedded. Raises ReadBackError."""
        reading = self._parts.watermarker.detect(pixels)
        if reading.image_id != image_id or not reading.log10_p <= PASSING_LOG10_P:
            raise ReadBackError(
                f"The watermark did not read back: got {'another id' if reading.image_id else 'no id'} at "
                f"log10 p = {reading.log10_p:.1f}, expected the new id under {PASSING_LOG10_P:.0f}.",
                next_step="Use a larger or less plain picture; nothing was written.",
            )
        return reading

    def _sign(
        self, request: SigningRequest, opened: _Opened, prepared: _Prepared, image_id: ImageID
    ) -> tuple[SignedBytes, CredentialReport]:
        """(4) Sign, then verify the final bytes as a stranger would."""
        facts = self._facts(request, opened, prepared, image_id)
        parent = None
        if facts.has_parent:
            parent = request.parent if request.parent is not None else opened.data
        signed = self._parts.signer.sign_bytes(
            facts, prepared.encoded, prepared.media_type, parent=parent, sidecar=request.sidecar
        )
        report = self._read_manifest(signed, sidecar=request.sidecar)
        if report.state is not CredentialState.TRUSTED or report.manifest_label != signed.manifest_label:
            raise ReadBackError(
                f"The manifest reads back as {report.state}, expected trusted ({', '.join(report.codes) or 'none'})."
            )
        bound = {binding.value for binding in report.soft_bindings}
        if prepared.reading is not None and image_id not in bound:
            raise ReadBackError("The manifest that reads back does not name the embedded mark.")
        if request.kind is not ManifestKind.IMPORTED and report.ai_origin is not True:
            raise ReadBackError(f"The manifest of a {request.kind} file reads back without its AI origin.")
        return signed, report

    def _read_manifest(self, signed: SignedBytes, *, sidecar: bool) -> CredentialReport:
        """Return what a stranger reads. Raises ReadBackError when a sidecar does not belong to its file."""
        if not sidecar:
            return self._parts.reader.read(signed.data)
        stored = self._parts.reader.read_stored_manifest(signed.manifest, signed.data)
        if not stored.matches_asset:
            raise ReadBackError("The manifest beside the file does not match the file.")
        return stored.report

    def _facts(self, request: SigningRequest, opened: _Opened, prepared: _Prepared, image_id: ImageID) -> ManifestFacts:
        """Collect what the manifest states."""
        generator = self._parts.signer.claim_generator
        by_model = request.kind is not ManifestKind.IMPORTED
        return ManifestFacts(
            kind=request.kind,
            image_id=image_id,
            provider=generator.provider,
            system_name=generator.name,
            system_version=generator.version,
            created_at=self._parts.clock.now(),
            model_name=(request.model_name or UNNAMED_MODEL) if by_model else "",
            model_revision=request.model_revision if by_model else "",
            model_id=request.model_id if by_model else "",
            watermark_algorithm=None if prepared.reading is None else prepared.reading.algorithm,
            edit=request.edit,
            source_type=request.source_type,
            converted=prepared.media_type != opened.media_type and request.kind is not ManifestKind.GENERATED,
            redactions=tuple(redaction_uri(opened.credential.manifest_label or "", label) for label in request.redact),
            prompt=request.prompt,
            negative_prompt=request.negative_prompt,
            further_bindings=_further_bindings(opened, prepared),
            label=request.label,
            training_use=generator.training_use,
            title=request.title,
        )

    def _record(
        self,
        request: SigningRequest,
        opened: _Opened,
        prepared: _Prepared,
        signed: SignedBytes,
        report: CredentialReport,
        image_id: ImageID,
    ) -> SignedFile:
        """(5) Append the entry and the registry row in one transaction."""
        sha256 = sha256_hex(signed.data)
        registration = None
        if prepared.fingerprints is not None:
            registration = Registration(
                image_id=image_id,
                sha256=sha256,
                media_type=prepared.media_type,
                manifest=signed.manifest,
                manifest_label=signed.manifest_label,
                fingerprints=prepared.fingerprints,
                tenant=request.tenant,
            )
        facts = SigningFacts(
            image_id=image_id,
            operation=request.kind.value,
            tenant=request.tenant,
            sha256=sha256,
            media_type=prepared.media_type,
            manifest=signed.manifest,
            manifest_label=signed.manifest_label,
            time_stamp=signed.time_stamp,
            size=None if prepared.pixels is None else (prepared.pixels.shape[1], prepared.pixels.shape[0]),
            label=request.label,
            reading=prepared.reading,
            carried=opened.carried,
            model=_model(request),
        )
        body = signing_body(facts, registration, at=self._parts.clock.now())
        return SignedFile(
            image_id=image_id,
            data=signed.data,
            manifest=signed.manifest,
            sha256=sha256,
            media_type=prepared.media_type,
            manifest_label=signed.manifest_label,
            credential=report,
            reading=prepared.reading,
            carried=opened.carried,
            receipt=self._parts.ledger.append(body, registration=registration),
            time_stamp=signed.time_stamp,
        )


def _prepared(encoded: bytes, media_type: str, pixels: RGB8 | None, reading: MarkReading | None) -> _Prepared:
    """Return the bytes to sign with what is seen in them."""
    return _Prepared(
        encoded=encoded,
        media_type=media_type,
        pixels=pixels,
        reading=reading,
        fingerprints=None if pixels is None else fingerprints(pixels),
    )


def _further_bindings(opened: _Opened, prepared: _Prepared) -> tuple[SoftBinding, ...]:
    """Return the mark that the file carried already, and the fingerprint by which others can search."""
    carried = () if opened.carried is None else (opened.carried,)
    if prepared.fingerprints is None:
        return carried
    return (*carried, soft_binding(bytes.fromhex(prepared.fingerprints.iscc)))


def _media_type(data: bytes, *, marked: bool) -> str:
    """Return the type of a file to sign; pictures that are written anew need not be signable themselves."""
    found = sniff_media_type(data)
    return found if marked and found is not None else require_signable(data)


def _decide(request: SigningRequest, opened: _Opened, *, ours: str) -> None:
    """(1) Refuse what would put a false history on a file; ``ours`` names our own mark. Raises RequestError."""
    if request.kind is ManifestKind.GENERATED:
        _refuse_second_birth(request, opened, ours=ours)
    elif request.parent is not None and opened.credential.state is not CredentialState.NONE:
        raise RequestError(
            "The file carries content credentials of its own, which another parent would displace.",
            next_step="Leave the parent out: the file itself becomes the ingredient, with its credentials kept.",
        )
    if request.redact and (opened.credential.manifest_label is None or request.parent is not None):
        raise RequestError(
            "There is nothing to redact: only the file's own manifest can be redacted, and only as its successor.",
            next_step="Name a file with content credentials, and no other parent.",
        )
    tells_itself = request.kind is ManifestKind.IMPORTED and opened.credential.state is not CredentialState.NONE
    if request.source_type is not None and tells_itself:
        raise RequestError("The file's own credentials say how it was made.", next_step="Leave the source type out.")
    target = request.media_type
    if target is not None and target != opened.media_type and opened.picture is None:
        raise RequestError(
            f"{opened.media_type} cannot be converted to {target} here.",
            next_step="Give the output the suffix of the input.",
        )


def _refuse_second_birth(request: SigningRequest, opened: _Opened, *, ours: str) -> None:
    """Refuse to say "created" over a history. Raises RequestError.

    A foreign mark is none: pipelines put their own into what they make, and it names a model, not a picture.
    """
    told = None
    if opened.carried is not None and opened.carried.algorithm == ours:
        told = f"a watermark already ({opened.carried.algorithm}, id {opened.carried.value})"
    elif opened.credential.state is not CredentialState.NONE:
        told = f"content credentials already (state {opened.credential.state})"
    elif opened.picture is not None and opened.picture.kept.states_origin:
        told = "metadata that states how it was made (digital source type or AIGC label)"
    if told is not None:
        raise RequestError(
            f"The file carries {told}; signing it as newly generated would displace its history.",
            next_step="Sign it as `imported`, or as `edited` when a model changed it.",
        )
    if request.parent is not None:
        raise RequestError(
            "A generated picture has no parent.", next_step="Leave the parent out, or sign it as `edited`."
        )


def _model(request: SigningRequest) -> ModelCard | None:
    """Return what the caller says about the model, for the ledger."""
    if request.kind is ManifestKind.IMPORTED or not (request.model_name or request.model_id):
        return None
    return ModelCard(
        model_id=request.model_id,
        name=request.model_name,
        revision=request.model_revision,
        pipeline="",
        digest="",
        licence="",
    )
