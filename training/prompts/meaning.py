"""The meaning view: word-piece vectors, two width-3 context layers, attention pooling, a small perceptron.

It sees what words mean together where the n-gram view sees only spelling. Trained on all heads at once: P(violating)
with noise-aware weights, the categories on violating rows, and a ranking term on unsafe/safe pairs of one scene
(CoProV2, own contrasts), so that it learns the difference and not the topic. Where sentence vectors of a larger
encoder are given, the hidden layer must also be able to tell them: what prompts mean, learnt without labels.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from training.prompts.data import CATEGORIES, Row

POOLS = 6
HIDDEN = 256
LAYERS = 2
EPOCHS = 2
BATCH = 256
LEARNING_RATE = 3e-3
PIECE_DROPOUT = 0.1
"""Share of pieces left out at random in training, so that no single word decides."""
RANKING_WEIGHT = 0.5
HEADS_WEIGHT = 0.3
IMITATION_WEIGHT = 2.0
SENTENCE_SIZE = 384
"""Length of the sentence vectors of all-MiniLM-L6-v2."""


class MeaningNet(nn.Module):
    """(rows, pieces) ids -> (rows, 1 + heads) logits; id ``padding`` is ignored."""

    def __init__(self, vectors: Tensor) -> None:
        super().__init__()
        size = vectors.shape[1]
        self.padding = vectors.shape[0]
        self.vectors = nn.Embedding.from_pretrained(
            torch.cat([vectors, torch.zeros(1, size)]), freeze=False, padding_idx=self.padding
        )
        self.context = nn.ModuleList(nn.Linear(3 * size, size) for _ in range(LAYERS))
        self.queries = nn.Linear(size, POOLS)
        self.hidden = nn.Linear((POOLS + 1) * size, HIDDEN)
        self.dropout = nn.Dropout(0.3)
        self.out = nn.Linear(HIDDEN, 1 + len(CATEGORIES))
        self.imitation = nn.Linear(HIDDEN, SENTENCE_SIZE)

    def forward(self, ids: Tensor) -> Tensor:
        """Return logits."""
        return self.out(self.dropout(self.features(ids)))

    def features(self, ids: Tensor) -> Tensor:
        """Return (rows, HIDDEN) of the hidden layer."""
        mask = (ids != self.padding).unsqueeze(-1)
        value = self.vectors(ids)
        for layer in self.context:
            before = functional.pad(value, (0, 0, 1, 0))[:, :-1]
            after = functional.pad(value, (0, 0, 0, 1))[:, 1:]
            value = (value + torch.relu(layer(torch.cat([before, value, after], dim=-1)))) * mask
        attention = torch.softmax(self.queries(value).masked_fill(~mask, -1e4), dim=1)
        pooled = (attention.transpose(1, 2) @ value).flatten(1)
        mean = value.sum(dim=1) / mask.sum(dim=1).clamp(min=1)
        return torch.relu(self.hidden(self.dropout(torch.cat([pooled, mean], dim=1))))


def pad(ids: Sequence[np.ndarray], padding: int) -> Tensor:
    """Return (rows, pieces) int64, as wide as the longest row."""
    width = max(len(row) for row in ids)
    table = np.full((len(ids), width), padding, np.int64)
    for index, row in enumerate(ids):
        table[index, : len(row)] = row
    return torch.from_numpy(table)


def _order(rows: Sequence[Row], lengths: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
    """Return batches of row numbers: pairs stay together, texts of similar length too (less padding)."""
    groups: dict[object, list[int]] = {}
    for index, row in enumerate(rows):
        groups.setdefault((row.source, row.pair) if row.pair is not None else index, []).append(index)
    keys = sorted(groups.values(), key=lambda group: lengths[group[0]] + rng.uniform(0, 12))
    flat = [index for group in keys for index in group]
    batches = [np.array(flat[i : i + BATCH]) for i in range(0, len(flat), BATCH)]
    rng.shuffle(batches)
    return batches


def _loss(logits: Tensor, batch: Sequence[Row], balance: float) -> Tensor:
    """Return violating + category + ranking loss of one batch."""
    label = torch.tensor([float(row.label) for row in batch])
    weight = torch.tensor([row.weight * (balance if row.label else 1.0) for row in batch])
    loss = (
        functional.binary_cross_entropy_with_logits(logits[:, 0], label, reduction="none") * weight
    ).sum() / weight.sum()
    bad = [i for i, row in enumerate(batch) if row.label and row.headed]
    if bad:
        target = torch.zeros(len(bad), len(CATEGORIES))
        for position, index in enumerate(bad):
            target[position, list(batch[index].headed)] = 1.0
        loss = loss + HEADS_WEIGHT * functional.binary_cross_entropy_with_logits(logits[bad, 1:], target)
    places: dict[tuple[str, int, int], int] = {
        (row.source, row.pair, row.label): i for i, row in enumerate(batch) if row.pair is not None
    }
    unsafe = [(i, places[(s, p, 0)]) for (s, p, label_), i in places.items() if label_ and (s, p, 0) in places]
    if unsafe:
        first, second = (list(side) for side in zip(*unsafe, strict=True))
        loss = loss + RANKING_WEIGHT * functional.softplus(logits[second, 0] - logits[first, 0]).mean()
    return loss


def _imitation(told: Tensor, sentences: np.ndarray) -> Tensor:
    """Return 1 - cosine between what the hidden layer tells and the sentence vectors; rows of NaN have none."""
    known = np.flatnonzero(np.isfinite(sentences[:, 0]))
    if not len(known):
        return told.sum() * 0.0
    wanted = torch.from_numpy(sentences[known].astype(np.float32))
    return 1.0 - functional.cosine_similarity(told[known], wanted).mean()


def train(
    rows: Sequence[Row],
    ids: Sequence[np.ndarray],
    vectors: np.ndarray,
    *,
    seed: int,
    sentences: np.ndarray | None = None,
) -> MeaningNet:
    """Return a trained network, in evaluation mode; one thread, seeded, so that it can be repeated.

    Args:
        rows: labelled texts.
        ids: word pieces of each.
        vectors: (pieces, size) start values of the word-piece vectors.
        seed: of everything random.
        sentences: (rows, SENTENCE_SIZE) vectors of a larger encoder, NaN where there is none.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    net = MeaningNet(torch.from_numpy(vectors))
    lengths = np.array([len(row) for row in ids])
    balance = sum(r.weight for r in rows if not r.label) / sum(r.weight for r in rows if r.label)
    optimiser = torch.optim.Adam(net.parameters(), lr=LEARNING_RATE)
    steps = EPOCHS * (len(rows) // BATCH + 1)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, total_steps=steps + 1, pct_start=0.1)
    started = time.monotonic()
    for epoch in range(EPOCHS):
        total = 0.0
        batches = _order(rows, lengths, rng)
        for batch in batches:
            table = pad([ids[i] for i in batch], net.padding)
            table[torch.rand(table.shape) < PIECE_DROPOUT] = net.padding
            optimiser.zero_grad()
            features = net.features(table)
            loss = _loss(net.out(net.dropout(features)), [rows[i] for i in batch], balance)
            if sentences is not None:
                loss = loss + IMITATION_WEIGHT * _imitation(net.imitation(features), sentences[batch])
            loss.backward()
            optimiser.step()
            schedule.step()
            total += float(loss.detach())
        print(
            f"meaning: epoch {epoch + 1}/{EPOCHS}, loss {total / len(batches):.4f}, {time.monotonic() - started:.0f} s",
            flush=True,
        )
    return net.eval()


def logits(net: MeaningNet, ids: Sequence[np.ndarray]) -> np.ndarray:
    """Return (rows, 1 + heads) logits."""
    found = np.zeros((len(ids), 1 + len(CATEGORIES)), np.float32)
    order = np.argsort([len(row) for row in ids], kind="stable")
    with torch.inference_mode():
        for first in range(0, len(order), 1024):
            chunk = order[first : first + 1024]
            found[chunk] = net(pad([ids[i] for i in chunk], net.padding)).numpy()
    return found
