"""What a tool says about how it made a picture, and safe ways to take it out of untrusted JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Protocol

from detectors.metadata.fields import EmbeddedFields

MAX_EXTRA = 24
"""Further settings kept per claim; the rest stays in the file."""
MAX_NODES = 5_000
"""JSON objects looked at per record: a large ComfyUI workflow has about 500 nodes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One tool's own record of a generation. All texts are untrusted and uncut.

    Attributes:
        tool: the tool, under the name its makers use.
        where: block and key, for people.
        model: checkpoint or model name as recorded.
        seed, steps, sampler, cfg, size: as recorded; size is ``WxH``.
        extra: further named settings.
        forgeable: True for plain text, which anyone can write or copy into a file.
    """

    tool: str
    where: str
    model: str | None = None
    prompt: str | None = None
    negative_prompt: str | None = None
    seed: str | None = None
    steps: str | None = None
    sampler: str | None = None
    cfg: str | None = None
    size: str | None = None
    extra: tuple[tuple[str, str], ...] = ()
    forgeable: bool = True


class TraceParser(Protocol):
    """Recognises one tool; total: anything it cannot make sense of is None, never an error."""

    def __call__(self, fields: EmbeddedFields) -> Claim | None:
        """Return what the tool recorded, or None."""
        ...


def parse_json(text: str) -> object:
    """Return the JSON value of a text, or None when it is not JSON or nested beyond the interpreter's limit.

    The size is bounded by the collector (MAX_TEXT_BYTES); integers beyond 4300 digits are refused by Python itself.
    """
    try:
        value: object = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value


def parse_object(text: str) -> dict[str, object] | None:
    """Return the JSON object of a text, or None when it is anything else."""
    if not text.lstrip().startswith("{"):
        return None
    value = parse_json(text)
    return value if isinstance(value, dict) else None


def as_object(value: object) -> dict[str, object]:
    """Return a JSON object as it is, anything else as an empty one."""
    return value if isinstance(value, dict) else {}


def as_list(value: object) -> list[object]:
    """Return a JSON array as it is, anything else as an empty one."""
    return value if isinstance(value, list) else []


def as_text(value: object) -> str | None:
    """Return a JSON text or number as text; None for empty text, null, objects and arrays."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value.strip() or None
    if isinstance(value, int | float):
        return f"{value:g}" if isinstance(value, float) else str(value)
    return None


def first_text(record: dict[str, object], *keys: str) -> str | None:
    """Return the first of several keys that holds a text or number."""
    return next((text for key in keys if (text := as_text(record.get(key))) is not None), None)


def size_of(record: dict[str, object], width: str = "width", height: str = "height") -> str | None:
    """Return ``WxH`` from two keys, or None when either is missing."""
    wide, high = as_text(record.get(width)), as_text(record.get(height))
    return f"{wide}x{high}" if wide and high else None


def extras(record: dict[str, object], *keys: str) -> tuple[tuple[str, str], ...]:
    """Return the named settings that are present, as (name, text)."""
    found = [(key, text) for key in keys if (text := as_text(record.get(key))) is not None]
    return tuple(found[:MAX_EXTRA])
