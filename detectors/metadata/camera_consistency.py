"""Do the camera's own statements fit the file? Differences show editing or a transplanted block; they prove nothing.

Compared: recorded pixel size against the frame, capture time against file time, EXIF beside a JFIF header and standard
tables (a camera writes neither), and whether the block says "camera" at all.
"""

from __future__ import annotations

from detectors.evidence import Observation
from detectors.metadata.fields import EmbeddedFields, Layer
from detectors.metadata.jpeg_structure import JPEGFacts, describe_tables
from detectors.metadata.software import camera_name, editor_name


def compare_camera(fields: EmbeddedFields, size: tuple[int, int], facts: JPEGFacts | None) -> list[Observation]:
    """Return what does and does not fit, for a file whose EXIF names a camera; an empty list for others.

    Args:
        fields: texts of the file.
        size: stored (width, height) in pixels.
        facts: structure of a JPEG, or None for other formats.
    """
    camera = camera_name(fields)
    if camera is None:
        return []
    lines: list[Observation] = []
    recorded = _number(fields, "PixelXDimension"), _number(fields, "PixelYDimension")
    if all(recorded) and set(recorded) != set(size):
        lines.append(
            _line("size", f"the camera recorded {recorded[0]}x{recorded[1]}, the file has {size[0]}x{size[1]}")
        )
    taken, written = fields.get(Layer.EXIF, "DateTimeOriginal"), fields.get(Layer.EXIF, "DateTime")
    if taken is not None and written is not None and taken.text != written.text:
        lines.append(_line("time", "the file was written at another time than the picture was taken"))
    software = fields.get(Layer.EXIF, "Software")
    editor = editor_name(software.text) if software is not None else None
    if editor is not None:
        lines.append(_line("software", f"an editor ({editor}) is named beside the camera"))
    if facts is not None:
        if "JFIF header" in facts.blocks:
            lines.append(_line("header", "a JFIF header stands beside the camera's EXIF: saved again by software"))
        tables = describe_tables(facts)
        if tables is not None and not tables.startswith("own"):
            lines.append(_line("tables", f"{tables}: saved again by software, or a camera that uses these tables"))
    else:
        lines.append(_line("format", "cameras write JPEG, HEIF or raw files; this one was converted"))
    return lines or [Observation(name="camera statements", value="nothing contradicts them")]


def _line(what: str, text: str) -> Observation:
    """Return one comparison as an observation."""
    return Observation(name=f"camera statements, {what}", value=text)


def _number(fields: EmbeddedFields, key: str) -> int:
    """Return an EXIF number, 0 when it is missing or not a plain number."""
    found = fields.get(Layer.EXIF, key)
    return int(found.text) if found is not None and found.text.isdecimal() and len(found.text) < 10 else 0
