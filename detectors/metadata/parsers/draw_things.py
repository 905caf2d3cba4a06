"""Draw Things: JSON with short keys (``c``, ``uc``, ``v2``) as UserComment in EXIF or XMP.

Source: Draw Things wiki and exported files of 2023-2025 (format only); the creator tool says ``Draw Things``.
"""

from __future__ import annotations

from detectors.metadata.fields import EmbeddedFields, Layer
from detectors.metadata.json_values import extras, first_text
from detectors.metadata.parsers.claim import Claim

_SLOTS = ((Layer.XMP, "exif:UserComment"), (Layer.EXIF, "UserComment"), (Layer.TEXT_CHUNK, "UserComment"))
_KEYS = {"c", "model", "sampler", "seed", "steps"}


def parse_draw_things(fields: EmbeddedFields) -> Claim | None:
    """Return a Draw Things record, or None."""
    for found in fields.select(_SLOTS):
        record = found.record
        if record is None or not record.keys() >= _KEYS:
            continue
        return Claim(
            tool="Draw Things",
            where=found.where,
            model=first_text(record, "model"),
            prompt=first_text(record, "c"),
            negative_prompt=first_text(record, "uc"),
            seed=first_text(record, "seed"),
            steps=first_text(record, "steps"),
            sampler=first_text(record, "sampler"),
            cfg=first_text(record, "scale"),
            size=first_text(record, "size"),
            extra=extras(record, "strength", "seed_mode", "shift"),
        )
    return None
