"""``prompt.hf.*``: text classifiers of the Hugging Face kind as prompt checkers.

Any ``AutoModelForSequenceClassification`` in a local folder whose digests are pinned; the policy says which label means
which category. Long texts are read in overlapping windows of tokens, the worst window counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from guard.errors import CheckError, ConfigError, WeightsError
from guard.prompt_check.scored_checker import ScoredChecker
from guard.weights import content_digest, read_digests, require_digest, verify_folder

MAX_WINDOWS = 64
"""Most windows of one text; 4000 characters, the longest field, are at most 16 windows of 256 tokens."""


class HFClassifier(ScoredChecker):
    """A sequence classification model as ``PromptChecker``.

    Attributes:
        digest: content digest of the model folder.
    """

    def __init__(
        self,
        *,
        checker_id: str,
        folder: Path,
        digest: str,
        labels: Mapping[str, str],
        report_above: float,
        severity: int,
        max_tokens: int,
    ) -> None:
        """Check the digests and load the model and its tokenizer.

        Args:
            checker_id: instance id from the policy.
            folder: model folder with ``digests.json``; safetensors only.
            digest: the content digest that the policy pins.
            labels: the model's label -> category; labels left out do not count.
            report_above: 0..1.
            severity: 0..7.
            max_tokens: window length.

        Raises:
            ConfigError: transformers or torch is not installed, or a label is not the model's.
            WeightsError: the folder is missing, changed, or does not load.
        """
        super().__init__(checker_id=checker_id, report_above=report_above, severity=severity)
        self._torch, self._tokenizer, self._model = load_verified(
            folder, digest, "AutoModelForSequenceClassification", name=checker_id
        )
        self.digest = digest
        names = {str(label): index for index, label in self._model.config.id2label.items()}
        unknown = sorted(set(labels) - set(names))
        if unknown:
            raise ConfigError(
                f"{checker_id}: the model has no label {', '.join(unknown)}; it has {', '.join(sorted(names))}.",
                next_step="Correct `labels` in the policy.",
            )
        self._columns = {int(names[label]): category for label, category in labels.items()}
        self._exclusive = self._model.config.problem_type != "multi_label_classification" and len(names) > 1
        self._max_tokens = max_tokens

    def _score(self, text: str) -> Mapping[str, float]:
        """Return the highest probability of each category over all windows."""
        encoded = self._tokenizer(
            text,
            truncation=True,
            max_length=self._max_tokens,
            stride=self._max_tokens // 4,
            return_overflowing_tokens=True,
            padding=True,
            return_tensors="pt",
        )
        if len(encoded["input_ids"]) > MAX_WINDOWS:
            raise CheckError(f"The text has {len(encoded['input_ids'])} windows; at most {MAX_WINDOWS} are scored.")
        with self._torch.inference_mode():
            logits = self._model(
                input_ids=encoded["input_ids"], attention_mask=encoded["attention_mask"]
            ).logits.float()
        rows = logits.softmax(dim=-1) if self._exclusive else logits.sigmoid()
        found: dict[str, float] = {}
        for column, category in self._columns.items():
            values = rows[:, column]
            if not bool(values.isfinite().all()):
                raise CheckError(f"{self.id} gave an answer that is not a number, so the text cannot be cleared.")
            found[category] = max(float(values.max()), found.get(category, 0.0))
        return found


def load_verified(folder: Path, digest: str, auto_class: str, *, name: str) -> tuple[Any, Any, Any]:
    """Return (torch, tokenizer, model) of a local folder whose files and content digest are as pinned.

    Raises:
        ConfigError: transformers or torch is not installed.
        WeightsError: the folder is missing, changed, or does not load.
    """
    require_digest(content_digest(verify_folder(folder, read_digests(folder))), digest, what=f"{name}: {folder}")
    try:
        import torch
        import transformers
    except ImportError as exc:
        raise ConfigError(f"{name} needs torch and transformers.", next_step="pip install signet[generate]") from exc
    options = {"local_files_only": True, "trust_remote_code": False}
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **options)
        loader = getattr(transformers, auto_class)
        model = loader.from_pretrained(folder, use_safetensors=True, **options).eval()
    except Exception as exc:  # transformers raises many kinds; a model that does not load stops the start
        raise WeightsError(f"{name}: the model in {folder} cannot be loaded: {type(exc).__name__}.") from exc
    return torch, tokenizer, model
