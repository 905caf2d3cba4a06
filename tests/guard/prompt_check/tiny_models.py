"""Tiny models of the real architectures, made on the spot; nothing is downloaded."""

import hashlib
import json
from pathlib import Path

import torch
from tokenizers import Regex, Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Split, Whitespace
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

from guard.weights import content_digest

WORDS = "a calm lake angry wolf naked woman on the hill".split()  # noqa: SIM905


def pinned(folder: Path) -> str:
    """Write ``digests.json`` and return the content digest."""
    digests = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.iterdir()
        if path.name != "digests.json"
    }
    (folder / "digests.json").write_text(json.dumps(digests))
    return content_digest(digests)


def classifier(folder: Path, *, multi_label: bool = False, bias: tuple[float, ...] = (0.0, 0.0, 0.0)) -> str:
    """Save a BERT with labels OK, BLOOD, NUDE whose answer depends on the last word; return the content digest."""
    vocabulary = {word: number for number, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS])}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="[UNK]", pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]"
    )
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        id2label={0: "OK", 1: "BLOOD", 2: "NUDE"},
        label2id={"OK": 0, "BLOOD": 1, "NUDE": 2},
        problem_type="multi_label_classification" if multi_label else "single_label_classification",
    )
    model = BertForSequenceClassification(config)
    with torch.no_grad():
        model.classifier.weight.mul_(20.0)
        model.classifier.bias.copy_(torch.tensor(bias))
    model.save_pretrained(folder, safe_serialization=True)
    return pinned(folder)


def guard(
    folder: Path, *, answers: tuple[str, str], prompt: str, lean: float, after: tuple[str, str] | None = None
) -> str:
    """Save a Llama that leans to answers[0] (lean > 0) or answers[1] after ``prompt``; return the content digest.

    Args:
        folder: where to.
        answers: (unsafe, safe).
        prompt: the exact input at whose end the lean is built in, through the output layer.
        lean: logit difference between the answers.
        after: (word, next word): which word follows a given one, built in likewise.
    """
    parts = sorted(
        {
            *"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ :.,'?!<>|_/=+-\n0123456789",
            *answers,
            *(after or ()),
            "S10",
            "S1",
        }
    )
    vocabulary = {word: number for number, word in enumerate(["[UNK]", *sorted(parts, key=lambda p: (-len(p), p))])}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))
    longest = "|".join(sorted((part for part in parts if len(part) > 1), key=len, reverse=True))
    tokenizer.pre_tokenizer = Split(Regex(f"{longest}|[\\s\\S]"), "isolated")
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="[UNK]")
    fast.save_pretrained(folder)
    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        intermediate_size=16,
        max_position_embeddings=2048,
        bos_token_id=None,
        eos_token_id=None,
    )
    model = LlamaForCausalLM(config).eval()
    with torch.no_grad():
        ids = fast.encode(prompt, add_special_tokens=False)
        state = model.model(input_ids=torch.tensor([ids])).last_hidden_state[0, -1]
        direction = state / (state @ state)
        model.lm_head.weight.zero_()
        model.lm_head.weight[vocabulary[answers[0]]] = lean * direction
        if after is not None:
            more = [*ids, vocabulary[after[0]]]
            second = model.model(input_ids=torch.tensor([more])).last_hidden_state[0, -1]
            model.lm_head.weight[vocabulary[after[1]]] = 5.0 * second / (second @ second)
    model.save_pretrained(folder, safe_serialization=True)
    return pinned(folder)
