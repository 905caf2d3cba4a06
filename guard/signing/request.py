"""What goes into the signing flow and what comes out of it, and the parts it is put together from."""

from __future__ import annotations

import mimetypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from guard.credentials import CredentialReport, SignedBytes, SoftBinding, TimeStampOutcome
from guard.interfaces import Clock, CredentialReader, ForeignMarkReader, Labeller, LedgerStore, Watermarker
from guard.picture_file import PictureFile, open_picture
from guard.provenance.manifest import EditOperation, ManifestFacts, ManifestKind
from guard.provenance.read import StoredManifestReader
from guard.provenance.sign import ClaimGenerator
from guard.records import ImageID, LabelMode, MarkReading, Receipt


class FactSigner(Protocol):
    """Signs given facts; ``C2PACredentialSigner`` does."""

    @property
    def claim_generator(self) -> ClaimGenerator:
        """Return who signs."""
        ...

    def sign_bytes(
        self,
        facts: ManifestFacts,
        encoded: bytes,
        media_type: str,
        *,
        parent: bytes | None = None,
        sidecar: bool = False,
    ) -> SignedBytes:
        """Return the signed file. Raises SigningError, MediaError."""
        ...


class FileReader(CredentialReader, StoredManifestReader, Protocol):
    """Reads credentials in files and beside them; ``C2PACredentialReader`` does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningRequest:
    """What to sign, and what may be said about it.

    Attributes:
        data: the file.
        kind: ``generated`` (by a model, here and now), ``edited`` (changed by a model) or ``imported``.
        parent: the source of an edit; None takes the file itself as the source.
        media_type: of the result; None keeps that of ``data``. Another one is possible for pictures that are marked.
        mark: embed our watermark; False signs the bytes as they are, with one layer of marking only.
        sidecar: keep the manifest beside the file instead of in it.
        label: visible label to composite.
        model_name, model_revision, model_id: what made the pixels, when known.
        edit: what the model did, for kind edited.
        source_type: digitalSourceType of the making where the usual one of the kind does not fit; for kind imported,
            how the file was made elsewhere, where that is known and the file carries no credentials that say it.
        prompt, negative_prompt: put into the file, in an assertion of their own; empty leaves them out.
        redact: labels of assertions of the file's own manifest that are taken out, for instance ``PROMPT_LABEL``.
        title: name shown by viewers; empty for the image id.
        tenant: whose registry row it is.
    """

    data: bytes
    kind: ManifestKind = ManifestKind.IMPORTED
    parent: bytes | None = None
    media_type: str | None = None
    mark: bool = True
    sidecar: bool = False
    label: LabelMode = LabelMode.NONE
    model_name: str = ""
    model_revision: str = ""
    model_id: str = ""
    edit: EditOperation = EditOperation.EDITED
    source_type: str | None = None
    prompt: str = ""
    negative_prompt: str = ""
    redact: tuple[str, ...] = ()
    title: str = ""
    tenant: str = "local"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedFile:
    """A file that is marked, signed, verified and recorded.

    Attributes:
        image_id: new id; in the manifest and the ledger, and in the mark when one was embedded.
        data: the final bytes.
        manifest: the manifest store; in ``data`` too, unless a sidecar was asked for.
        reading: the embedded mark as it read back; None when none was embedded.
        carried: the mark that the file carried already, and because of which none was embedded.
        time_stamp: whether the signature carries the time of the operator's authority.
    """

    image_id: ImageID
    data: bytes
    manifest: bytes
    sha256: str
    media_type: str
    manifest_label: str
    credential: CredentialReport
    reading: MarkReading | None
    carried: SoftBinding | None
    receipt: Receipt
    time_stamp: TimeStampOutcome = TimeStampOutcome.NOT_CONFIGURED

    def save(self, path: str | Path) -> Path:
        """Write the final bytes; return the path, in a folder ``<image id><suffix>``. Raises OSError."""
        target = Path(path)
        if target.is_dir():
            target /= f"{self.image_id}{mimetypes.guess_extension(self.media_type) or ''}"
        target.write_bytes(self.data)
        return target


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningParts:
    """What the flow is put together from; built by ``guard/assembly.py`` or by a test.

    Attributes:
        open_picture: decodes an untrusted file, in a killable worker.
        foreign_marks: readers of other makers' marks, as far as they are installed.
    """

    watermarker: Watermarker
    labeller: Labeller
    signer: FactSigner
    reader: FileReader
    ledger: LedgerStore
    clock: Clock
    open_picture: Callable[[bytes], PictureFile] = open_picture
    foreign_marks: Sequence[ForeignMarkReader] = ()
