"""SwarmUI: JSON with ``sui_image_params``. Source: SwarmUI docs/Image Metadata Format (format only)."""

from __future__ import annotations

from detectors.metadata.fields import EmbeddedFields, Layer
from detectors.metadata.json_values import as_object, extras, first_text, size_of
from detectors.metadata.parsers.claim import Claim

_SLOTS = (
    (Layer.TEXT_CHUNK, "parameters"),
    (Layer.HIDDEN, "parameters"),
    (Layer.EXIF, "UserComment"),
    (Layer.EXIF, "ImageDescription"),
    (Layer.EXIF, "Model"),
    (Layer.COMMENT, "Comment"),
    (Layer.XMP, "exif:UserComment"),
)


def parse_swarmui(fields: EmbeddedFields) -> Claim | None:
    """Return a SwarmUI record, or None."""
    for found in fields.select(_SLOTS):
        if "sui_image_params" not in found.text:
            continue
        record = found.record
        if record is None or not isinstance(record.get("sui_image_params"), dict):
            continue
        settings = as_object(record["sui_image_params"])
        return Claim(
            tool="SwarmUI",
            where=found.where,
            model=first_text(settings, "model"),
            prompt=first_text(settings, "prompt"),
            negative_prompt=first_text(settings, "negativeprompt"),
            seed=first_text(settings, "seed"),
            steps=first_text(settings, "steps"),
            sampler=first_text(settings, "sampler", "comfyuisampler", "autowebuisampler"),
            cfg=first_text(settings, "cfgscale"),
            size=size_of(settings),
            extra=extras(settings, "swarm_version", "scheduler", "comfyuischeduler", "aspectratio")
            + extras(as_object(record.get("sui_extra_data")), "date"),
        )
    return None
