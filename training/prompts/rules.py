"""What the rules of the default policy say about texts: for the figures of rules and model together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from guard.policy.load import load_named
from guard.policy.schema import TermsEntry
from guard.prompt_check.term_rules import TermChecker
from training.prompts.data import Row

POLICIES = Path(__file__).resolve().parents[2] / "policies"


def rule_probabilities(rows: Sequence[Row], wanted: np.ndarray) -> np.ndarray:
    """Return (rows,) P(violating) of the default policy's term rules, NaN where it is not wanted.

    The rules were written by people who knew some of the sources: these figures are not held out in the strict sense.
    """
    document = load_named(POLICIES, "default").document
    lists = next(entry.lists for entry in document.checkers.prompt if isinstance(entry, TermsEntry))
    checker = TermChecker(folder=POLICIES / "terms", lists=lists)
    known: dict[str, float] = {}
    found = np.full(len(rows), np.nan)
    for place in np.flatnonzero(wanted):
        text = rows[place].text
        if text not in known:
            known[text] = checker.examine([("prompt", text)]).probability
        found[place] = known[text]
    return found
