"""Detection policies: which detectors run, how answers are joined; YAML in, checked frozen model out."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from detectors.evidence import Family
from guard.strict_yaml import read_strict


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError("must be a finite number")
    return value


Nats = Annotated[float, Field(gt=0, le=20), AfterValidator(_finite)]
"""A log-likelihood ratio in nats, 0 < x <= 20."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FusionPolicy(_Strict):
    """How calibrated evidence is summed and where the levels begin."""

    likely_llr_nats: Nats
    undetermined_llr_nats: Nats
    family_caps_nats: dict[Family, Nats]

    @model_validator(mode="after")
    def _in_order(self) -> FusionPolicy:
        if self.undetermined_llr_nats > self.likely_llr_nats:
            raise ValueError("undetermined_llr_nats must not exceed likely_llr_nats")
        missing = [family.value for family in Family if family not in self.family_caps_nats]
        if missing:
            raise ValueError(f"family_caps_nats lacks {', '.join(missing)}")
        return self


class RecognitionPolicy(_Strict):
    """When a picture counts as a copy of a released one."""

    pdq_max_distance: int = Field(ge=0, le=90)
    pdq_min_quality: int = Field(ge=0, le=100)


class KnownMessage(_Strict):
    """A message that a reader of marks looks for, as ``rivagan`` and ``videoseal-256`` need it.

    Attributes:
        detector: id of the reader, e.g. ``watermark.videoseal-256``.
        writer: who embeds it; named in reports.
        bits: the message in hex digits, most significant bit first.
    """

    detector: str = Field(pattern=r"^watermark\.[a-z0-9-]{1,63}$")
    writer: str = Field(min_length=1, max_length=120)
    bits: str = Field(pattern=r"^(?:[0-9a-f]{2}){4,128}$")


class DetectionPolicy(_Strict):
    """One detection policy file.

    Attributes:
        marks: messages that readers of others' marks look for.
    """

    version: Literal[1]
    id: str = Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,63}$")
    detectors: tuple[str, ...] = Field(min_length=1)
    fusion: FusionPolicy
    recognition: RecognitionPolicy
    marks: tuple[KnownMessage, ...] = Field(default=(), max_length=1000)

    @model_validator(mode="after")
    def _no_repeats(self) -> DetectionPolicy:
        if len(set(self.detectors)) != len(self.detectors):
            raise ValueError("a detector is listed twice")
        return self


def load_detection_policy(path: Path) -> tuple[DetectionPolicy, str]:
    """Read and check a policy file.

    Returns:
        The policy and the SHA-256 of the file's exact bytes.

    Raises:
        PolicyError: missing, not YAML, an unknown or missing key, a value out of range.
    """
    return read_strict(path, DetectionPolicy)
