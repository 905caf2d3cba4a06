"""Which kinds of files can carry content credentials, and how each is told by its leading bytes."""

from __future__ import annotations

from guard.errors import UnsupportedMediaError
from guard.media import sniff_media_type

SIGNABLE = (
    "image/png",
    "image/jpeg",
    "image/webp",
    "image/avif",
    "image/heic",
    "image/tiff",
    "image/gif",
    "video/mp4",
    "video/quicktime",
    "audio/mp4",
    "audio/wav",
    "audio/mpeg",
    "audio/flac",
    "application/pdf",
)
"""Types into which c2pa-rs 0.91.3 embeds a manifest (measured, docs/provenance.md); BMP, ICO, WebM and Ogg cannot."""
_RIFF = {b"WAVE": "audio/wav"}
_QUICKTIME, _M4A = b"qt  ", (b"M4A ", b"M4B ", b"F4A ")


def container_type(data: bytes) -> str | None:
    """Return the media type told by the leading bytes, or None.

    Source: ISO 14496-12 section 4.3 (ftyp brands), RIFF/WAVE, ID3v2.4 section 3.1, ISO 11172-3 section 2.4.1.3 (frame
    sync, layer III), RFC 9639 section 8.1 (FLAC), ISO 32000-2 section 7.5.2 (PDF); pictures: ``guard.media``.
    """
    picture = sniff_media_type(data)
    if picture is not None:
        return picture
    if data[4:8] == b"ftyp":
        brand = data[8:12]
        return "video/quicktime" if brand == _QUICKTIME else "audio/mp4" if brand in _M4A else "video/mp4"
    if data[:4] == b"RIFF":
        return _RIFF.get(data[8:12])
    if data[:3] == b"ID3" or (len(data) > 1 and data[0] == 0xFF and data[1] & 0xE6 == 0xE2):
        return "audio/mpeg"
    if data[:4] == b"fLaC":
        return "audio/flac"
    return "application/pdf" if data[:5] == b"%PDF-" else None


def require_signable(data: bytes) -> str:
    """Return the media type of a file that can carry credentials.

    Raises:
        UnsupportedMediaError: any other file.
    """
    found = container_type(data)
    if found not in SIGNABLE:
        raise UnsupportedMediaError(
            f"{found or 'A file of unknown kind'} cannot carry content credentials; expected one of "
            f"{', '.join(SIGNABLE)}.",
            next_step="Convert it to PNG, JPEG or WebP, or another kind named here.",
        )
    return found
