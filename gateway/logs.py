"""Structured logs on standard error: one JSON object a line; never a prompt, an image or a key.

A processor drops every key that could carry content, so that a careless call cannot leak it either.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

CONTENT_KEYS = frozenset(
    {"prompt", "prompt_2", "negative_prompt", "text", "body", "data", "image", "mask", "key", "token", "authorization"}
)
"""Names under which content or secrets might be passed by mistake."""


def drop_content(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace the value of every content key by a note of its length."""
    for name in CONTENT_KEYS & event.keys():
        value = event[name]
        event[name] = f"<withheld, {len(value)} long>" if hasattr(value, "__len__") else "<withheld>"
    return event


def configure(level: str) -> None:
    """Send logs of at least ``level`` (debug, info, warning, error) to standard error as JSON lines."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            drop_content,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )
