"""The baseline every figure stands beside: TF-IDF and logistic regression on the same rows and the same split.

Source: the protocol of docs/safety.md - character 2-5-grams inside words, word 1-2-grams, balanced classes, C = 4, no
row weights, no texts made from others.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline, make_union

from training.prompts.data import JOINED_WEIGHT, MADE_WEIGHT, Row


def baseline_logits(rows: Sequence[Row], allowed: np.ndarray, hidden: np.ndarray, target: Path) -> np.ndarray:
    """Return the baseline's scores of the hidden rows; cached in ``target``.

    Args:
        rows: all rows.
        allowed: which may be trained on.
        hidden: which are held out.
        target: cache file.
    """
    if target.exists():
        return np.asarray(np.load(target))
    original = np.array([row.weight not in (JOINED_WEIGHT, MADE_WEIGHT) for row in rows])
    original &= np.array([not row.source.startswith(("own_lookalikes", "own_contrasts")) for row in rows])
    train, test = np.flatnonzero(allowed & ~hidden & original), np.flatnonzero(hidden)
    characters = TfidfVectorizer(
        analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True, min_df=3, max_features=400_000, dtype=np.float32
    )
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2, dtype=np.float32)
    model = make_pipeline(
        make_union(characters, words), LogisticRegression(C=4.0, class_weight="balanced", solver="liblinear", tol=1e-2)
    )
    model.fit([rows[i].text for i in train], [rows[i].label for i in train])
    found = np.asarray(model.decision_function([rows[i].text for i in test]))
    np.save(target, found)
    return found
