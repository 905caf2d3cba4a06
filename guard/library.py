"""Signing, verifying and recovering from Python, in a few lines.

::

    from guard import sign, verify

    image = pipeline("a lighthouse at dusk").images[0]              # any diffusers pipeline
    sign(image, model="stabilityai/sd-turbo").save("lighthouse.png")
    print(verify("lighthouse.png").state)                           # trusted

``sign``, ``verify`` and ``recover`` open the installation (``SIGNET_HOME``) for one call; for many, open it once::

    with Signet() as signet:
        for image in images:
            signet.sign(image, model="stabilityai/sd-turbo").save(folder)
"""

from __future__ import annotations

import io
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeAlias

import numpy as np

from guard.assembly import build_core
from guard.credentials import CredentialReport
from guard.errors import MediaError, RequestError
from guard.interfaces import Clock
from guard.media import encode
from guard.provenance.manifest import EditOperation, ManifestKind
from guard.provenance.source_types import full_source_type
from guard.records import ImageFormat, LabelMode
from guard.recovery import Recovery
from guard.settings import Settings, load_settings
from guard.signing.request import SignedFile, SigningRequest

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

    Picture: TypeAlias = Image | NDArray[np.uint8] | bytes | str | Path
    """A PIL picture, (H, W, 3) uint8 sRGB pixels, the bytes of a file, or its path."""


class Signet:
    """One installation: its keys, mark, registry and ledger; a context manager, safe to share between threads."""

    def __init__(self, settings: Settings | None = None, *, clock: Clock | None = None, **overrides: object) -> None:
        """Read the settings; nothing is opened yet.

        Args:
            settings: where everything is; None reads the environment (``SIGNET_*``).
            clock: source of the time; None takes the machine's.
            overrides: single settings, e.g. ``home="keys-and-ledger"``; without ``settings`` only.

        Raises:
            ConfigError: a setting has a value of the wrong kind.
        """
        self._core = build_core(settings or load_settings(**overrides), clock=clock)

    def sign(
        self,
        picture: Picture,
        *,
        kind: ManifestKind | str | None = None,
        model: str = "",
        revision: str = "",
        parent: Picture | None = None,
        edit: EditOperation | str = EditOperation.EDITED,
        source_type: str | None = None,
        prompt: str = "",
        label: LabelMode | str = LabelMode.NONE,
        image_format: ImageFormat | str | None = None,
        mark: bool = True,
        sidecar: bool = False,
        title: str = "",
    ) -> SignedFile:
        """Mark, sign, verify and record one picture.

        Args:
            picture: pixels (PIL picture or array), or a file (bytes or path) whose history and metadata are kept.
            kind: ``generated``, ``edited``, ``imported``; None means ``generated`` for pixels, ``imported`` for files.
            model: model that made or changed the picture, as the credential names it.
            revision: pinned revision of that model.
            parent: source of an edit; becomes an ingredient.
            edit: what the model did: ``edited``, ``image-to-image``, ``inpainted`` or ``upscaled``.
            source_type: how an imported picture was made, as an IPTC term or URI, where it is known.
            prompt: put into the file, where everybody can read it; empty, the rule, leaves it out.
            label: visible label to composite: ``none``, ``basic``, ``generated`` or ``modified``.
            image_format: ``png``, ``jpeg`` or ``webp``; None keeps a file's own and means PNG for pixels.
            mark: embed our watermark; False signs with one layer of marking only.
            sidecar: leave the manifest out of the file; it is in the answer's ``manifest``.
            title: name shown by viewers.

        Raises:
            RequestError: what is asked for contradicts the file or itself.
            MediaError: the picture cannot be read or marked.
            KeyMaterialError: there are no keys; ``signet keys init`` makes some.
            StageError: a mark or credential could not be written or read back, or the ledger failed.
        """
        default = ManifestKind.IMPORTED if isinstance(picture, bytes | str | Path) else ManifestKind.GENERATED
        return self._core.file_signer.sign(
            SigningRequest(
                data=_bytes_of(picture),
                kind=default if kind is None else _member(ManifestKind, kind, "kind"),
                parent=None if parent is None else _bytes_of(parent),
                media_type=_media_type(image_format),
                mark=mark,
                sidecar=sidecar,
                label=_member(LabelMode, label, "label"),
                model_name=model,
                model_revision=revision,
                edit=_member(EditOperation, edit, "edit"),
                source_type=None if source_type is None else full_source_type(source_type),
                prompt=prompt,
                title=title,
                tenant=self._core.settings.tenant,
            )
        )

    def verify(self, file: bytes | str | Path) -> CredentialReport:
        """Return what the content credentials of a file say and whether they hold; never raises for its contents.

        Raises:
            MediaError: the file cannot be read from disk.
            DeadlineError: it took the parser too long.
        """
        return self._core.reader.read(_bytes_of(file))

    def recover(self, picture: Picture) -> Recovery:
        """Return the original manifest of a copy that lost its credentials, found by mark or look and confirmed.

        Raises:
            MediaError: the picture cannot be read.
            KeyMaterialError, LedgerError: there are no keys, or the registry cannot be read.
        """
        return self._core.recovery.recover(self._core.decode(_bytes_of(picture)).rgb)

    def close(self) -> None:
        """Close what was opened."""
        self._core.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def sign(picture: Picture, **options: Any) -> SignedFile:
    """Mark, sign, verify and record one picture; options as for ``Signet.sign``."""
    with Signet() as signet:
        return signet.sign(picture, **options)


def verify(file: bytes | str | Path) -> CredentialReport:
    """Return what the content credentials of a file say and whether they hold, as ``Signet.verify`` does."""
    with Signet() as signet:
        return signet.verify(file)


def recover(picture: Picture) -> Recovery:
    """Return the original manifest of a copy that lost its credentials, as ``Signet.recover`` does."""
    with Signet() as signet:
        return signet.recover(picture)


def _bytes_of(picture: Picture) -> bytes:
    """Return a file's bytes; pixels become a PNG. Raises MediaError, RequestError."""
    if isinstance(picture, bytes):
        return picture
    if isinstance(picture, str | Path):
        try:
            return Path(picture).read_bytes()
        except OSError as exc:
            raise MediaError(f"{picture} cannot be read: {exc.strerror}.", next_step="Check the path.") from exc
    if isinstance(picture, np.ndarray):
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
            raise RequestError(f"Got an array {picture.dtype} {picture.shape}; expected (height, width, 3) uint8 sRGB.")
        return encode(np.ascontiguousarray(picture), ImageFormat.PNG)
    if not callable(getattr(picture, "save", None)):
        raise RequestError(f"Got {type(picture).__name__}; expected a PIL picture, an array, bytes or a path.")
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def _media_type(image_format: ImageFormat | str | None) -> str | None:
    """Return the media type of a format. Raises RequestError."""
    if image_format is None:
        return None
    wanted: ImageFormat = _member(ImageFormat, image_format, "image_format")
    return wanted.media_type


def _member(kind: Any, value: object, name: str) -> Any:
    """Return a member of an enumeration by its value. Raises RequestError."""
    try:
        return kind(value)
    except ValueError as exc:
        raise RequestError(f"{name} is {value!r}; expected one of {', '.join(kind)}.") from exc
