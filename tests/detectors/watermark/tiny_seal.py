"""A program of the form that Meta publishes; TorchScript compiles it from this source."""

import torch
from torch import Tensor, nn


class TinySeal(nn.Module):
    def __init__(self, bits: tuple[int, ...]) -> None:
        super().__init__()
        self.signs = nn.Parameter(2.0 * torch.tensor(bits, dtype=torch.float32) - 1.0)

    def forward(self, imgs: Tensor) -> Tensor:
        return self.detect(imgs)

    @torch.jit.export
    def detect(self, imgs: Tensor) -> Tensor:
        light = imgs.mean() - 0.25
        while bool(light < -0.249):
            light = imgs.mean() - 0.25
        return torch.cat([torch.zeros(1), self.signs * light])[None]
