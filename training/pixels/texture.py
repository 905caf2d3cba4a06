"""Texture statistics from a frozen network: mean and spread of every stage's activations over a crop.

The ImageNet-trained trunk of ``network.py`` is not trained further. Only means and standard deviations over the crop
are kept, so that where something is in the picture does not matter.
Source: Gram-type texture statistics, Liu et al. 2020 (arXiv 2002.00133, section 4). Differs: diagonal only, the trunk
is frozen. Measured on the calibration sources: a second view of amplified residuals and deeper blocks add nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn

from training.pixels.network import Trunk

WIDTH: Final = 2 * (32 + 16 + 24 + 24 + 40 + 40 + 80 + 80 + 80 + 112 + 112 + 112)


class TextureStatistics(nn.Module):
    """(N, 3, H, W) float32 RGB in [0, 255] -> (N, WIDTH) float32."""

    def __init__(self, trunk: Trunk) -> None:
        super().__init__()
        self.trunk = trunk

    def forward(self, x: Tensor) -> Tensor:
        """Return the means of all stages, then their standard deviations."""
        parts = self.trunk.stages(x)
        means = [part.mean(dim=(2, 3)) for part in parts]
        spreads = [
            torch.sqrt(((part - m[:, :, None, None]) ** 2).mean(dim=(2, 3)) + 1e-5)
            for part, m in zip(parts, means, strict=True)
        ]
        return torch.cat([*means, *spreads], dim=1)


def published_texture(trunk_weights: Path) -> TextureStatistics:
    """Return the frozen statistics with the published weights, compared with their digest. Raises WeightsError."""
    trunk = Trunk()
    trunk.load_published(trunk_weights)
    return TextureStatistics(trunk).eval()


def export_texture(trunk_weights: Path, target: Path) -> None:
    """Write the frozen statistics as an ONNX model with inputs of any number and size."""
    axes = {"rgb": {0: "n", 2: "h", 3: "w"}, "texture": {0: "n"}}
    example = torch.rand(2, 3, 224, 224) * 255
    torch.onnx.export(
        published_texture(trunk_weights), (example,), str(target), input_names=["rgb"], output_names=["texture"],
        dynamic_axes=axes, opset_version=17, dynamo=False,
    )  # fmt: skip
