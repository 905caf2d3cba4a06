"""Words for a likelihood ratio, and what it means for pictures of which 1, 10 or 50 in 100 are generated."""

from __future__ import annotations

import math

PREVALENCES = (0.01, 0.10, 0.50)
"""Shares of generated pictures that reports spell out: rare, some, even."""
SCALE = (
    (10_000.0, "very strong"),
    (1_000.0, "strong"),
    (100.0, "moderately strong"),
    (10.0, "moderate"),
    (2.0, "weak"),
)
"""Likelihood ratio from which each word is used.

Source: ENFSI Guideline for Evaluative Reporting in Forensic Science (2015), example scale. Differs: capped families
never reach the upper words.
"""


def verbal(llr_nats: float) -> str:
    """Return the strength in words, e.g. ``moderate support for "generated" over "not generated"``."""
    ratio = math.exp(min(abs(llr_nats), 50.0))
    word = next((word for least, word in SCALE if ratio >= least), None)
    if word is None:
        return "no support either way"
    return f'{word} support for "{"generated" if llr_nats > 0 else "not generated"}"'


def posterior(llr_nats: float, prevalence: float) -> float:
    """Return P(generated | score) by Bayes' rule for a prior share of generated pictures, 0 < prevalence < 1."""
    log_odds = llr_nats + math.log(prevalence / (1 - prevalence))
    return 1 / (1 + math.exp(-log_odds)) if log_odds >= 0 else math.exp(log_odds) / (1 + math.exp(log_odds))


def base_rate_note(llr_nats: float) -> str:
    """Return what the ratio means at each of PREVALENCES."""
    parts = [f"{posterior(llr_nats, share):.0%} where {share:.0%}" for share in PREVALENCES]
    return "Chance of being generated: " + ", ".join(parts) + " of the pictures that you receive are generated."
