"""The words that every part of a policy is written in: categories, stages, ranges, and strict models."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

MAX_SEVERITY = 7
"""Severities run 0..7. Source: Azure AI Content Safety's full severity scale (0-7), which adopters already know."""


class Category(StrEnum):
    """What a finding can be about.

    Source: the union of the categories of I2P, CoProV2 and T2VSafetyBench with the EU, US and Indian duties on
    intimate imagery, forged documents and impersonation (docs/safety.md).
    """

    SEXUAL = "sexual"
    SEXUAL_MINORS = "sexual_minors"
    VIOLENCE_GORE = "violence_gore"
    HATE = "hate"
    HARASSMENT = "harassment"
    SELF_HARM = "self_harm"
    ILLEGAL_ACTIVITY = "illegal_activity"
    EXTREMISM = "extremism"
    FRAUD_FORGERY = "fraud_forgery"
    POLITICAL_DECEPTION = "political_deception"
    LIKENESS = "likeness"
    SHOCKING = "shocking"
    TRADEMARK_STYLE = "trademark_style"


TUNABLE = tuple(category for category in Category if category is not Category.SEXUAL_MINORS)
"""Categories that a policy must decide about, one by one."""


class Stage(StrEnum):
    """Where a decision is taken."""

    PROMPT = "prompt"
    IMAGE = "image"


Probability: TypeAlias = Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]
Severity: TypeAlias = Annotated[int, Field(ge=0, le=MAX_SEVERITY)]
CheckerID: TypeAlias = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*(\.[a-z0-9_]+)+$", max_length=80)]
Digest: TypeAlias = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Name: TypeAlias = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]*$", max_length=80)]


class Strict(BaseModel):
    """Frozen, nothing unknown, no coercion."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
