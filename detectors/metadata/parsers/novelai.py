"""NovelAI: PNG texts Title, Description, Software, Source and a JSON ``Comment``, also hidden in pixels.

Source: NovelAI novelai-image-metadata repository and its v3/v4 files (format only).
"""

from __future__ import annotations

from detectors.metadata.fields import EmbeddedFields, Layer
from detectors.metadata.json_values import as_object, extras, first_text, parse_object, size_of
from detectors.metadata.parsers.claim import Claim


def parse_novelai(fields: EmbeddedFields) -> Claim | None:
    """Return a NovelAI record, or None."""
    software = fields.named("Software") or fields.get(Layer.EXIF, "Software")
    comment = fields.named("Comment") or fields.get(Layer.EXIF, "UserComment")
    record = comment.record if comment is not None else None
    texts: dict[str, object] = {}
    if record is not None and isinstance(record.get("Comment"), str):
        texts = record  # WebP: the whole set of texts as one JSON object
        record = parse_object(str(record["Comment"]))
    named = software is not None and software.text.strip().casefold() == "novelai"
    shaped = record is not None and (
        "v4_prompt" in record
        or ("uc" in record and "scale" in record and "sampler" in record and "signed_hash" in record)
    )
    if not (named or shaped):
        return None
    record = record or {}
    source, description = fields.named("Source"), fields.named("Description")
    holder = comment if comment is not None else software
    caption = as_object(as_object(record.get("v4_prompt")).get("caption"))
    negative = as_object(as_object(record.get("v4_negative_prompt")).get("caption"))
    return Claim(
        tool="NovelAI",
        where=holder.where if holder is not None else "",
        model=source.text.strip() if source is not None else first_text(texts, "Source"),
        prompt=first_text(record, "prompt")
        or first_text(caption, "base_caption")
        or (description.text.strip() if description is not None else None),
        negative_prompt=first_text(record, "uc") or first_text(negative, "base_caption"),
        seed=first_text(record, "seed"),
        steps=first_text(record, "steps"),
        sampler=first_text(record, "sampler"),
        cfg=first_text(record, "scale"),
        size=size_of(record),
        extra=extras(record, "request_type", "strength", "noise", "noise_schedule", "cfg_rescale", "n_samples"),
    )
