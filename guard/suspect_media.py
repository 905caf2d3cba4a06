"""Pixels of uploads under suspicion: whatever the file, as far as they can be had, and how they were obtained.

Sending a suspect file through a converter first would destroy its metadata, so nothing is asked back here that Pillow
can open within the limits of ``guard.media``. What goes into generation, marking and signing stays under the strict
``guard.media.decode``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFile, ImageOps

from guard.errors import UndecodableMediaError
from guard.media import (
    DAMAGED,
    DIRECT_MODES,
    MEDIA_TYPES,
    MIN_SIDE,
    DecodedImage,
    flatten,
    is_sixteen_bit_png,
    open_limited,
)

_CUT_ROWS = 16 + 2
"""The row of JPEG blocks that the cut runs through (at most 16, ISO 10918-1 A.2 with sampling 2 x 2) is left out, and
the two pixel rows beside it, into which the filling's colour bleeds when colour is scaled up."""
_WITH_ALPHA = ("PA", "La", "RGBa")
_MOST = 1e37
"""Float samples are cut to +-_MOST: a tenth of what float32 holds, so that their range cannot overflow."""
_BITS_PER_SAMPLE = 258
"""TIFF tag. Source: TIFF 6.0 section 4."""
_EXIF_PLACES = ("exif", "Raw profile type exif", "xmp", "XML:com.adobe.xmp")
"""Where Pillow looks for the orientation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SuspectImage:
    """A file that Pillow can open, with its pixels where they can be examined.

    Attributes:
        decoded: the pixels, or None.
        media_type: by content.
        stored_size: (width, height) as the file declares it.
        notes: one sentence for everything that makes the pixels others than those a plain still file holds.
        without_pixels: why there are none, one sentence; None when there are.
    """

    decoded: DecodedImage | None
    media_type: str
    stored_size: tuple[int, int]
    notes: tuple[str, ...] = ()
    without_pixels: str | None = None

    @classmethod
    def of(cls, decoded: DecodedImage) -> SuspectImage:
        """Return a plain still image."""
        return cls(decoded=decoded, media_type=decoded.media_type, stored_size=decoded.stored_size)


def decode_suspect(data: bytes, *, partial: bool = False) -> SuspectImage:
    """Return the pixels of an upload: the first frame, as 8-bit sRGB, as far as they decode.

    Args:
        data: the file's bytes; 1..MAX_BYTES.
        partial: decode what is there of a cut JPEG. Sets a switch of Pillow for the whole process while it runs: only
            in a worker that does one thing at a time.

    Raises:
        UndecodableMediaError: empty, or not an image of an accepted format.
        MediaTooLargeError: over MAX_BYTES, MAX_PIXELS or MAX_SIDE.
    """
    with open_limited(data) as image:
        media_type, stored, notes = MEDIA_TYPES[image.format or ""], image.size, _notes(image, data)
    if min(stored) < MIN_SIDE:
        reason = f"Too small for this detector: {min(stored)} px on the shorter side, at least {MIN_SIDE} needed."
        note = f"The picture is too small to examine its pixels ({stored[0]} x {stored[1]}); its metadata was read."
        return SuspectImage(
            decoded=None, media_type=media_type, stored_size=stored, notes=(note,), without_pixels=reason
        )
    try:
        with open_limited(data) as image:
            image.load()
            plain = _readable_exif(_eight_bit(image))
            decoded = flatten(plain, media_type=media_type, stored_size=stored)
    except UndecodableMediaError:
        upper = _upper_part(data, stored) if partial and media_type == "image/jpeg" else None
        if upper is None:
            return SuspectImage(
                decoded=None,
                media_type=media_type,
                stored_size=stored,
                notes=("The file is cut off or damaged: its pixels could not be decoded; its metadata was read.",),
                without_pixels="The file is cut off or damaged: there are no pixels to examine.",
            )
        note = (
            f"The file is cut off or damaged: only the upper {upper[1]} of {stored[1]} stored rows of pixels were "
            "decoded and examined."
        )
        notes = (*notes, note)
        decoded = upper[0]
    return SuspectImage(decoded=decoded, media_type=media_type, stored_size=stored, notes=notes)


def _notes(image: Image.Image, data: bytes) -> tuple[str, ...]:
    """Say what makes the pixels that will be examined others than those in the file."""
    notes = []
    frames = _frames(image)
    if frames > 1:
        notes.append(
            f"The file is animated or holds several pages: the pixels examined are the first of {frames} frames."
        )
    if image.mode == "CMYK":
        notes.append("The picture is in CMYK, a print colour space: its pixels were converted to sRGB to examine them.")
    elif is_sixteen_bit_png(data) or image.mode.startswith("I;16") or _is_deep_tiff(image):
        notes.append("The picture has 16 bits a channel: its pixels were reduced to 8 bits a channel to examine them.")
    elif image.mode not in DIRECT_MODES:
        notes.append(
            f"The picture has pixel mode {image.mode}: its pixels were converted to 8-bit sRGB to examine them."
        )
    return tuple(notes)


def _is_deep_tiff(image: Image.Image) -> bool:
    """Return whether Pillow reduces the channels of a TIFF to 8 bits without a word."""
    bits = getattr(image, "tag_v2", {}).get(_BITS_PER_SAMPLE, ())
    return image.mode in DIRECT_MODES and isinstance(bits, tuple) and max(bits, default=8) > 8


def _frames(image: Image.Image) -> int:
    """Return the number of frames, 1 where the file is too damaged to count them; an MPO's others are no animation."""
    if image.format == "MPO":
        return 1
    try:
        return int(getattr(image, "n_frames", 1))
    except (*DAMAGED, ValueError):
        return 1


