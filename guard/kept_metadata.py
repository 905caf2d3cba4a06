"""Metadata of a source picture that goes on with what is made of it.

Laws and the Code of Practice (measure 1.2) ask that marks of an input survive; notes of rights must not be taken off
(17 USC 1202, Directive 2001/29/EC article 7). Content credentials go another way: into the new manifest.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

_ORIGIN_HINTS = (b"digitalsourcetype", b"aigc")
"""Lower-case names under which files state how they were made: IPTC's property and China's label (GB 45438-2025)."""
_SOURCE_TYPE = re.compile(rb"(cv\.iptc\.org/newscodes/digitalsourcetype/)([A-Za-z]+)", re.IGNORECASE)
_AI_TYPES = frozenset({b"trainedalgorithmicmedia", b"compositewithtrainedalgorithmicmedia", b"compositesynthetic"})
_AFTER_A_MODEL = rb"\1compositeWithTrainedAlgorithmicMedia"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptMetadata:
    """What is carried over to the new file.

    Attributes:
        exif: EXIF block as Pillow gives it; the orientation is reset, since pixels are turned upright.
        xmp: XMP packet.
        resources: Photoshop image resources of a JPEG (8BIM number -> bytes), among them IPTC-IIM.
        texts: PNG text chunks, (keyword, text).
    """

    exif: bytes = b""
    xmp: bytes = b""
    resources: tuple[tuple[int, bytes], ...] = ()
    texts: tuple[tuple[str, str], ...] = ()

    @property
    def states_origin(self) -> bool:
        """Return whether a field states how the picture was made (digital source type, AIGC label)."""
        texts = (f"{key}={value}".encode("utf-8", "replace") for key, value in self.texts)
        return any(map(_states_origin, (self.exif, self.xmp, *(value for _, value in self.resources), *texts)))

    def after_a_model(self) -> KeptMetadata:
        """Return the same with a digital source type that is true once a model has changed the picture.

        A type that names no AI, such as ``digitalCapture``, becomes ``compositeWithTrainedAlgorithmicMedia``.
        Source: IPTC, "Guidance on using Digital Source Type for generative AI"; values in ``source_types.py``.
        """
        return replace(self, xmp=_SOURCE_TYPE.sub(_type_after_a_model, self.xmp))

    def of_a_new_picture(self) -> KeptMetadata:
        """Return what stays true of a new picture that a model made of this one.

        XMP and IPTC records stay (rights, names, labels). EXIF and PNG texts tell of the exposure or the making of the
        source and stay only where they hold a mark of origin.
        """
        return replace(
            self.after_a_model(),
            exif=self.exif if _states_origin(self.exif) else b"",
            texts=tuple((key, value) for key, value in self.texts if _states_origin(f"{key}={value}".encode())),
        )


def _states_origin(part: bytes) -> bool:
    return any(hint in part.lower() for hint in _ORIGIN_HINTS)


def _type_after_a_model(found: re.Match[bytes]) -> bytes:
    return found[0] if found[2].lower() in _AI_TYPES else found.expand(_AFTER_A_MODEL)
