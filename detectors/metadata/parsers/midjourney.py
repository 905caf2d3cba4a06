"""Midjourney: the prompt with its ``--`` parameters and ``Job ID`` as Description, the job id as XMP DigImageGUID.

Source: files of the website's download button, 2023-2025 (PNG Description and Author; XMP with DigImageGUID and
DigitalSourceType), measured on the handed files.
"""

from __future__ import annotations

import re

from detectors.metadata.fields import EmbeddedFields, Layer
from detectors.metadata.parsers.claim import Claim

_SLOTS = (
    (Layer.TEXT_CHUNK, "Description"),
    (Layer.XMP, "dc:description"),
    (Layer.EXIF, "ImageDescription"),
    (Layer.IPTC, "Caption-Abstract"),
)
_UUID = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_JOB = re.compile(rf"Job ID:\s*({_UUID})\s*$")
_PARAMETER = re.compile(r"\s--([a-z]{1,20})(?:\s+((?:(?!\s--).){1,200}?))?(?=\s+--|\s*$)", re.DOTALL)
_MODELS = {"v": "Midjourney v", "version": "Midjourney v", "niji": "Niji "}
MAX_DESCRIPTION = 20_000
"""Characters examined: Midjourney takes about 6,000 in a prompt."""


def parse_midjourney(fields: EmbeddedFields) -> Claim | None:
    """Return a Midjourney record, or None; a text counts only with its job id."""
    for found in fields.select(_SLOTS):
        text = found.text[-MAX_DESCRIPTION:].rstrip()
        job = _JOB.search(text)
        if job is None:
            continue
        body = text[: job.start()]
        parameters = {name: (value or "").strip() for name, value in _PARAMETER.findall(body)}
        start = re.search(r"\s--[a-z]", body)
        model = next((prefix + parameters[key] for key, prefix in _MODELS.items() if parameters.get(key)), None)
        return Claim(
            tool="Midjourney",
            where=found.where,
            model=model,
            prompt=body[: start.start()].strip() if start else body.strip(),
            negative_prompt=parameters.get("no") or None,
            seed=parameters.get("seed") or None,
            extra=(
                ("job id", job[1]),
                *((f"--{key}", value or "on") for key, value in list(parameters.items())[:20] if key != "no"),
            ),
        )
    return None