def _eight_bit(image: Image.Image) -> Image.Image:
    """Return a loaded picture in a mode that ``flatten`` takes."""
    if image.mode in DIRECT_MODES or image.mode == "CMYK":
        return image
    if image.mode.startswith("I;16"):
        reduced = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    elif image.mode in ("I", "F"):  # no fixed range: from darkest to brightest
        values = np.nan_to_num(np.asarray(image, dtype=np.float32), posinf=0.0, neginf=0.0)
        np.clip(values, -_MOST, _MOST, out=values)
        values -= values.min()
        values *= 255.0 / max(float(values.max()), 1e-9)
        reduced = Image.fromarray(values.astype(np.uint8))
    else:
        return image.convert("RGBA" if image.mode in _WITH_ALPHA else "RGB")
    reduced.info = {key: value for key, value in image.info.items() if key == "exif"}
    return reduced


def _readable_exif(image: Image.Image) -> Image.Image:
    """Return a loaded picture without EXIF that breaks its parser; browsers, too, then show the pixels as stored."""
    probe = Image.new("1", (1, 1))
    probe.info = dict(image.info)
    try:
        ImageOps.exif_transpose(probe)
    except (*DAMAGED, ValueError):
        image = image.copy()
        for place in _EXIF_PLACES:
            image.info.pop(place, None)
    return image


def _upper_part(data: bytes, stored: tuple[int, int]) -> tuple[DecodedImage, int] | None:
    """Return the whole rows of a cut sequential JPEG and their number, or None when they are fewer than MIN_SIDE.

    libjpeg fills what is missing with one grey; in a progressive file a cut leaves all rows coarse instead.
    """
    try:
        with _truncated_allowed(), open_limited(data) as image:
            if "progressive" in image.info:
                return None
            image.load()
            pixels = np.asarray(image)
            filled = (pixels == pixels[-1:, -1:]).reshape(len(pixels), -1).all(axis=1)
            rows = len(pixels) - int(np.argmin(filled[::-1])) - _CUT_ROWS
            if filled.all() or rows < MIN_SIDE:
                return None
            upper = _readable_exif(image.crop((0, 0, image.width, rows)))
            return flatten(upper, media_type="image/jpeg", stored_size=stored), rows
    except UndecodableMediaError:
        return None


@contextmanager
def _truncated_allowed() -> Iterator[None]:
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    try:
        yield
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = False
