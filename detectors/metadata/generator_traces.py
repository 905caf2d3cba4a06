"""Evidence from the records that generators write into their own files.

::

    upload.data -> (1) read_embedded_fields -> (2) stealth text from pixels -> (3) parsers -> claims -> (4) Evidence

All of it is text that anyone can write, copy or remove: it supports, it never proves, and its absence says nothing.
Names inside content credentials are such text too, unless the credentials were signed for other bytes: then they
speak of another picture, or of an earlier one, and ``metadata.credentials`` reports the conflict.
"""

from __future__ import annotations

from detectors.evidence import Direction, Evidence, Family, Grade, Observation, Technique
from detectors.metadata.fields import EmbeddedFields, FieldCollector, Layer, Unreadable
from detectors.metadata.parsers.claim import Claim, TraceParser
from detectors.metadata.parsers.registry import DEFAULT_PARSERS
from detectors.metadata.readers.container import read_embedded_fields
from detectors.metadata.readers.stealth import read_stealth
from detectors.metadata.text import visible
from detectors.upload import Upload
from guard.interfaces import CredentialReader
from guard.provenance.describe import HARD_BINDING_MISMATCH

MAX_OBSERVATIONS = 80
"""Lines of a report: two full records and their extra settings."""
_SHORT = 300
"""Characters shown of settings other than prompts."""


class GeneratorTracesDetector:
    """Names the generator whose record a file carries, with its prompt and settings."""

    id = "metadata.generator_traces"
    version = "1"
    family = Family.METADATA
    technique = Technique.METADATA
    time_budget_s = 3.0

    def __init__(
        self, parsers: tuple[TraceParser, ...] = DEFAULT_PARSERS, *, credentials: CredentialReader | None = None
    ) -> None:
        """Use these parsers, the most telling first.

        Args:
            parsers: of the tools that are recognised.
            credentials: says whether names inside credentials belong to this file; None takes them as they are.
        """
        self._parsers = parsers
        self._credentials = credentials

    def examine(self, upload: Upload) -> Evidence:
        """Return supporting evidence when a generator is named, else neutral evidence."""
        fields = self._without_transplants(read_embedded_fields(upload.data), upload.data)  # (1)
        hidden = FieldCollector()
        if upload.image.decoded is not None:
            read_stealth(upload.pixels, upload.image.decoded.alpha, hidden)  # (2)
        extra = hidden.result()
        everything = EmbeddedFields(
            fields=fields.fields + extra.fields, unreadable=fields.unreadable + extra.unreadable
        )
        return self.weigh(find_claims(everything, self._parsers), everything.unreadable)  # (3), (4)

    def _without_transplants(self, fields: EmbeddedFields, data: bytes) -> EmbeddedFields:
        """Return the fields without those of credentials that were signed for other bytes than the file's."""
        kept = tuple(field for field in fields.fields if field.layer is not Layer.CREDENTIAL)
        if self._credentials is None or len(kept) == len(fields.fields):
            return fields
        if not HARD_BINDING_MISMATCH & set(self._credentials.read(data).codes):
            return fields
        return EmbeddedFields(fields=kept, unreadable=fields.unreadable)

    def weigh(self, claims: tuple[Claim, ...], unreadable: tuple[Unreadable, ...]) -> Evidence:
        """Return the evidence for a set of claims; the first claim names the generator."""
        observations = [line for claim in claims for line in observe(claim)]
        observations += [
            Observation(name="present but unreadable", value=note.reason, where=note.where) for note in unreadable
        ]
        tools = list(dict.fromkeys(visible(claim.tool, limit=_SHORT) for claim in claims))
        return Evidence(
            id=self.id,
            version=self.version,
            family=self.family,
            technique=self.technique,
            grade=Grade.SUPPORTING if tools else Grade.NEUTRAL,
            direction=Direction.AI if tools else Direction.NONE,
            reason=_reason(tools, damaged=bool(unreadable)),
            generator=tools[0] if tools else None,
            observations=tuple(observations[:MAX_OBSERVATIONS]),
        )


def find_claims(fields: EmbeddedFields, parsers: tuple[TraceParser, ...] = DEFAULT_PARSERS) -> tuple[Claim, ...]:
    """Return what the parsers recognise, in their order; a bare name after a record of the same tool is dropped."""
    claims: list[Claim] = []
    for parser in parsers:
        claim = parser(fields)
        if claim is None:
            continue
        bare = not (claim.prompt or claim.model or claim.seed)
        if not (bare and any(earlier.tool == claim.tool for earlier in claims)):
            claims.append(claim)
    return tuple(claims)


def observe(claim: Claim) -> list[Observation]:
    """Return a claim as lines for people: cut, with invisible characters shown as escapes."""
    lines = [Observation(name="tool", value=visible(claim.tool, limit=_SHORT), where=claim.where)]
    if claim.prompt:
        lines.append(Observation(name="prompt", value=visible(claim.prompt), where=claim.where))
    if claim.negative_prompt:
        lines.append(Observation(name="negative prompt", value=visible(claim.negative_prompt), where=claim.where))
    settings = (
        ("model", claim.model),
        ("seed", claim.seed),
        ("steps", claim.steps),
        ("sampler", claim.sampler),
        ("guidance", claim.cfg),
        ("size", claim.size),
        *claim.extra,
    )
    lines += [
        Observation(name=visible(name, limit=60), value=visible(value, limit=_SHORT), where=claim.where)
        for name, value in settings
        if value
    ]
    return lines


def _reason(tools: list[str], *, damaged: bool) -> str:
    """Return the one sentence for the verdict."""
    if not tools:
        tail = " Some of it could not be read." if damaged else ""
        return f"No generator has left a record in the file's metadata, or it was removed.{tail}"
    named = tools[0] if len(tools) == 1 else f"{', '.join(tools[:-1])} and {tools[-1]}"
    return f"The file's metadata names {named}. Such text supports the finding but anyone could have written it."
