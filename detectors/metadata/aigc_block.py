"""China's implicit label: the ``AIGC`` block of GB 45438-2025, in every place where it is written.

``{"AIGC":{"Label":"1","ContentProducer":"","ProduceID":"","ReservedCode1":"","ContentPropagator":"","PropagateID":"",
"ReservedCode2":""}}``; XMP holds the inner object as the value of ``TC260:AIGC``.
Source: GB 45438-2025 section 5 and annexes E, F; TC260-PG-20258A (XMP namespace).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from detectors.metadata.fields import EmbeddedFields, Layer, MetadataField
from detectors.metadata.json_values import as_object, as_text, parse_object

LABELS: Mapping[str, str] = MappingProxyType(
    {"1": "is AI-generated", "2": "is possibly AI-generated", "3": "is suspected to be AI-generated"}
)
"""The three tiers of ``Label``. Source: GB 45438-2025, annex E."""
FIELDS = (
    "Label",
    "ContentProducer",
    "ProduceID",
    "ReservedCode1",
    "ContentPropagator",
    "PropagateID",
    "ReservedCode2",
)
_SLOTS = (
    (Layer.TEXT_CHUNK, "AIGC"),
    (Layer.XMP, "TC260:AIGC"),
    (Layer.EXIF, "UserComment"),
    (Layer.EXIF, "ImageDescription"),
    (Layer.XMP, "exif:UserComment"),
    (Layer.COMMENT, "Comment"),
    (Layer.TEXT_CHUNK, "Comment"),
)
_OWN_SLOTS = frozenset({(Layer.TEXT_CHUNK, "AIGC"), (Layer.XMP, "TC260:AIGC")})


@dataclass(frozen=True, slots=True, kw_only=True)
class AIGCBlock:
    """An AIGC block.

    Attributes:
        label: ``1``, ``2`` or ``3``; None when missing or of another value (then the block is damaged).
        values: the fields that are present and not empty, in the standard's order.
        where: block and key, for people.
    """

    label: str | None
    values: tuple[tuple[str, str], ...]
    where: str


def find_aigc(fields: EmbeddedFields) -> AIGCBlock | None:
    """Return the first AIGC block, readable ones first, or None."""
    damaged: AIGCBlock | None = None
    for found in fields.select(_SLOTS):
        block = _read(found)
        if block is not None and block.label is not None:
            return block
        damaged = damaged or block
    return _from_properties(fields) or damaged


def _read(found: MetadataField) -> AIGCBlock | None:
    """Read one text; in a place reserved for AIGC, a broken text is still reported as a block without a label."""
    own = (found.layer, found.key) in _OWN_SLOTS
    record = found.record
    if record is None:
        return AIGCBlock(label=None, values=(), where=found.where) if own else None
    inner = record.get("AIGC", record if own or _looks_right(record) else None)
    nested = parse_object(inner) if isinstance(inner, str) else as_object(inner)
    if not nested:
        return AIGCBlock(label=None, values=(), where=found.where) if own or "AIGC" in record else None
    return _block(nested, found.where)


def _looks_right(record: dict[str, object]) -> bool:
    """Return whether an unwrapped object is an AIGC block: its label and a producer or propagator."""
    return "Label" in record and bool({"ContentProducer", "ProduceID", "ContentPropagator"} & record.keys())


def _from_properties(fields: EmbeddedFields) -> AIGCBlock | None:
    """Read the fields where a writer made each an XMP property of its own."""
    found = {name: field for name in FIELDS if (field := fields.get(Layer.XMP, f"TC260:{name}")) is not None}
    if "Label" not in found:
        return None
    return _block({name: field.text for name, field in found.items()}, found["Label"].where)


def _block(record: dict[str, object], where: str) -> AIGCBlock:
    """Return the block with the standard's fields in order."""
    texts = {name: text for name in FIELDS if (text := as_text(record.get(name))) is not None}
    label = texts.get("Label")
    return AIGCBlock(label=label if label in LABELS else None, values=tuple(texts.items()), where=where)
