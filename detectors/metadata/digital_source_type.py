"""IPTC digital source types: what each code says about the use of trained models.

Source: IPTC NewsCodes, http://cv.iptc.org/newscodes/digitalsourcetype/ (2025), including retired codes; C2PA adds
``trainedAlgorithmicData`` and ``empty``; schema.org repeats the vocabulary as IPTCDigitalSourceEnumeration.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from detectors.evidence import Direction


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceType:
    """One code: its meaning in plain words and the proposition it supports."""

    code: str
    meaning: str
    direction: Direction


def _table() -> Mapping[str, SourceType]:
    """Build the vocabulary."""
    ai, not_ai, none = Direction.AI, Direction.NOT_AI, Direction.NONE
    rows = (
        ("trainedAlgorithmicMedia", "made by a trained model", ai),
        ("compositeWithTrainedAlgorithmicMedia", "a picture changed or extended with a trained model", ai),
        ("compositeSynthetic", "a composite with at least one part made by a trained model", ai),
        ("trainedAlgorithmicData", "data made by a trained model", ai),
        ("algorithmicMedia", "made by an algorithm without training data", none),
        ("algorithmicallyEnhanced", "a picture enhanced by an algorithm", none),
        ("dataDrivenMedia", "a rendering of data", none),
        ("virtualRecording", "a recording of a virtual event", none),
        ("screenCapture", "a capture of a screen", none),
        ("composite", "a composite of several elements", none),
        ("softwareImage", "created by software (retired code)", none),
        ("empty", "an empty canvas", none),
        ("digitalCapture", "captured by a digital camera", not_ai),
        ("computationalCapture", "captured by a camera that joins several exposures", not_ai),
        ("negativeFilm", "scanned from a film negative", not_ai),
        ("positiveFilm", "scanned from a film positive", not_ai),
        ("print", "scanned from a print", not_ai),
        ("compositeCapture", "a composite of captured elements", not_ai),
        ("humanEdits", "a picture edited by a person with non-generative tools", not_ai),
        ("minorHumanEdits", "a picture with small edits by a person (retired code)", not_ai),
        ("digitalCreation", "created by a person with non-generative digital tools", not_ai),
        ("digitalArt", "created by a person with digital tools (retired code)", not_ai),
    )
    return MappingProxyType(
        {code.casefold(): SourceType(code=code, meaning=meaning, direction=way) for code, meaning, way in rows}
    )


SOURCE_TYPES: Mapping[str, SourceType] = _table()
"""Case-folded code -> meaning."""
_SCHEMA_SUFFIX = "digitalsource"
_SCHEMA_NAMES = MappingProxyType(
    {
        "compositewithtrainedalgorithmicmedia": "compositewithtrainedalgorithmicmedia",
        "multiframecomputationalcapture": "computationalcapture",
    }
)
_MAX_CODE = 200


def source_type(value: str) -> SourceType | None:
    """Return the source type of a URI, a NewsCode name (``digsrctype:x``), a schema.org name or a bare code.

    None for anything that is not in the vocabulary.
    """
    text = value.strip()[:_MAX_CODE].rstrip("/")
    code = text.rpartition("/")[2].rpartition(":")[2].casefold()
    if code in SOURCE_TYPES:
        return SOURCE_TYPES[code]
    stem = code.removesuffix(_SCHEMA_SUFFIX)
    return SOURCE_TYPES.get(_SCHEMA_NAMES.get(stem, stem)) if stem != code else None
