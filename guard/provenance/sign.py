"""Writing the signed manifest into an encoded picture.

Thumbnails are off (85-95 % of the cost of signing, measured), c2pa-rs verifies its own signature after writing, and the
pipeline then reads the file back with our own reader and trust list. A key in a PEM file is handed to the native
signer; any other key is asked through a callback, which costs 9.4 kB of reserved space per file (measured).
"""

from __future__ import annotations

import io
import os
import threading
import uuid
from dataclasses import dataclass
from typing import Any

from guard.credentials import SignedBytes
from guard.errors import GuardError, SigningError
from guard.interfaces import KeySource
from guard.media import decode, encode
from guard.provenance.bounds import find_excess
from guard.provenance.containers import container_type, require_signable
from guard.provenance.key_source import PEMKeySource
from guard.provenance.manifest import (
    CREATED_LABELS,
    ManifestFacts,
    ManifestKind,
    TrainingUse,
    manifest_definition,
    parent_definition,
)
from guard.provenance.native import signing_context
from guard.records import ImageFormat, MarkedImage, Operation
from guard.version import __version__


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimGenerator:
    """Who signs, as every manifest names it.

    Attributes:
        provider: the organisation that provides this system.
        name, version: this system.
        training_use: permission for others to train on the pictures.
    """

    provider: str
    name: str = "Signet"
    version: str = __version__
    training_use: TrainingUse = TrainingUse.NOT_ALLOWED


class C2PACredentialSigner:
    """``CredentialSigner`` over c2pa-rs; safe to share between threads, usable on both sides of a fork."""

    def __init__(self, keys: KeySource, *, claim_generator: ClaimGenerator, tsa_url: str | None = None) -> None:
        """Prepare to sign; the native signer is made on first use in each process.

        Args:
            keys: signing key and certificate chain.
            claim_generator: who signs.
            tsa_url: RFC 3161 time-stamp authority, http(s); operator configuration, never from a request. A TSA that
                fails makes signing fail; one that never answers does so after 30 s (both measured).

        Raises:
            SigningError: ``tsa_url`` is not an http(s) URL.
        """
        if tsa_url is not None and not tsa_url.startswith(("http://", "https://")):
            raise SigningError(f"tsa_url is {tsa_url!r}; expected an http:// or https:// URL or none.")
        self._keys = keys
        self._generator = claim_generator
        self._tsa_url = tsa_url
        self._lock = threading.Lock()
        self._signer: tuple[int, Any] | None = None
        self._failure = threading.local()

    @property
    def claim_generator(self) -> ClaimGenerator:
        """Return who signs."""
        return self._generator

    def sign(self, image: MarkedImage, *, encoded: bytes, media_type: str) -> SignedBytes:
        """Sign a picture of the flow. Raises SigningError."""
        return self.sign_bytes(self._facts(image, media_type), encoded, media_type, parent=_parent_of(image))

    def sign_bytes(
        self, facts: ManifestFacts, encoded: bytes, media_type: str, *, parent: bytes | None = None
    ) -> SignedBytes:
        """Sign encoded bytes with given facts.

        Args:
            facts: what the manifest states.
            encoded: of a type in ``containers.SIGNABLE``. Text chunks survive signing: strip them before if they must
                not leak. Earlier credentials in these bytes are replaced; hand the original file over as ``parent``
                to keep them.
            media_type: of ``encoded``.
            parent: the file that was edited or imported; its credentials are carried along.

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
        definition = manifest_definition(facts, label=label)
        try:
            out, manifest = self._write(definition, facts, encoded, media_type, parent)
        except _NativeParentError:
            # the parent's credentials are damaged beyond reading, or over the bounds: keep the picture as the parent
            safe = encode(decode(parent or b"").rgb, ImageFormat.PNG)
            out, manifest = self._write(definition, facts, encoded, media_type, safe)
        return SignedBytes(data=out, manifest=manifest, manifest_label=label)

    def _write(
        self, definition: dict[str, Any], facts: ManifestFacts, encoded: bytes, media_type: str, parent: bytes | None
    ) -> tuple[bytes, bytes]:
        """Run the native builder once. Raises SigningError, _NativeParentError."""
        from c2pa import Builder, C2paError

        out = io.BytesIO()
        self._failure.error = None
        try:
            with Builder(definition, context=signing_context(CREATED_LABELS)) as builder:
                if parent is not None:
                    _add_parent(builder, facts, parent)
                manifest = builder.sign(self._native_signer(), media_type, io.BytesIO(encoded), out)
        except (C2paError, KeyError, TypeError, ValueError) as exc:
            cause = self._failure.error
            if cause is not None:  # c2pa-python swallows what a key raises; say it here
                raise SigningError(f"The signing key failed: {cause}", next_step=cause.diagnostics()) from cause
            raise SigningError(
                f"The content credential could not be written: {exc}",
                next_step="Check the validity of the signing certificate and the time-stamp authority.",
            ) from exc
        return out.getvalue(), bytes(manifest)

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
            watermark_algorithm=image.reading.algorithm,
            label=image.cleared.label,
            training_use=self._generator.training_use,
            title=f"{generated.image_id}{ImageFormat(media_type.removeprefix('image/')).suffix}",
        )

    def _native_signer(self) -> Any:
        """Return this process's native signer."""
        with self._lock:
            if self._signer is None or self._signer[0] != os.getpid():  # native objects are dead after a fork
                self._signer = (os.getpid(), self._make_signer())
            return self._signer[1]

    def _make_signer(self) -> Any:
        """Make the native signer: with the key itself where it is in this process anyway, else with a callback."""
        from c2pa import C2paSignerInfo, C2paSigningAlg, Signer

        chain = self._keys.certificate_chain_pem
        if isinstance(self._keys, PEMKeySource):
            tsa = self._tsa_url.encode() if self._tsa_url else None  # b"" makes every signature fail
            key = self._keys.private_key_pem()
            return Signer.from_info(C2paSignerInfo(self._keys.algorithm.encode(), chain.encode(), key, tsa))
        algorithm = C2paSigningAlg[self._keys.algorithm.upper()]
        return Signer.from_callback(self._call_key, algorithm, chain, self._tsa_url)

    def _call_key(self, data: bytes) -> bytes:
        """Ask the key; keeps its error for ``_write``, which runs in the same thread."""
        try:
            return self._keys.sign(data)
        except GuardError as exc:
            self._failure.error = exc
            raise


class _NativeParentError(Exception):
    """The parent's credentials cannot be carried along; not an error of ours, hence outside the tree."""


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


def _parent_of(image: MarkedImage) -> bytes | None:
    """Return the file that was edited; a request that brought only pixels gets them as a plain PNG."""
    request = image.cleared.generated.cleared.admitted.request
    if request.operation is Operation.TEXT_TO_IMAGE:
        return None
    if request.source_bytes is not None:
        return request.source_bytes
    return encode(request.source_image, ImageFormat.PNG) if request.source_image is not None else None
