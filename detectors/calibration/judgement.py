"""From crop scores to calibrated evidence: mean over crops, stability under one more save, words and base rates."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detectors.calibration.card import CalibrationCard
from detectors.calibration.domain import outside_domain
from detectors.calibration.words import base_rate_note, verbal
from detectors.crops import Crop, choose_crops, resaved
from detectors.evidence import Direction, Evidence, Grade, Observation, Skipped
from detectors.interfaces import Detector
from detectors.upload import Upload
from guard.records import RGB8

RESAVE_QUALITY = 85
"""Quality of the trial save: milder than what platforms do (docs/detection.md, table of platforms)."""
WORTH_TRYING_NATS = math.log(2)
"""Below a ratio of 2 there is nothing whose stability would matter."""

Scorer = Callable[[tuple[Crop, ...]], NDArray[np.float32]]
"""Crops -> (N,) scores, higher for generated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What one pixel detector makes of a picture.

    Attributes:
        crops: what was looked at.
        score: mean score of the crops, on the detector's own scale.
        llr_nats: calibrated; after one more save if that is nearer to 0.
        observations: strength in words, spread over crops, stability, base rates, reference population.
    """

    crops: tuple[Crop, ...]
    score: float
    llr_nats: float
    observations: tuple[Observation, ...]


def skipped(detector: Detector, reason: str) -> Skipped:
    """Return that a pixel detector did not look at a picture, and why."""
    return Skipped(
        id=detector.id,
        version=detector.version,
        family=detector.family,
        technique=detector.technique,
        reason=reason,
    )


def pixel_evidence(
    detector: Detector,
    judged: Judgement,
    *,
    reason: str,
    observations: tuple[Observation, ...] = (),
    generator_shares: tuple[tuple[str, float], ...] = (),
) -> Evidence:
    """Return a judgement as evidence: calibrated and never more than neutral by itself, since pixels prove nothing.

    Args:
        detector: whose it is.
        judged: what it makes of the picture.
        reason: one sentence for people.
        observations: what this detector adds to those of the judgement.
        generator_shares: (family, share) where it names any.
    """
    return Evidence(
        id=detector.id,
        version=detector.version,
        family=detector.family,
        technique=detector.technique,
        grade=Grade.NEUTRAL,
        direction=Direction.AI if judged.llr_nats > 0 else Direction.NONE,
        reason=reason,
        raw_score=judged.score,
        llr_nats=judged.llr_nats,
        generator_shares=generator_shares,
        observations=(*judged.observations, *observations),
    )


def judge_crops(upload: Upload, card: CalibrationCard, scorer: Scorer) -> Judgement | str:
    """Return the judgement of a picture, or why it is outside the calibration's domain."""
    crops = choose_crops(upload.pixels)
    reason = outside_domain(upload, crops, card.domain)
    if reason is not None:
        return reason
    scores = scorer(crops)
    observations = [
        Observation(name="crops examined", value=f"{len(crops)} of {crops[0].pixels.shape[0]} px, not resized"),
        Observation(name="ratio by crop", value=", ".join(f"{card.llr_nats(float(s)):+.2f}" for s in scores)),
    ]
    return _judged(crops, float(scores.mean()), card, lambda again: float(scorer(again).mean()), observations)


def judge_whole(upload: Upload, card: CalibrationCard, scorer: Callable[[RGB8], float]) -> Judgement:
    """Return the judgement of a picture by a scorer that looks at all of it; the caller checked the domain."""
    whole = (Crop(left=0, top=0, pixels=upload.pixels),)
    return _judged(whole, scorer(upload.pixels), card, lambda again: scorer(again[0].pixels), [])


def _judged(
    crops: tuple[Crop, ...],
    score: float,
    card: CalibrationCard,
    again_on: Callable[[tuple[Crop, ...]], float],
    observations: list[Observation],
) -> Judgement:
    """Calibrate a score and let the weaker of two answers count where the picture is saved once more."""
    llr = card.llr_nats(score)
    if abs(llr) >= WORTH_TRYING_NATS:
        again = card.llr_nats(again_on(resaved(crops, quality=RESAVE_QUALITY)))
        kept = _nearer_to_zero(llr, again)
        stable = "holds" if abs(kept) >= 0.5 * abs(llr) else "does not hold, so it counts for less"
        observations.append(
            Observation(name=f"after one more save (JPEG {RESAVE_QUALITY})", value=f"{again:+.2f} nats: {stable}")
        )
        llr = kept
    return Judgement(
        crops=crops, score=score, llr_nats=llr, observations=(*observations, *_meaning(llr, card))
    )  # fmt: skip


def _nearer_to_zero(first: float, second: float) -> float:
    """Return the weaker of two ratios, 0 when they point in opposite directions."""
    if first * second <= 0:
        return 0.0
    return math.copysign(min(abs(first), abs(second)), first)


def _meaning(llr_nats: float, card: CalibrationCard) -> list[Observation]:
    """Say what the number means: words, base rates, how often real pictures reach it, whom it was measured on."""
    found = [
        Observation(name="strength", value=f"{verbal(llr_nats)} (ratio {math.exp(llr_nats):.2g} to 1)"),
        Observation(name="base rates", value=base_rate_note(llr_nats)),
    ]
    rate = card.false_positive_rate(llr_nats)
    if rate is not None and llr_nats > 0:
        found.append(Observation(name="real pictures that reach this", value=f"{rate:.1%} of the calibration pictures"))
    data = card.calibration
    population = f"{data.real} real and {data.generated} generated pictures of {len(data.sources)} sources, {card.date}"
    return [*found, Observation(name="calibrated on", value=population)]
