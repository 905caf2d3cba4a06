"""Safe ways to take texts and numbers out of untrusted JSON: total functions, no recursion, nothing evaluated."""

from __future__ import annotations

import json

MAX_EXTRA = 24
"""Further settings kept per record; the rest stays in the file."""


MAX_CONTAINERS = 100_000
"""Objects and arrays per text: the largest handed workflow (72 kB) has 2,700; millions of empty arrays cost seconds."""


def parse_json(text: str) -> object:
    """Return the JSON value of a text, or None when it is not JSON, has too many parts or nests too deeply.

    The length is bounded by the collector, the depth by the interpreter's recursion limit (1,000 levels), which the C
    scanner checks; integers beyond 4,300 digits are refused by Python itself.
    """
    if text.count("[") + text.count("{") > MAX_CONTAINERS:
        return None
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
