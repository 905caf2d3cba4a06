"""Fooocus and its forks: a JSON record (scheme ``fooocus``) or an infotext (scheme ``a1111``) with a scheme marker.

PNG: ``parameters`` and ``fooocus_scheme``; JPEG and WebP: EXIF UserComment, the scheme in MakerNote, the version in
Software. Older versions wrote ``Comment`` JSON with title-case keys. RuinedFooocus marks itself in ``software``.
Source: Fooocus modules/meta_parser.py and modules/private_logger.py (format only).
"""

from __future__ import annotations

import re
from dataclasses import replace

from detectors.metadata.fields import EmbeddedFields, Layer, MetadataField
from detectors.metadata.json_values import as_list, as_text, extras, first_text
from detectors.metadata.parsers.claim import Claim
from detectors.metadata.parsers.infotext import read_infotext

_SLOTS = (
    (Layer.TEXT_CHUNK, "parameters"),
    (Layer.HIDDEN, "parameters"),
    (Layer.EXIF, "UserComment"),
    (Layer.TEXT_CHUNK, "Comment"),
)
_RESOLUTION = re.compile(r"\(?\s*(\d{1,6})\s*[,x\u00d7]\s*(\d{1,6})\s*\)?")


def parse_fooocus(fields: EmbeddedFields) -> Claim | None:
    """Return a Fooocus record, or None."""
    scheme = fields.named("fooocus_scheme") or fields.get(Layer.EXIF, "MakerNote")
    in_exif = scheme is not None and scheme.layer is Layer.EXIF
    marked = scheme is not None and scheme.text.strip() in ("fooocus", "a1111")
    if in_exif:  # a maker note of any camera may say anything; the version in Software settles it
        marked = marked and _names_fooocus(fields.get(Layer.EXIF, "Software"))
    for found in fields.select(_SLOTS):
        record = found.record
        if record is not None and (marked or _looks_right(record)):
            return _claim(found, {key.casefold().replace(" ", "_"): value for key, value in record.items()})
        if record is None and marked:
            claim = read_infotext(found)
            if claim is not None:
                return replace(claim, tool="Fooocus")
    return None


def _names_fooocus(software: MetadataField | None) -> bool:
    """Return whether the Software tag names Fooocus."""
    return software is not None and "fooocus" in software.text[:200].casefold()


def _looks_right(record: dict[str, object]) -> bool:
    """Return whether a record without a marker has the keys only Fooocus writes."""
    keys = {key.casefold().replace(" ", "_") for key in record}
    version = f"{as_text(record.get('version')) or ''} {as_text(record.get('software')) or ''}".casefold()
    return "fooocus" in version or ({"base_model", "sharpness"} <= keys and bool({"styles", "performance"} & keys))


def _claim(found: MetadataField, record: dict[str, object]) -> Claim:
    """Read the JSON record; keys are folded to lower case with underscores, as older versions wrote title case."""
    version = first_text(record, "software", "version") or ""
    negative = record.get("full_negative_prompt")
    full = [text for text in map(as_text, as_list(record.get("full_prompt"))) if text]
    resolution = _RESOLUTION.search((first_text(record, "resolution") or "")[:64])
    size = f"{resolution[1]}x{resolution[2]}" if resolution else None
    if size is None and (width := first_text(record, "width")) and (height := first_text(record, "height")):
        size = f"{width}x{height}"
    return Claim(
        tool="RuinedFooocus" if "ruined" in version.casefold() else "Fooocus",
        where=found.where,
        model=first_text(record, "base_model", "base_model_name"),
        prompt=first_text(record, "prompt") or next(iter(full), None),
        negative_prompt=first_text(record, "negative_prompt", "negative")
        or next((text for text in map(as_text, as_list(negative)) if text), None),
        seed=first_text(record, "seed"),
        steps=first_text(record, "steps"),
        sampler=first_text(record, "sampler", "sampler_name"),
        cfg=first_text(record, "guidance_scale", "cfg"),
        size=size,
        extra=extras(
            record, "version", "performance", "styles", "scheduler", "sharpness", "refiner_model", "base_model_hash"
        ),
    )
