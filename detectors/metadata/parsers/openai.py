"""OpenAI Labs (DALL-E 2): EXIF MakerNote and UserComment that name the service.

DALL-E 3, gpt-image and Sora write content credentials only; ``credential_names.py`` reads the names in them.
Source: files downloaded from labs.openai.com in 2022-2023, measured on the handed files.
"""

from __future__ import annotations

from detectors.metadata.fields import EmbeddedFields, Layer
from detectors.metadata.parsers.claim import Claim

_COMMENT = "Made with OpenAI Labs"
_NOTE = "OpenAI--ImageGeneration--"


def parse_openai_labs(fields: EmbeddedFields) -> Claim | None:
    """Return the record of OpenAI Labs, or None."""
    comment, note = fields.get(Layer.EXIF, "UserComment"), fields.get(Layer.EXIF, "MakerNote")
    if comment is not None and comment.text.strip() == _COMMENT:
        found = comment
    elif note is not None and note.text.startswith(_NOTE):
        found = note
    else:
        return None
    generation = note.text.removeprefix(_NOTE) if note is not None and note.text.startswith(_NOTE) else None
    return Claim(
        tool="DALL-E 2 (OpenAI Labs)",
        where=found.where,
        model="DALL-E 2",
        extra=(("generation id", generation),) if generation else (),
    )
