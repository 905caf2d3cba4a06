"""Less weight for rows whose noisy label a model of the other rows contradicts.

Some sources are labelled without anyone reading them: harmless prompts of users after a word list took some out, and
I2P, labelled from pictures. A spelling model that never saw a third of these rows scores that third; clear
contradictions are dropped, doubtful ones count less. Rows with labels by people are never touched.

Source: Northcutt et al. 2021 (confident learning), the cross-fitting; the steps below were chosen by reading rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from training.prompts.data import Row
from training.prompts.fit import fit
from training.prompts.matrix import Counts

PARTS = 3
HARMLESS_STEPS = ((1.5, 0.0), (0.5, 0.3))
"""(logit above which, factor): a harmless label is contradicted."""
VIOLATING_STEPS = ((-1.0, 0.3), (1.0, 0.6))
"""(logit below which, factor): a violating label is contradicted. Milder: dropping half of I2P cost .02 AUROC on
Adversarial Nibbler, held out (measured)."""


def doubts(rows: Sequence[Row], counts: Counts, allowed: np.ndarray, cache: Path, *, seed: int) -> np.ndarray:
    """Return (rows,) logits of P(violating) by models that did not see the row; NaN for rows that are not noisy."""
    target = cache / f"doubts-{len(rows)}-{int(allowed.sum())}-{seed}.npy"
    if target.exists():
        return np.asarray(np.load(target))
    noisy = np.array([row.noisy for row in rows])
    part = np.arange(len(rows)) % PARTS
    found = np.full(len(rows), np.nan)
    for number in range(PARTS):
        hidden = noisy & (part == number)
        chosen = np.flatnonzero(allowed & ~hidden)
        model = fit([rows[i] for i in chosen], counts.take(chosen), seed=seed)
        found[hidden] = model.logits(counts.take(np.flatnonzero(hidden)))
        print(f"cleaning: part {number + 1}/{PARTS}", flush=True)
    np.save(target, found)
    return found


def cleaned(rows: Sequence[Row], found: np.ndarray) -> list[Row]:
    """Return the rows with the weights of contradicted noisy labels reduced."""
    return [
        row if not np.isfinite(logit) else replace(row, weight=row.weight * factor(row.label, float(logit)))
        for row, logit in zip(rows, found, strict=True)
    ]


def factor(label: int, logit: float) -> float:
    """Return by how much a noisy label counts, given what other rows say about the text."""
    if label:
        return next((value for limit, value in VIOLATING_STEPS if logit < limit), 1.0)
    return next((value for limit, value in HARMLESS_STEPS if logit > limit), 1.0)
