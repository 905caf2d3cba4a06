"""Heads on frozen features: a linear one on the statistics, a small network on the texture.

Every class weighs the same, and every source group within its class, so that large groups do not decide what "real"
looks like. Families are learned as a second task on the generated pictures whose generator is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from detectors.evaluation.logistic import CLIP, LinearModel, balanced_weights
from detectors.learned.artefact_network import FAMILIES

HIDDEN: Final = 96
EPOCHS: Final = 14
BATCH: Final = 256
RATE: Final = 1e-3
DECAY: Final = 0.05
DROPOUT: Final = 0.5
INPUT_DROPOUT: Final = 0.2
SMOOTHING: Final = 0.05
FAMILY_WEIGHT: Final = 0.2
MEMBERS: Final = 3
"""Heads with different seeds whose logits are averaged."""


class Head(nn.Module):
    """(N, D) features -> (N, 1 + families) logits; standardises and cuts its inputs."""

    mean: Tensor
    scale: Tensor

    def __init__(self, mean: NDArray[np.float32], scale: NDArray[np.float32]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.from_numpy(mean))
        self.register_buffer("scale", torch.from_numpy(scale))
        self.layers = nn.Sequential(
            nn.Dropout(INPUT_DROPOUT),
            nn.Linear(len(mean), HIDDEN),
            nn.GELU(),
            nn.Dropout(DROPOUT),
            nn.Linear(HIDDEN, 1 + len(FAMILIES)),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return logits of "generated" and of the families."""
        standard: Tensor = torch.clamp((x - self.mean) / self.scale, -CLIP, CLIP)
        return self.layers(standard)


class Heads(nn.Module):
    """The average of several heads."""

    def __init__(self, members: Sequence[Head]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, x: Tensor) -> Tensor:
        """Return averaged logits."""
        return torch.stack([member(x) for member in self.members]).mean(dim=0)


class LinearGroups(nn.Module):
    """A linear model that also returns what each slice of the features adds to the score."""

    mean: Tensor
    scale: Tensor
    weights: Tensor

    def __init__(self, model: LinearModel, slices: Sequence[slice]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(model.mean, dtype=torch.float32))
        self.register_buffer("scale", torch.tensor(model.scale, dtype=torch.float32))
        table = torch.zeros(len(model.weights), len(slices))
        for column, part in enumerate(slices):
            table[part, column] = torch.tensor(model.weights[part], dtype=torch.float32)
        self.register_buffer("weights", table)
        self.bias = float(model.bias)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return scores (N, 1) and the groups' parts (N, groups)."""
        parts = torch.clamp((features - self.mean) / self.scale, -CLIP, CLIP) @ self.weights
        return parts.sum(dim=1, keepdim=True) + self.bias, parts


@dataclass(frozen=True, slots=True, kw_only=True)
class Examples:
    """Feature rows with labels, groups and family indices (-1: none or unknown)."""

    features: NDArray[np.float32]
    labels: NDArray[np.bool_]
    groups: list[str]
    families: NDArray[np.int64]

    def subset(self, mask: NDArray[np.bool_]) -> Examples:
        """Return the rows where ``mask`` is true."""
        return Examples(
            features=self.features[mask],
            labels=self.labels[mask],
            groups=[g for g, m in zip(self.groups, mask, strict=True) if m],
            families=self.families[mask],
        )

    def joined(self, other: Examples) -> Examples:
        """Return these rows and those of another set."""
        return Examples(
            features=np.concatenate([self.features, other.features]),
            labels=np.concatenate([self.labels, other.labels]),
            groups=[*self.groups, *other.groups],
            families=np.concatenate([self.families, other.families]),
        )


def fit_heads(examples: Examples, *, members: int = MEMBERS, epochs: int = EPOCHS) -> Heads:
    """Return trained heads in evaluation mode; deterministic for a given machine."""
    return Heads([_fit(examples, seed=seed, epochs=epochs) for seed in range(members)]).eval()


def _fit(examples: Examples, *, seed: int, epochs: int) -> Head:
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    mean, scale = examples.features.mean(axis=0), np.maximum(examples.features.std(axis=0), 1e-4)
    head = Head(mean.astype(np.float32), scale.astype(np.float32))
    inputs = torch.from_numpy(examples.features)
    target = torch.from_numpy(examples.labels.astype(np.float32)) * (1 - 2 * SMOOTHING) + SMOOTHING
    families = torch.from_numpy(examples.families)
    # square root: between "every source alike" and "every picture alike", so that tiny sources are not learned by heart
    weights = torch.from_numpy(np.sqrt(balanced_weights(examples.labels, examples.groups)))
    optimiser = torch.optim.AdamW(head.parameters(), RATE, weight_decay=DECAY)
    steps = epochs * (len(inputs) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps, pct_start=0.1)
    head.train()
    for _ in range(steps):
        chosen = torch.multinomial(weights, BATCH, replacement=True, generator=generator)
        logits = head(inputs[chosen])
        loss = nn.functional.binary_cross_entropy_with_logits(logits[:, 0], target[chosen])
        known = families[chosen] >= 0
        if known.any():
            named = nn.functional.cross_entropy(logits[known, 1:], families[chosen][known])
            loss = loss + FAMILY_WEIGHT * named
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return head.eval()
