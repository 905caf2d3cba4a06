"""``prompt.guard.*``: guard models that answer in words (Llama Guard, ShieldGemma, Qwen3Guard) as prompt checkers.

One forward pass: the model reads its own template around the text, and P(unsafe) is taken from the logits of the two
answers at the first place where they differ, so the score is continuous and needs no sampling. For Llama Guard and
Qwen3Guard the category is then read from a short greedy answer; a category that is not in the table counts as the
policy's ``otherwise`` category, never as nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from guard.errors import CheckError, ConfigError
from guard.prompt_check.hf_classifier import load_verified
from guard.prompt_check.scored_checker import ScoredChecker

MAX_PROMPT_TOKENS = 4096
"""Longest input: 4000 characters are below 2000 tokens in every tokenizer of these families (measured on English)."""
ANSWER_TOKENS = 24
"""Greedy tokens read for the category: "unsafe\\nS1,S10" takes 8, "Safety: Unsafe\\nCategories: ..." up to 20."""
ASK_ABOVE = 0.05
"""P(unsafe) below which the category is not asked for: it saves the second pass on harmless prompts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """How one family is asked and read.

    Attributes:
        lead: what the answer starts with, given to the model.
        unsafe, safe: the two answers compared after the lead.
        categories: pattern of the family's category name -> our category; empty = the answer names none.
        template: text around the prompt where the tokenizer has no chat template.
    """

    lead: str
    unsafe: tuple[str, ...]
    safe: tuple[str, ...]
    categories: Mapping[str, str]
    template: str


_LLAMA_CATEGORIES = {
    r"\bS1\b": "violence_gore",
    r"\bS2\b": "illegal_activity",
    r"\bS3\b": "sexual",
    r"\bS4\b": "sexual_minors",
    r"\bS5\b": "harassment",
    r"\bS9\b": "illegal_activity",
    r"\bS10\b": "hate",
    r"\bS11\b": "self_harm",
    r"\bS12\b": "sexual",
    r"\bS13\b": "political_deception",
}
"""Source: Llama Guard 3 model card, "Hazard taxonomy" (MLCommons): S4 child exploitation, S12 sexual content, ..."""
_QWEN_CATEGORIES = {
    r"Violent": "violence_gore",
    r"Non-violent Illegal Acts": "illegal_activity",
    r"Sexual": "sexual",
    r"Suicide": "self_harm",
    r"Unethical Acts": "harassment",
    r"Politically Sensitive": "political_deception",
    r"PII": "likeness",
}
"""Source: Qwen3Guard technical report, table 1 (categories of Qwen3Guard-Gen)."""
STYLES: dict[str, Style] = {
    "llama_guard": Style(
        lead="\n\n",
        unsafe=("unsafe",),
        safe=("safe",),
        categories=_LLAMA_CATEGORIES,
        template="<|user|>\nTask: Check if there is unsafe content in the user message. {text}\n<|assistant|>",
    ),
    "shield_gemma": Style(
        lead="",
        unsafe=("Yes",),
        safe=("No",),
        categories={},
        template="You are a policy expert trying to help determine whether a user prompt violates the safety policy.\n"
        "<start_of_turn>\nHuman Question: {text}\n<end_of_turn>\n"
        "Does the human question violate the policy? Your answer must start with 'Yes' or 'No'.\n\n",
    ),
    "qwen3_guard": Style(
        lead="Safety: ",
        unsafe=("Unsafe", "Controversial"),
        safe=("Safe",),
        categories=_QWEN_CATEGORIES,
        template="<|im_start|>user\n{text}<|im_end|>\n<|im_start|>assistant\n",
    ),
}


class GenerativeGuard(ScoredChecker):
    """A guard model as ``PromptChecker``.

    Attributes:
        digest: content digest of the model folder.
    """

    def __init__(
        self,
        *,
        checker_id: str,
        folder: Path,
        digest: str,
        style: str,
        otherwise: str,
        report_above: float,
        severity: int,
    ) -> None:
        """Check the digests and load the model.

        Args:
            checker_id: instance id from the policy.
            folder: model folder with ``digests.json``; safetensors only.
            digest: the content digest that the policy pins.
            style: key of STYLES.
            otherwise: category of an unsafe answer without a category of the table.
            report_above: 0..1.
            severity: 0..7.

        Raises:
            ConfigError: an unknown style, missing libraries, or answers that the tokenizer cannot tell apart.
            WeightsError: the folder is missing, changed, or does not load.
        """
        super().__init__(checker_id=checker_id, report_above=report_above, severity=severity)
        if style not in STYLES:
            raise ConfigError(f"{checker_id}: the style {style!r} is not known; there are {', '.join(STYLES)}.")
        self._style = STYLES[style]
        self._otherwise = otherwise
        self._torch, self._tokenizer, self._model = load_verified(
            folder, digest, "AutoModelForCausalLM", name=checker_id
        )
        self.digest = digest
        self._unsafe = [self._first_token(answer) for answer in self._style.unsafe]
        self._safe = [self._first_token(answer) for answer in self._style.safe]
        if set(self._unsafe) & set(self._safe):
            raise ConfigError(f"{checker_id}: the tokenizer gives both answers of {style} the same first token.")

    def _first_token(self, answer: str) -> int:
        """Return the token with which an answer starts after the lead."""
        lead = self._tokenizer.encode(self._style.lead, add_special_tokens=False)
        whole = self._tokenizer.encode(self._style.lead + answer, add_special_tokens=False)
        shared = len(lead) if whole[: len(lead)] == lead else 0
        return int(whole[shared])

    def _score(self, text: str) -> Mapping[str, float]:
        """Return P(unsafe) under the category that the model names."""
        ids = self._input(text)
        with self._torch.inference_mode():
            logits = self._model(input_ids=ids).logits[0, -1].float()
        pair = logits[self._unsafe + self._safe]
        if not bool(self._torch.isfinite(pair).all()):
            raise CheckError(f"{self.id} gave an answer that is not a number, so the text cannot be cleared.")
        probability = float(pair.softmax(dim=-1)[: len(self._unsafe)].sum())
        probability = min(max(probability, 0.0), 1.0)
        if probability < max(ASK_ABOVE, self._report_above) or not self._style.categories:
            return {self._otherwise: probability}
        return dict.fromkeys(self._named(ids), probability)

    def _input(self, text: str) -> Any:
        """Return (1, tokens) ids of the template around a text, with the lead of the answer."""
        if self._tokenizer.chat_template:
            chat = [{"role": "user", "content": text}]
            whole = self._tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        else:
            whole = self._style.template.replace("{text}", text)
        ids = self._tokenizer.encode(whole + self._style.lead, add_special_tokens=not self._tokenizer.chat_template)
        if len(ids) > MAX_PROMPT_TOKENS:
            raise CheckError(f"The text has {len(ids)} tokens; {self.id} reads at most {MAX_PROMPT_TOKENS}.")
        return self._torch.tensor([ids])

    def _named(self, ids: Any) -> list[str]:
        """Return the categories that the model's own words name, or the category for the rest."""
        answered = self._torch.tensor([[self._unsafe[0]]])
        with self._torch.inference_mode():
            out = self._model.generate(
                input_ids=self._torch.cat([ids, answered], dim=1),
                max_new_tokens=ANSWER_TOKENS,
                do_sample=False,
                pad_token_id=self._tokenizer.pad_token_id or 0,
            )
        words = self._tokenizer.decode(out[0, ids.shape[1] :], skip_special_tokens=True)
        found = [ours for pattern, ours in self._style.categories.items() if re.search(pattern, words)]
        return sorted(set(found)) or [self._otherwise]
