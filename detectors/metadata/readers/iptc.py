"""IPTC-IIM records, plain or inside Photoshop image resource blocks.

Source: IPTC-NAA Information Interchange Model 4.2, chapters 1 (1:90), 3 and 6; Adobe Photoshop File Formats
Specification, "Image Resource Blocks" (0x0404).
"""

from __future__ import annotations

from detectors.metadata.fields import FieldCollector, Layer
from detectors.metadata.text import decode_text

MAX_DATASETS = 512
"""Records per block: newsrooms write 20-60."""
MAX_RESOURCES = 256
"""Photoshop resource blocks per file: Photoshop writes 20-40."""
_IIM_RESOURCE = 0x0404
DATASETS = {
    5: "ObjectName",
    15: "Category",
    40: "SpecialInstructions",
    55: "DateCreated",
    65: "OriginatingProgram",
    70: "ProgramVersion",
    80: "By-line",
    85: "By-lineTitle",
    105: "Headline",
    110: "Credit",
    115: "Source",
    116: "CopyrightNotice",
    120: "Caption-Abstract",
    122: "Writer-Editor",
}
"""Datasets of record 2 that are read. Source: IIM 4.2, chapter 6."""


def read_photoshop(blob: bytes, where: str, out: FieldCollector) -> None:
    """Collect the IPTC record of a Photoshop image resource block (JPEG APP13 after its identifier)."""
    at = 0
    for _ in range(MAX_RESOURCES):
        if blob[at : at + 4] != b"8BIM" or at + 12 > len(blob):
            return
        kind = int.from_bytes(blob[at + 4 : at + 6], "big")
        name = 1 + blob[at + 6]
        at += 6 + name + name % 2
        size = int.from_bytes(blob[at : at + 4], "big")
        at += 4
        if at + size > len(blob):
            out.fail(where, "truncated image resource")
            return
        if kind == _IIM_RESOURCE:
            read_iim(blob[at : at + size], f"{where} IPTC", out)
        at += size + size % 2


def read_iim(blob: bytes, where: str, out: FieldCollector) -> None:
    """Collect the known datasets of an IIM record."""
    if not out.admit(Layer.IPTC, where):
        return
    at = 0
    for _ in range(MAX_DATASETS):
        if at + 5 > len(blob) or blob[at] != 0x1C:
            return
        record, dataset = blob[at + 1], blob[at + 2]
        size = int.from_bytes(blob[at + 3 : at + 5], "big")
        at += 5
        if size & 0x8000:
            width = size & 0x7FFF
            if width > 4:
                out.fail(where, "extended dataset with an impossible length")
                return
            size = int.from_bytes(blob[at : at + width], "big")
            at += width
        if at + size > len(blob):
            out.fail(where, "truncated dataset")
            return
        name = DATASETS.get(dataset)
        if record == 2 and name is not None:
            out.add(Layer.IPTC, name, decode_text(blob[at : at + size]).strip("\x00 "), f"{where} {name}")
        at += size
