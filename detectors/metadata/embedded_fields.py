"""Evidence from descriptive metadata: declared source type, AIGC label, software and camera fields.

A declared source type or label supports what it says, in either direction; software and camera names are shown but
weigh nothing by themselves. Nothing here is conclusive: all of it is text that anyone can write.
"""

from __future__ import annotations

from detectors.evidence import Direction, Evidence, Family, Grade, Observation, Technique
from detectors.metadata.aigc_block import LABELS, AIGCBlock, find_aigc
from detectors.metadata.digital_source_type import SourceType, source_type
from detectors.metadata.fields import EmbeddedFields, Layer
from detectors.metadata.readers.container import read_embedded_fields
from detectors.metadata.software import camera_name, editor_name
from detectors.metadata.text import visible
from detectors.upload import Upload

_SOURCE_TYPE_SLOTS = (
    (Layer.XMP, "Iptc4xmpExt:DigitalSourceType"),
    (Layer.XMP, "Iptc4xmpExt:DigitalSourcefileType"),
    (Layer.XMP, "Iptc4xmpCore:DigitalSourceType"),
)
_SOFTWARE_SLOTS = (
    (Layer.EXIF, "Software"),
    (Layer.EXIF, "ProcessingSoftware"),
    (Layer.EXIF, "ImageEditingSoftware"),
    (Layer.XMP, "xmp:CreatorTool"),
    (Layer.IPTC, "OriginatingProgram"),
    (Layer.TEXT_CHUNK, "Software"),
)
_SHORT = 200
"""Characters shown of each value."""


class EmbeddedFieldsDetector:
    """Reads what a file says about its own origin in the standard descriptive fields."""

    id = "metadata.embedded_fields"
    version = "1"
    family = Family.METADATA
    technique = Technique.METADATA
    time_budget_s = 3.0

    def examine(self, upload: Upload) -> Evidence:
        """Return supporting evidence when the file declares how it was made, else neutral evidence."""
        return self.weigh(read_embedded_fields(upload.data))

    def weigh(self, fields: EmbeddedFields) -> Evidence:
        """Return the evidence in a set of fields."""
        observations: list[Observation] = []
        said: list[tuple[Direction, str]] = []
        _look_at_source_types(fields, observations, said)
        block = find_aigc(fields)
        if block is not None:
            _look_at_aigc(block, observations, said)
        _look_at_software(fields, observations)
        observations += [
            Observation(name="present but unreadable", value=note.reason, where=note.where)
            for note in fields.unreadable
        ]
        direction = next(
            (way for way in (Direction.AI, Direction.NOT_AI) if way in [d for d, _ in said]), Direction.NONE
        )
        return Evidence(
            id=self.id,
            version=self.version,
            family=self.family,
            technique=self.technique,
            grade=Grade.NEUTRAL if direction is Direction.NONE else Grade.SUPPORTING,
            direction=direction,
            reason=_reason(direction, said),
            observations=tuple(observations),
        )


def _look_at_source_types(
    fields: EmbeddedFields, observations: list[Observation], said: list[tuple[Direction, str]]
) -> None:
    """Add every declared source type; an unknown code is shown, not weighed."""
    seen: set[str] = set()
    for found in fields.select(_SOURCE_TYPE_SLOTS):
        if found.text in seen:
            continue
        seen.add(found.text)
        kind: SourceType | None = source_type(found.text)
        value = f"{kind.code}: {kind.meaning}" if kind else f"{visible(found.text, limit=_SHORT)}: not a known code"
        observations.append(Observation(name="digital source type", value=value, where=found.where))
        if kind is not None and kind.direction is not Direction.NONE:
            said.append((kind.direction, f"that it is {kind.meaning}"))


def _look_at_aigc(block: AIGCBlock, observations: list[Observation], said: list[tuple[Direction, str]]) -> None:
    """Add the AIGC block with its tier."""
    if block.label is None:
        observations.append(
            Observation(name="AIGC label", value="present but unreadable", where=block.where),
        )
        return
    meaning = LABELS[block.label]
    observations.append(Observation(name="AIGC label", value=f"{block.label}: {meaning}", where=block.where))
    observations += [
        Observation(name=f"AIGC {name}", value=visible(value, limit=_SHORT), where=block.where)
        for name, value in block.values
        if name != "Label"
    ]
    said.append((Direction.AI, f"in its AIGC label that it {meaning}"))


def _look_at_software(fields: EmbeddedFields, observations: list[Observation]) -> None:
    """Add software and camera names, each value once; they weigh nothing."""
    seen: set[str] = set()
    for found in fields.select(_SOFTWARE_SLOTS):
        if found.text in seen:
            continue
        seen.add(found.text)
        editor = editor_name(found.text)
        shown = visible(found.text, limit=_SHORT)
        value = f"{shown} (editor: {editor})" if editor else shown
        observations.append(Observation(name="software", value=value, where=found.where))
    camera = camera_name(fields)
    if camera is not None:
        observations.append(Observation(name="camera named", value=visible(camera, limit=_SHORT), where="EXIF"))


def _reason(direction: Direction, said: list[tuple[Direction, str]]) -> str:
    """Return the one sentence for the verdict."""
    if direction is Direction.NONE:
        return "The file's descriptive fields do not say how it was made."
    text = next(text for way, text in said if way is direction)
    tail = " Another field says otherwise." if len({way for way, _ in said}) > 1 else ""
    return f"The file's metadata states {text}; anyone could have written that.{tail}"
