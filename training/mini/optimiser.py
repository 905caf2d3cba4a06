"""One optimiser step for the networks of signet-mini: Muon for weight matrices, AdamW for the rest.

Data flow: ``build_optimiser(module, steps=...)`` -> object with ``step()``, ``state_dict()``, ``load_state_dict()``.

Source: K. Jordan et al. 2024, "Muon" (kellerjordan.github.io/posts/muon), quintic Newton-Schulz coefficients
3.4445, -4.7750, 2.0315. Differs: convolution kernels are flattened to (out, in*k*k); update scaled by
0.2*sqrt(max(rows, columns)) so that its size matches AdamW's (Moonshot AI 2025, arXiv 2502.16982, eq. 4).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

import torch
from torch import Tensor, nn

NEWTON_SCHULZ: Final = (3.4445, -4.7750, 2.0315)
NEWTON_SCHULZ_STEPS: Final = 5
MOMENTUM: Final = 0.95
MINIMUM_SIDE: Final = 16  # matrices thinner than this (input and output layers) go to AdamW


def orthogonalise(matrix: Tensor) -> Tensor:
    """Return the nearest semi-orthogonal matrix to ``matrix``, roughly.

    Args:
        matrix: (rows, columns) float32.

    Returns:
        Same shape; singular values lie in about [0.7, 1.2].
    """
    a, b, c = NEWTON_SCHULZ
    tall = matrix.shape[0] > matrix.shape[1]
    x = (matrix.T if tall else matrix).to(torch.bfloat16)
    x = x / (x.norm() + 1e-7)
    for _ in range(NEWTON_SCHULZ_STEPS):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x.T if tall else x).to(matrix.dtype)


class MuonAdamW:
    """Muon on inner matrices and AdamW on everything else, with warm-up and cosine decay of both rates."""

    def __init__(
        self, module: nn.Module, *, rate: float, steps: int, warmup: int, floor: float, hold: float = 0.0
    ) -> None:
        """Split the trainable parameters of ``module``.

        Args:
            module: network; parameters without gradient are left alone.
            rate: peak learning rate.
            steps: step at which the cosine decay ends.
            warmup: steps of linear warm-up.
            floor: final rate as a share of ``rate``.
            hold: share of ``steps`` spent at the peak rate before the decay begins; a run that is stopped there
                can be prolonged without loss.
        """
        parameters = [p for p in module.parameters() if p.requires_grad]
        inner = {id(p) for p in parameters if p.ndim >= 2 and min(p.shape[0], p[0].numel()) >= MINIMUM_SIDE}
        inner -= {id(m.weight) for m in module.modules() if isinstance(m, nn.Embedding)}
        self._matrices = [p for p in parameters if id(p) in inner]
        rest = [p for p in parameters if id(p) not in inner]
        self._adam = torch.optim.AdamW(rest, lr=rate, betas=(0.9, 0.99), weight_decay=0.0)
        self._momenta = [torch.zeros_like(p) for p in self._matrices]
        self._rate, self._steps, self._warmup, self._floor = rate, steps, warmup, floor
        self._decay_from = max(warmup, int(hold * steps))
        self.step_number = 0

    def rate(self) -> float:
        """Return the learning rate of the next step."""
        if self.step_number < self._warmup:
            return self._rate * (self.step_number + 1) / self._warmup
        done = (self.step_number - self._decay_from) / max(1, self._steps - self._decay_from)
        done = min(1.0, max(0.0, done))
        return self._rate * (self._floor + (1.0 - self._floor) * 0.5 * (1.0 + math.cos(math.pi * done)))

    @torch.no_grad()
    def step(self, share: tuple[int, int] = (0, 1), gather: Callable[[list[Tensor]], None] | None = None) -> None:
        """Apply the gradients, then clear them.

        Args:
            share: (worker, workers); a worker orthogonalises every ``workers``-th matrix only.
            gather: sums tensors over the workers in place; needed when there are several.
        """
        rate = self.rate()
        updates = []
        for index, (parameter, momentum) in enumerate(zip(self._matrices, self._momenta, strict=True)):
            gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            momentum.lerp_(gradient, 1.0 - MOMENTUM)
            update = gradient.lerp(momentum, MOMENTUM)
            mine = index % share[1] == share[0]
            flat = update.reshape(update.shape[0], -1)
            updates.append(orthogonalise(flat) if mine else torch.zeros_like(flat))
            parameter.grad = None
        if gather is not None:
            gather(updates)
        for parameter, flat in zip(self._matrices, updates, strict=True):
            parameter.add_(flat.view_as(parameter), alpha=-rate * 0.2 * math.sqrt(max(flat.shape)))
        for group in self._adam.param_groups:
            group["lr"] = rate
        self._adam.step()
        self._adam.zero_grad()
        self.step_number += 1

    def state_dict(self) -> dict[str, Any]:
        """Return everything that a resumed run needs."""
        return {"adam": self._adam.state_dict(), "momenta": self._momenta, "step": self.step_number}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what ``state_dict`` gave."""
        self._adam.load_state_dict(state["adam"])
        for own, stored in zip(self._momenta, state["momenta"], strict=True):
            own.copy_(stored)
        self.step_number = int(state["step"])


class MovingAverage:
    """Exponential moving average of a module's parameters, with a quick start."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        """Start the average at the present weights; ``decay`` in [0, 1) is its final value."""
        self.decay = decay
        self.shadow = {name: p.detach().clone() for name, p in module.named_parameters()}

    @torch.no_grad()
    def update(self, module: nn.Module, step: int) -> None:
        """Move the average towards the weights of ``module`` after step number ``step``."""
        decay = min(self.decay, (1.0 + step) / (10.0 + step))
        for name, parameter in module.named_parameters():
            self.shadow[name].lerp_(parameter, 1.0 - decay)

    @torch.no_grad()
    def copy_to(self, module: nn.Module) -> None:
        """Overwrite the weights of ``module`` with the average."""
        for name, parameter in module.named_parameters():
            parameter.copy_(self.shadow[name])
