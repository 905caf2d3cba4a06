"""What is measured: our checkers under a policy, and the two baselines every figure stands beside.

*Blocklist*: the single words of our own English term lists, looked up in the lower-cased text, the way naughty-word
lists are used. *TF-IDF*: character 2-5-grams and word 1-2-grams with balanced logistic regression, trained on rows that
the operator names; the sources it was trained on are left out of its evaluation by the caller.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.prompt_evaluation.labelled import LabelledPrompt
from guard.errors import ConfigError, RequestError
from guard.interfaces import DecisionMaker
from guard.prompt_check.interfaces import TextChecker
from guard.prompt_check.report import examine_text
from guard.prompt_check.term_lists import read_lists
from guard.prompt_check.term_rules import HARD_RULES

BLOCKLISTS = ("sexual.en", "violence.en", "hate.en", "crime.en")
"""Lists whose single words make the blocklist."""
_BLOCKED_SETS = re.compile(r"^(?:sexual|gore|slur|hate|violence|drug|weapon|nud|porn)")
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """Scores of one scorer, row by row.

    Attributes:
        name: what was measured.
        scores: (rows,) float64, higher = more likely violating.
        withheld: (rows,) bool, what the policy would not release; None for a baseline.
    """

    name: str
    scores: NDArray[np.float64]
    withheld: NDArray[np.bool_] | None = None


def score_policy(rows: Sequence[LabelledPrompt], *, checkers: Sequence[TextChecker], policy: DecisionMaker) -> Scored:
    """Return P(violating) of every row and whether the policy would withhold it. Raises CheckError."""
    scores = np.zeros(len(rows))
    withheld = np.zeros(len(rows), bool)
    for index, row in enumerate(rows):
        report = examine_text(row.text, checkers=checkers, policy=policy)
        scores[index] = report.score
        withheld[index] = not report.decision.releases
    return Scored(name=policy.id, scores=scores, withheld=withheld)


def score_blocklist(rows: Sequence[LabelledPrompt], *, terms: Path) -> Scored:
    """Return 1 for every row that holds a listed word, else 0."""
    compiled = read_lists(HARD_RULES, terms, BLOCKLISTS)
    listed = {word for word, sets in compiled.single.items() if any(_BLOCKED_SETS.match(name) for name in sets)}
    found = [bool(listed & set(_WORD.findall(row.text.lower()))) for row in rows]
    return Scored(name="blocklist", scores=np.array(found, np.float64))


def score_tfidf(rows: Sequence[LabelledPrompt], *, train: Sequence[LabelledPrompt], seed: int) -> Scored:
    """Return the scores of the TF-IDF baseline.

    Raises:
        ConfigError: scikit-learn is not installed.
        RequestError: the training rows share a source with the rows to score, or have one label only.
    """
    shared = {row.source for row in rows} & {row.source for row in train}
    if shared:
        raise RequestError(
            f"The training rows share sources with the rows to score: {', '.join(sorted(shared)[:5])}.",
            next_step="Hold whole sources out: a split by row measures memory, not safety.",
        )
    if len({row.violating for row in train}) < 2:
        raise RequestError("The training rows of the TF-IDF baseline have one label only.")
    model = _tfidf_model(seed)
    model.fit([row.text for row in train], [row.violating for row in train])
    found = model.decision_function([row.text for row in rows])
    return Scored(name="tfidf", scores=np.asarray(found, np.float64))


def _tfidf_model(seed: int) -> Any:
    """Return the unfitted baseline. Source: docs/safety.md, "Figures" (the protocol's baseline, C = 4)."""
    try:
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline, make_union
    except ImportError as exc:
        raise ConfigError("The TF-IDF baseline needs scikit-learn.", next_step="pip install scikit-learn") from exc
    characters = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True, max_features=400_000)
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    regression = LogisticRegression(C=4.0, class_weight="balanced", solver="liblinear", tol=1e-2, random_state=seed)
    return make_pipeline(make_union(characters, words), regression)
