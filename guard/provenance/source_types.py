"""Digital source types: the vocabulary that says how a picture came to be.

c2pa-rs signs any text in ``digitalSourceType`` (measured: "banana" is Trusted), so the writer checks against this list
and the reader classifies by it.

Source: IPTC NewsCodes "Digital Source Type" (http://cv.iptc.org/newscodes/digitalsourcetype/), with the retired terms
that old files carry; C2PA specification 2.4 section 18.15 for the two c2pa.org terms; the grouping into generative and
possibly generative is that of the C2PA conformance programme's signal rubric (asset-rubric-signals-local, 2026-08-06).
"""

from __future__ import annotations

from guard.errors import RequestError

IPTC = "http://cv.iptc.org/newscodes/digitalsourcetype/"
C2PA = "http://c2pa.org/digitalsourcetype/"

TRAINED_ALGORITHMIC_MEDIA = IPTC + "trainedAlgorithmicMedia"
"""Made by a generative model."""
COMPOSITE_WITH_TRAINED_ALGORITHMIC_MEDIA = IPTC + "compositeWithTrainedAlgorithmicMedia"
"""Edited with a generative model (in-painting, image-to-image)."""
ALGORITHMIC_MEDIA = IPTC + "algorithmicMedia"
"""Made by an algorithm that was not trained on anything; a composited label."""

KNOWN = frozenset(
    IPTC + term
    for term in (
        "algorithmicMedia",
        "algorithmicallyEnhanced",
        "composite",
        "compositeCapture",
        "compositeSynthetic",
        "compositeWithTrainedAlgorithmicMedia",
        "computationalCapture",
        "dataDrivenMedia",
        "digitalArt",  # retired, now digitalCreation
        "digitalCapture",
        "digitalCreation",
        "humanEdits",
        "minorHumanEdits",  # retired, now humanEdits
        "negativeFilm",
        "positiveFilm",
        "print",
        "screenCapture",
        "softwareImage",  # retired
        "trainedAlgorithmicMedia",
        "virtualRecording",
    )
) | {C2PA + "empty", C2PA + "trainedAlgorithmicData"}

GENERATIVE = frozenset(
    {
        TRAINED_ALGORITHMIC_MEDIA,
        COMPOSITE_WITH_TRAINED_ALGORITHMIC_MEDIA,
        IPTC + "compositeSynthetic",
        C2PA + "trainedAlgorithmicData",
    }
)
"""Types that state the use of generative AI."""


def normalise(source_type: str) -> str:
    """Return a source type in its listed spelling: files in the wild also write ``https`` and a trailing slash."""
    text = source_type.strip().rstrip("/")
    return "http://" + text.removeprefix("https://") if text.startswith("https://") else text


def full_source_type(name: str) -> str:
    """Return the URI of a term given alone, such as ``digitalCapture``; a URI is returned as it is."""
    if "/" in name:
        return name
    return next((known for known in KNOWN if known.rpartition("/")[2] == name), name)


def checked(source_type: str) -> str:
    """Return the normalised type. Raises RequestError when it is on neither list."""
    found = normalise(source_type)
    if found not in KNOWN:
        raise RequestError(
            f"The digital source type {source_type!r} is unknown; expected one of the IPTC NewsCodes.",
            next_step=f"Use for instance {TRAINED_ALGORITHMIC_MEDIA}.",
        )
    return found
