"""Fits: logistic regression on the n-gram blocks, and the calibrated sum of both views."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from sklearn.linear_model import LogisticRegression

from guard.prompt_check.hashed_ngrams import CHAR_BITS
from training.prompts.data import Row
from training.prompts.matrix import Counts, inverse_document_frequency, scale

INVERSE_REGULARISATION = 4.0
"""C of the logistic regression; not tuned."""
TOLERANCE = 1e-2
"""Of liblinear's dual solver; lbfgs with 40 steps, used before, stopped far from the optimum and lost .06 AUROC."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """The n-gram view in floats; ``export.py`` turns it into the shipped file.

    Attributes:
        idf_characters, idf_words: uint8, units of IDF_STEP.
        characters, words: (slots,) float32 weights of the logit of P(violating).
        intercept: of that logit.
    """

    idf_characters: np.ndarray
    idf_words: np.ndarray
    characters: np.ndarray
    words: np.ndarray
    intercept: float

    def logits(self, counts: Counts) -> np.ndarray:
        """Return (rows,) float logits of P(violating), before calibration."""
        found = scale(counts.characters, self.idf_characters) @ self.characters
        return np.asarray(found + scale(counts.words, self.idf_words) @ self.words + self.intercept)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """Calibrated logit = spelling * n-gram logit + meaning * meaning logit + intercept."""

    spelling: float
    meaning: float
    intercept: float

    def logits(self, spelling: np.ndarray, meaning: np.ndarray) -> np.ndarray:
        """Return calibrated logits."""
        return self.spelling * spelling + self.meaning * meaning + self.intercept


def fit(rows: Sequence[Row], counts: Counts, *, seed: int) -> Fitted:
    """Fit the violating/harmless model; classes are balanced by weight, rows count by ``Row.weight``."""
    idf = inverse_document_frequency(counts.characters), inverse_document_frequency(counts.words)
    characters, words = scale(counts.characters, idf[0]), scale(counts.words, idf[1])
    label, weight = np.array([row.label for row in rows]), np.array([row.weight for row in rows])
    weight = weight * np.where(label == 1, weight[label == 0].sum() / max(weight[label == 1].sum(), 1e-9), 1.0)
    model = LogisticRegression(C=INVERSE_REGULARISATION, solver="liblinear", tol=TOLERANCE, random_state=seed)
    model.fit(sparse.hstack([characters, words], format="csr"), label, sample_weight=weight)
    flat = model.coef_[0].astype(np.float32)
    return Fitted(
        idf_characters=idf[0],
        idf_words=idf[1],
        characters=flat[: 1 << CHAR_BITS],
        words=flat[1 << CHAR_BITS :],
        intercept=float(model.intercept_[0]),
    )


def stack(spelling: np.ndarray, meaning: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> Stack:
    """Fit the calibrated sum on scores of held-out sources.

    Source: Platt 1999 (logistic calibration), with two inputs instead of one; as good as no regularisation.
    """
    model = LogisticRegression(C=1e6, tol=1e-6).fit(np.c_[spelling, meaning], labels, sample_weight=weights)
    first, second = model.coef_[0]
    return Stack(spelling=float(first), meaning=float(second), intercept=float(model.intercept_[0]))
