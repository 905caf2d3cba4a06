"""What a tool says about how it made a picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from detectors.metadata.fields import EmbeddedFields


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
