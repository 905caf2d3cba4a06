"""An uploaded file under examination: the original bytes are kept beside the decoded pixels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from guard.media import DecodedImage, decode, sha256_hex
from guard.records import RGB8

MAX_NAME_CHARS = 255
"""Longest file name that is carried into a report (POSIX NAME_MAX)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A file that decoded as a still image.

    Attributes:
        data: the bytes exactly as received; metadata detectors read these.
        sha256: 64 hex digits of ``data``.
        image: decoded pixels; pixel detectors read these.
        name: the caller's file name for reports, untrusted, or None.
    """

    data: bytes
    sha256: str
    image: DecodedImage
    name: str | None = None

    @property
    def pixels(self) -> RGB8:
        """Return (H, W, 3) uint8 sRGB."""
        return self.image.rgb

    @property
    def media_type(self) -> str:
        """Return the media type by content."""
        return self.image.media_type


def load_upload(data: bytes, *, name: str | None = None, decoder: Callable[[bytes], DecodedImage] = decode) -> Upload:
    """Decode a file for examination.

    Args:
        data: the bytes as received.
        name: file name for the report; cut to MAX_NAME_CHARS.
        decoder: replaces the in-process decoder, for instance by one in a killable worker.

    Raises:
        MediaError: not a still image that can be examined (see ``guard.media.decode``).
    """
    shown = name[:MAX_NAME_CHARS] if name else None
    return Upload(data=data, sha256=sha256_hex(data), image=decoder(data), name=shown)
