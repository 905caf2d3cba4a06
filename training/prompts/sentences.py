"""Sentence vectors of all-MiniLM-L6-v2 for a sample of the texts: what the meaning view learns to imitate."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from transformers import AutoModel

from training.prompts.data import Row

MAX_TOKENS = 64
PER_SOURCE = 3_500
"""Harmless texts of one source; all violating ones are taken, 6000 of CoProV2's of each label."""
_CHUNK = 2048
_BATCH = 64


def text_key(text: str) -> str:
    """Return the name of a text in the cache."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def sample(rows: Sequence[Row], known: set[str]) -> list[int]:
    """Return the rows to encode, those already known first, so that an interrupted run goes on where it was."""
    groups: dict[tuple[str, int], list[int]] = {}
    for index, row in enumerate(rows):
        if row.language == "en" and row.domain != "text":
            groups.setdefault((row.source, row.label), []).append(index)
    chosen: list[int] = []
    for (source, label), members in sorted(groups.items()):
        most = 6_000 if source == "coprov2" else len(members) if label else PER_SOURCE
        keys = {index: text_key(rows[index].text) for index in members}
        chosen += sorted(members, key=lambda index: (keys[index] not in known, keys[index]))[:most]
    return chosen


def sentence_vectors(rows: Sequence[Row], encoder: Path, cache: Path) -> np.ndarray:
    """Return (rows, 384) float16 unit vectors, NaN for rows that are not in the sample."""
    target = cache / "sentences.npz"
    known: dict[str, np.ndarray] = {}
    if target.exists():
        stored = np.load(target)
        known = dict(zip(stored["keys"].tolist(), stored["vectors"], strict=True))
    chosen = sample(rows, set(known))
    missing = [index for index in chosen if text_key(rows[index].text) not in known]
    if missing:
        model = AutoModel.from_pretrained(encoder, local_files_only=True).eval()
        tokenizer = Tokenizer.from_file(str(encoder / "tokenizer.json"))
        tokenizer.enable_truncation(MAX_TOKENS)
        tokenizer.no_padding()
        started = time.monotonic()
        for first in range(0, len(missing), _CHUNK):
            chunk = [rows[index].text for index in missing[first : first + _CHUNK]]
            found = _encode(model, [tokenizer.encode(text).ids for text in chunk])
            known |= dict(zip(map(text_key, chunk), found, strict=True))
            np.savez(target, keys=np.array(list(known)), vectors=np.stack(list(known.values())))
            print(f"sentences: {first + len(chunk)}/{len(missing)}, {time.monotonic() - started:.0f} s", flush=True)
    table = np.full((len(rows), 384), np.nan, np.float16)
    for index in chosen:
        table[index] = known[text_key(rows[index].text)]
    return table


def _encode(model: AutoModel, ids: list[list[int]]) -> np.ndarray:
    """Return (texts, 384) float16 mean-pooled unit vectors; texts of similar length run together."""
    order = np.argsort([len(row) for row in ids], kind="stable")
    found = np.zeros((len(ids), 384), np.float16)
    for first in range(0, len(order), _BATCH):
        chunk = order[first : first + _BATCH]
        width = max(len(ids[i]) for i in chunk)
        table, mask = torch.zeros(len(chunk), width, dtype=torch.long), torch.zeros(len(chunk), width)
        for place, i in enumerate(chunk):
            table[place, : len(ids[i])] = torch.tensor(ids[i])
            mask[place, : len(ids[i])] = 1
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            hidden = model(input_ids=table, attention_mask=mask).last_hidden_state.float()
        mean = (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        found[chunk] = torch.nn.functional.normalize(mean, dim=1).numpy()
    return found
