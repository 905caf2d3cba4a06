"""Mochi Diffusion: a ``Key: value`` caption in IPTC, XMP or EXIF that ends with ``Generator: Mochi Diffusion``.

Fields are separated by ``; `` (to 5.x) or newlines (``Metadata Version: 2``).
Source: MochiDiffusion Support/SDImage.swift and MetadataCodec.swift (format only).
"""

from __future__ import annotations

import re

from detectors.metadata.fields import EmbeddedFields, Layer
from detectors.metadata.parsers.claim import Claim

_SLOTS = (
    (Layer.IPTC, "Caption-Abstract"),
    (Layer.XMP, "dc:description"),
    (Layer.EXIF, "ImageDescription"),
    (Layer.TEXT_CHUNK, "Description"),
)
_NAMES = (
    "Include in Image|Exclude from Image|Model|Steps|Guidance Scale|Seed|Size|Upscaler|Scheduler|ML Compute Unit|"
    "Starting Image|Input Images|Quality|Metadata Version|Generator|Date"
)
_FIELD = re.compile(rf"(?:^|; |\n)({_NAMES}): ")
MAX_CAPTION = 50_000
"""Characters examined: IPTC captions hold 2,000, XMP ones are free."""


def parse_mochi(fields: EmbeddedFields) -> Claim | None:
    """Return a Mochi Diffusion record, or None."""
    for found in fields.select(_SLOTS):
        text = found.text[:MAX_CAPTION]
        if "Generator: Mochi Diffusion" not in text:
            continue
        marks = list(_FIELD.finditer(text))
        ends = [*(mark.start() for mark in marks[1:]), len(text)]
        record: dict[str, str] = {}
        for mark, end in zip(marks, ends, strict=True):
            record.setdefault(mark[1], text[mark.end() : end].strip().rstrip(";"))
        if not record.get("Generator", "").startswith("Mochi Diffusion"):
            continue
        return Claim(
            tool="Mochi Diffusion",
            where=found.where,
            model=record.get("Model"),
            prompt=record.get("Include in Image"),
            negative_prompt=record.get("Exclude from Image") or None,
            seed=record.get("Seed"),
            steps=record.get("Steps"),
            sampler=record.get("Scheduler"),
            cfg=record.get("Guidance Scale"),
            size=record.get("Size", "").replace(" ", "") or None,
            extra=(("generator", record["Generator"]),),
        )
    return None
