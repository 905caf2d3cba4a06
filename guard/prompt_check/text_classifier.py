"""``prompt.classifier``: the learned prompt model - calibrated P(violating) and the kinds of violation.

Flow for one text: cut into overlapping windows -> undisguised English words (``glosses.py``) -> hashed n-grams
(``hashed_ngrams.py``, how it is spelled) and word pieces (``wordpiece.py``, what it means) -> ONNX graph ->
P(violating) and P(category | violating). The whole text is scored, as in training, and so is every window of a long
one, with odds divided by the root of their number: harmless words around a request do not dilute it much, and a long
harmless prompt does not become suspect by having many places to look at. The model is digest-checked before it is
parsed and must answer a probe with finite numbers; anything else stops the start.

The negative prompt is not scored: it lists what the picture should not show, and lists of unwanted things look exactly
like requests for them. ``prompt.terms`` looks at it for bypasses.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from guard.errors import CheckError, WeightsError
from guard.inference import open_onnx
from guard.prompt_check.glosses import read_glosses
from guard.prompt_check.hashed_ngrams import FEATURES_VERSION, blocks
from guard.prompt_check.interfaces import TextFindings
from guard.prompt_check.normalise import turns_weights_around
from guard.prompt_check.wordpiece import pieces
from guard.prompt_check.written_out import written_out
from guard.records import AdmittedRequest, Finding, TextSpan
from guard.weights import content_digest, read_digests, verify_folder

MODEL_FOLDER = Path(__file__).resolve().parents[1] / "models" / "prompt"
"""Where the shipped model lies: ``model.onnx``, ``vocab.txt``, ``digests.json``, ``README.md`` (the model card)."""
MODEL_FILE = "model.onnx"
VOCABULARY_FILE = "vocab.txt"
WHOLE_CHARS = 320
"""Texts up to this length are only scored as a whole: 75 tokens of a text encoder, like joined training texts."""
WINDOW_CHARS = 160
"""Characters of one window. Without dividing the odds, the worst of several windows flagged 4 % of harmless prompts
over 160 characters at the threshold that flags 1 % of all (measured on held-out sources with the model before this)."""
WINDOW_STEP = 80
"""Distance of window starts: any 80 characters lie whole in some window."""
MAX_CHARS = 20_000
"""Longest text that is scored; admission accepts 4000 characters a field."""
SEVERITY = 1
"""Severity of a learned finding, the least there is: the model tells how likely a violation is, not how bad. Term rules
start at 2, so that a policy can ask for less certainty there."""
_PROBE = "a lighthouse at dawn"


@dataclass(frozen=True, slots=True)
class Scores:
    """What the model says about one text.

    Attributes:
        violating: 0..1, calibrated P(violating).
        given_violating: category -> 0..1, P(category | violating).
        start, end: the window that decided, in the original text.
    """

    violating: float
    given_violating: dict[str, float]
    start: int
    end: int


class TextClassifier:
    """Implements ``PromptChecker`` with the shipped model.

    Attributes:
        id: ``prompt.classifier``.
        digest: content digest of the model folder.
        categories: names of the model's heads.
    """

    id: str = "prompt.classifier"

    def __init__(self, *, report_above: float, folder: Path = MODEL_FOLDER) -> None:
        """Check the digests, load the model and try it.

        Args:
            report_above: 0..1; texts whose P(violating) is lower get no finding.
            folder: model folder.

        Raises:
            WeightsError: the model is missing, changed, unreadable, of other features, or gives no finite answer.
            ConfigError: onnxruntime is not installed.
        """
        digests = verify_folder(folder, read_digests(folder))
        if not {MODEL_FILE, VOCABULARY_FILE} <= digests.keys():
            raise WeightsError(f"{folder}/digests.json must pin {MODEL_FILE} and {VOCABULARY_FILE}.")
        self._report_above = report_above
        self.digest = content_digest(digests)
        self._session = open_onnx(folder / MODEL_FILE, name="The prompt model")
        self._glosses = read_glosses()
        lines = (folder / VOCABULARY_FILE).read_text(encoding="utf-8").splitlines()
        self._vocabulary = {piece: number for number, piece in enumerate(lines)}
        metadata = self._session.get_modelmeta().custom_metadata_map
        if metadata.get("features_version") != str(FEATURES_VERSION):
            raise WeightsError(
                f"The prompt model was trained on features {metadata.get('features_version')!r}; this version computes "
                f"{FEATURES_VERSION}.",
                next_step="Reinstall Signet, or train again with `python -m training.prompts`.",
            )
        self.categories = tuple(metadata.get("categories", "").split(","))
        try:
            self.score(_PROBE)
        except CheckError as exc:
            raise WeightsError(f"The prompt model in {folder} does not give finite probabilities.") from exc

    def check(self, request: AdmittedRequest) -> Sequence[Finding]:
        """Return findings for the worst of the texts that the picture is drawn towards."""
        asked = request.request
        inverted = asked.guidance is not None and asked.guidance < 1.0
        return self.check_texts(asked.texts(), negative_counts=inverted)

    def check_texts(self, texts: Sequence[tuple[str, str]], *, negative_counts: bool = False) -> Sequence[Finding]:
        """Return findings for (field name, text) pairs; see ``examine``."""
        return self.examine(texts, negative_counts=negative_counts).findings

    def examine(self, texts: Sequence[tuple[str, str]], *, negative_counts: bool = False) -> TextFindings:
        """Return the worst finding of each category over all texts, and the highest P(violating).

        Args:
            texts: (field name, text); the field ``negative_prompt`` is not scored.
            negative_counts: score the negative prompt as well.

        Raises:
            CheckError: a text is too long, or the model gave no finite answer.
        """
        worst: dict[str, Finding] = {}
        probability = 0.0
        for field, text in texts:
            away = field == "negative_prompt" and not negative_counts and not turns_weights_around(text)
            if away or not text.strip():
                continue
            scores = self.score(text)
            for plain, _ in written_out(text):  # base64, ROT13 and other codes: what they say counts as well
                decoded = replace(self.score(plain), start=0, end=len(text))
                scores = max(scores, decoded, key=lambda one: one.violating)
            probability = max(probability, scores.violating)
            for finding in self._findings(field, text, scores):
                known = worst.get(finding.category)
                if known is None or finding.score > known.score:
                    worst[finding.category] = finding
        return TextFindings(findings=tuple(worst.values()), probability=probability)

    def score(self, text: str) -> Scores:
        """Return what the model says about a text: the whole, or the window that says more even after ``spread``.

        Raises:
            CheckError: the text is too long, or the model gave no finite answer.
        """
        if len(text) > MAX_CHARS:
            raise CheckError(f"The text has {len(text)} characters; at most {MAX_CHARS} are scored.")
        whole = self._score_window(text, 0, len(text))
        parts = windows(text)
        if len(parts) == 1:
            return whole
        scored = [self._score_window(text, start, end) for start, end in parts]
        found = [replace(one, violating=spread(one.violating, len(parts))) for one in scored]
        return max([whole, *found], key=lambda scores: scores.violating)

    def _findings(self, field: str, text: str, scores: Scores) -> list[Finding]:
        """Return findings of one text: the leading category at P(violating), others at their share of it.

        The leading one gets all of it: a text that surely violates something must not get past the thresholds because
        the model is torn between two names for it.
        """
        if scores.violating < self._report_above:
            return []
        leading = max(scores.given_violating, key=lambda name: scores.given_violating[name])
        span = TextSpan(field=field, start=scores.start, end=scores.end, rule=self.id)
        whole = scores.end - scores.start >= len(text)
        return [
            Finding(
                checker=self.id,
                category=name,
                score=scores.violating if name == leading else scores.violating * share,
                severity=SEVERITY,
                reason=f"The prompt model reads the text as a likely violation ({name.replace('_', ' ')}).",
                spans=() if whole else (span,),
            )
            for name, share in scores.given_violating.items()
            if name == leading or scores.violating * share >= self._report_above
        ]

    def _score_window(self, text: str, start: int, end: int) -> Scores:
        """Run the model on ``text[start:end]``."""
        reading = self._glosses.read(text[start:end])
        characters, words = blocks(reading)
        try:
            violating, categories = self._session.run(
                ["violating", "categories"],
                {
                    "character_slots": characters.slots,
                    "character_weights": characters.weights,
                    "word_slots": words.slots,
                    "word_weights": words.weights,
                    "pieces": pieces(reading, self._vocabulary),
                },
            )
        except Exception as exc:  # onnxruntime raises its own kinds; every one means "could not decide": CheckError
            raise CheckError("The prompt model failed on a text, so it cannot be cleared.") from exc
        values = np.asarray(categories, np.float64).ravel()
        probability = float(np.asarray(violating).ravel()[0])
        if not (math.isfinite(probability) and np.isfinite(values).all() and len(values) == len(self.categories)):
            raise CheckError("The prompt model gave an answer that is not a number, so the text cannot be cleared.")
        shares = {name: float(value) for name, value in zip(self.categories, values, strict=True)}
        return Scores(min(max(probability, 0.0), 1.0), shares, start, end)


def spread(probability: float, places: int) -> float:
    """Return a probability with its odds divided by the root of the number of places that were looked at.

    Source: the Bonferroni correction, on odds instead of p-values. Differs: the root, because windows overlap and are
    of one author; the full number hid a violation among 24 harmless sentences.
    """
    return probability / (probability + math.sqrt(places) * (1.0 - probability))


def windows(text: str) -> list[tuple[int, int]]:
    """Return overlapping ranges that cover a text, cut at spaces where there are any.

    Short texts get one range. Any WINDOW_CHARS - WINDOW_STEP characters lie whole in at least one range.
    """
    if len(text) <= WHOLE_CHARS:
        return [(0, len(text))]
    found = []
    start = 0
    while True:
        end = min(start + WINDOW_CHARS, len(text))
        found.append((start, end))
        if end == len(text):
            return found
        following = start + WINDOW_STEP
        space = text.rfind(" ", start + WINDOW_STEP // 2, following)
        start = space + 1 if space >= 0 else following
