"""Calibration cards: how a score becomes a log-likelihood ratio, on which data that was fitted, where it holds.

A card is a JSON file beside the model. ``CalibrationCard.llr_nats(score)`` is the only way from a score to evidence::

    card = read_card(folder / "statistical.card.json")
    card.llr_nats(score)          # ln P(score | generated) / P(score | real), inside the supported range

The mapping is affine in the logit (logistic calibration; Platt 1999), fitted on sources that trained nothing. Where two
detectors look at the same pixels their mappings are fitted together, so that the sum of both is calibrated and either
one alone errs towards 0.
"""

from __future__ import annotations

import hashlib
import math
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from guard.errors import WeightsError

MAX_CARD_BYTES = 1024 * 1024


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError("must be a finite number")
    return value


Number = Annotated[float, AfterValidator(_finite)]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Domain(_Strict):
    """Which pictures the calibration speaks about; everything else is skipped, with the reason."""

    min_side_px: int = Field(ge=32)
    min_jpeg_quality: int = Field(ge=0, le=100)
    min_texture: float = Field(
        ge=0, description="Lowest median over the crops of the mean step between neighbours, in grey levels."
    )


class Mapping(_Strict):
    """Score to log-likelihood ratio: ``slope * score + offset`` nats, cut to ``[lowest, highest]``.

    The cut is what the number of calibration pictures supports: no ratio can be larger than about the number of
    pictures of the other class (ELUB; Vergeer et al. 2016).
    """

    slope: float = Field(gt=0)
    offset: Number
    lowest: float = Field(lt=0)
    highest: float = Field(gt=0)


class Source(_Strict):
    """One group of pictures that a model was trained, calibrated or tested on."""

    group: str
    licence: str
    generated: bool
    pictures: int = Field(ge=1)


class Dataset(_Strict):
    """The pictures behind one step: a digest over the sorted SHA-256 of all files, and their sources."""

    digest: Digest
    real: int = Field(ge=0)
    generated: int = Field(ge=0)
    sources: tuple[Source, ...]


class Measured(_Strict):
    """What was measured on sources that neither trained nor calibrated, in one mode of the protocol."""

    mode: str
    auc: Number
    auc_interval: tuple[Number, Number]
    tpr_at_5: Number
    tpr_at_1: Number
    fpr_at_5: Number
    cllr: Number
    worst_real_source: str
    worst_real_fpr: Number
    worst_generator: str
    worst_generator_auc: Number


class CalibrationCard(_Strict):
    """One detector's calibration."""

    version: Literal[1]
    detector: str
    model_sha256: Digest
    date: str = Field(pattern=r"^\d{4}-\d{2}-\d{2}$")
    domain: Domain
    mapping: Mapping
    false_positive_rates: dict[str, Number] = Field(
        description="Share of real calibration pictures at or above a log-likelihood ratio (key, nats)."
    )
    training: Dataset
    calibration: Dataset
    test: Dataset
    measured: tuple[Measured, ...]
    measured_jointly: tuple[Measured, ...] = Field(
        default=(), description="Together with the detectors that were calibrated with it."
    )
    measured_exchanged: tuple[Measured, ...] = Field(
        default=(),
        description="Jointly, test and calibration sources exchanged: how much the choice of sources matters.",
    )
    notes: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _disjoint(self) -> CalibrationCard:
        groups = [{s.group for s in part.sources} for part in (self.training, self.calibration, self.test)]
        shared = (groups[0] & groups[1]) | (groups[0] & groups[2]) | (groups[1] & groups[2])
        if shared:
            raise ValueError(f"sources are on two sides: {', '.join(sorted(shared))}")
        return self

    def llr_nats(self, score: float) -> float:
        """Return the log-likelihood ratio of a score in nats, inside the supported range.

        Raises:
            ValueError: the score is not finite.
        """
        if not math.isfinite(score):
            raise ValueError(f"the score is {score}")
        value = self.mapping.slope * score + self.mapping.offset
        return max(self.mapping.lowest, min(self.mapping.highest, value))

    def false_positive_rate(self, llr_nats: float) -> float | None:
        """Return the share of real calibration pictures that reached this ratio, from the nearest tabled one below."""
        reached = [(float(key), rate) for key, rate in self.false_positive_rates.items() if float(key) <= llr_nats]
        return max(reached)[1] if reached else None


def read_card(path: Path) -> CalibrationCard:
    """Return the card in a file.

    Raises:
        WeightsError: missing, too large, or not a valid card.
    """
    try:
        if path.stat().st_size > MAX_CARD_BYTES:
            raise WeightsError(f"The calibration card {path} is larger than {MAX_CARD_BYTES} bytes.")
        return CalibrationCard.model_validate_json(path.read_bytes())
    except OSError as exc:
        raise WeightsError(f"The calibration card {path} cannot be read: {exc.strerror or exc}.") from exc
    except ValidationError as exc:
        first = exc.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise WeightsError(
            f"The calibration card {path} is not valid: {where}: {first['msg']}.",
            next_step="Write it again with the command that made it (signet train probe, python -m training.pixels).",
        ) from exc


def files_digest(digests: list[str]) -> str:
    """Return one SHA-256 over the sorted SHA-256 digests of a set of files, one a line."""
    return hashlib.sha256("".join(f"{digest}\n" for digest in sorted(digests)).encode()).hexdigest()
