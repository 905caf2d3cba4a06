"""An uploaded file under examination: the original bytes are kept beside the decoded pixels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from guard.errors import UnsupportedMediaError
from guard.media import decode, sha256_hex
from guard.records import RGB8
from guard.suspect_media import SuspectImage, decode_suspect

MAX_NAME_CHARS = 255
"""Longest file name that is carried into a report (POSIX NAME_MAX)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A file that could be opened as an image.

    Attributes:
        data: the bytes exactly as received; metadata detectors read these.
        sha256: 64 hex digits of ``data``.
        image: decoded pixels, where there are any; pixel detectors read these.
        name: the caller's file name for reports, untrusted, or None.
    """

    data: bytes
    sha256: str
    image: SuspectImage
    name: str | None = None

    @property
    def pixels(self) -> RGB8:
        """Return (H, W, 3) uint8 sRGB. Raises UnsupportedMediaError when there are none, see ``preview``."""
        if self.image.decoded is None:
            raise UnsupportedMediaError(
                self.image.without_pixels or "The file has no pixels that can be examined.",
                next_step="Send the original picture too, if you have it.",
            )
        return self.image.decoded.rgb

    @property
    def preview(self) -> RGB8 | None:
        """Return ``pixels``, or None when there are none."""
        return None if self.image.decoded is None else self.image.decoded.rgb

    @property
    def size(self) -> tuple[int, int]:
        """Return (width, height) of what is examined: the pixels, or the size that the file declares."""
        if self.image.decoded is None:
            return self.image.stored_size
        height, width = self.image.decoded.rgb.shape[:2]
        return width, height

    @property
    def media_type(self) -> str:
        """Return the media type by content."""
        return self.image.media_type


def still_image(data: bytes) -> SuspectImage:
    """Decode a plain still image and nothing else, as training and measurements want it. Raises MediaError."""
    return SuspectImage.of(decode(data))


def load_upload(
    data: bytes, *, name: str | None = None, decoder: Callable[[bytes], SuspectImage] = decode_suspect
) -> Upload:
    """Open a file for examination.

    Args:
        data: the bytes as received.
        name: file name for the report; cut to MAX_NAME_CHARS.
        decoder: replaces the in-process decoder, for instance by one in a killable worker.

    Raises:
        MediaError: not an image, or over the limits (see ``guard.suspect_media.decode_suspect``).
    """
    shown = name[:MAX_NAME_CHARS] if name else None
    return Upload(data=data, sha256=sha256_hex(data), image=decoder(data), name=shown)
