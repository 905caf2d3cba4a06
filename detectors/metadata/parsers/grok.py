"""Grok (xAI): EXIF ImageDescription ``Signature: <base64>`` together with a UUID as Artist.

The signature's key is not published, so it is reported, not checked. Either half alone is too common to count.
Source: files of Grok's Aurora model, 2024-2025 (format only).
"""

from __future__ import annotations

import re

from detectors.metadata.fields import EmbeddedFields, Layer
from detectors.metadata.parsers.claim import Claim

_SIGNATURE = re.compile(r"Signature: [A-Za-z0-9+/_-]{40,2000}={0,2}")
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def parse_grok(fields: EmbeddedFields) -> Claim | None:
    """Return the record of Grok, or None."""
    description, artist = fields.get(Layer.EXIF, "ImageDescription"), fields.get(Layer.EXIF, "Artist")
    if description is None or artist is None:
        return None
    if not (_SIGNATURE.fullmatch(description.text.strip()) and _UUID.fullmatch(artist.text.strip())):
        return None
    return Claim(tool="Grok (xAI)", where=description.where, extra=(("request id", artist.text.strip()),))
