"""InvokeAI's three generations of records: ``invokeai_metadata`` (3+), ``sd-metadata`` (1.15-2.3), ``Dream`` (1.x).

Source: InvokeAI invokeai/app/invocations/metadata.py (CoreMetadata) and docs "Image metadata" of 2.x (format only).
"""

from __future__ import annotations

import re

from detectors.metadata.fields import EmbeddedFields, MetadataField
from detectors.metadata.json_values import as_list, as_object, as_text, extras, first_text, size_of
from detectors.metadata.parsers.claim import Claim

_TOOL = "InvokeAI"
_NEGATIVE = re.compile(r"\[([^\[\]]*)\]")
_DREAM = re.compile(r'^\s*"(.*)"\s+(-.*)$', re.DOTALL)
_FLAGS = re.compile(r"(?:^|\s)-([sSWHCA])\s*(\S+)")
_FLAG_NAMES = {"s": "steps", "S": "seed", "W": "width", "H": "height", "C": "cfg", "A": "sampler"}


def parse_invokeai(fields: EmbeddedFields) -> Claim | None:
    """Return the newest InvokeAI record in the file, or None."""
    for key, reader in (("invokeai_metadata", _current), ("sd-metadata", _second), ("Dream", _first)):
        found = fields.named(key)
        claim = reader(found) if found is not None else None
        if claim is not None:
            return claim
    graph = fields.named("invokeai_graph") or fields.named("invokeai_workflow")
    if graph is not None and graph.record is not None:
        return Claim(tool=_TOOL, where=graph.where)
    return None


def _current(found: MetadataField) -> Claim | None:
    """Read ``invokeai_metadata``."""
    record = found.record
    if not record:
        return None
    model = record.get("model")
    name = first_text(as_object(model), "model_name", "name", "key") or as_text(model)
    return Claim(
        tool=_TOOL,
        where=found.where,
        model=name,
        prompt=first_text(record, "positive_prompt"),
        negative_prompt=first_text(record, "negative_prompt"),
        seed=first_text(record, "seed"),
        steps=first_text(record, "steps"),
        sampler=first_text(record, "scheduler"),
        cfg=first_text(record, "cfg_scale", "guidance"),
        size=size_of(record),
        extra=extras(record, "app_version", "generation_mode", "clip_skip", "strength"),
    )


def _second(found: MetadataField) -> Claim | None:
    """Read ``sd-metadata``."""
    record = found.record
    if not record or "image" not in record:
        return None
    image = as_object(record.get("image"))
    prompts = image.get("prompt")
    first = as_object(next(iter(as_list(prompts)), None))
    prompt, negative = _split_negative(first_text(first, "prompt") or as_text(prompts) or "")
    return Claim(
        tool=_TOOL,
        where=found.where,
        model=first_text(record, "model_weights", "model"),
        prompt=prompt,
        negative_prompt=negative,
        seed=first_text(image, "seed"),
        steps=first_text(image, "steps"),
        sampler=first_text(image, "sampler"),
        cfg=first_text(image, "cfg_scale"),
        size=size_of(image),
        extra=extras(record, "app_id", "app_version", "model_hash"),
    )


def _first(found: MetadataField) -> Claim | None:
    """Read a ``Dream`` command line: the quoted prompt, then one-letter flags."""
    match = _DREAM.match(found.text[:100_000])
    if match is None:
        return None
    prompt, negative = _split_negative(match[1])
    flags = {_FLAG_NAMES[flag]: value for flag, value in _FLAGS.findall(match[2])}
    if not flags:
        return None
    width, height = flags.get("width"), flags.get("height")
    return Claim(
        tool=_TOOL,
        where=found.where,
        prompt=prompt,
        negative_prompt=negative,
        seed=flags.get("seed"),
        steps=flags.get("steps"),
        sampler=flags.get("sampler"),
        cfg=flags.get("cfg"),
        size=f"{width}x{height}" if width and height else None,
    )


def _split_negative(text: str) -> tuple[str | None, str | None]:
    """Split a prompt whose negative parts stand in square brackets."""
    negative = ", ".join(part.strip() for part in _NEGATIVE.findall(text[:100_000]) if part.strip())
    positive = _NEGATIVE.sub("", text[:100_000]).strip()
    return positive or None, negative or None
