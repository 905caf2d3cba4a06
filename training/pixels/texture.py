"""Texture statistics from a frozen network: mean and spread of every stage's activations, on colour and on residuals.

The ImageNet-trained trunk of ``network.py`` is not trained further. It looks twice at a crop: at the picture, and at
its amplified fine detail, in which a photograph shows sensor noise and compression, and a generated picture what its
decoder left. Only means and standard deviations over the crop are kept, so that content matters little.
Source: Gram-type texture statistics, Liu et al. 2020 (arXiv 2002.00133, section 4). Differs: diagonal only, two views.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn

from training.pixels.network import Trunk

AMPLIFICATION: Final = 12.0
"""Fine detail has a spread of about 4 grey levels; times 12 it fills the range that the trunk was trained on."""
WIDTH: Final = 2 * 2 * (32 + 16 + 24 + 24 + 40 + 40 + 80 + 80 + 80 + 112 + 112 + 112)


class TextureStatistics(nn.Module):
    """(N, 3, H, W) float32 RGB in [0, 255] -> (N, WIDTH) float32."""

    blur: Tensor

    def __init__(self, trunk: Trunk) -> None:
        super().__init__()
        self.trunk = trunk
        line = torch.exp(-0.5 * torch.arange(-3.0, 4.0) ** 2)
        line = line / line.sum()
        self.register_buffer("blur", torch.outer(line, line).reshape(1, 1, 7, 7).repeat(3, 1, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return means and standard deviations by stage, first of the picture, then of its fine detail."""
        smooth = nn.functional.conv2d(nn.functional.pad(x, (3, 3, 3, 3), mode="reflect"), self.blur, groups=3)
        detail = torch.clamp((x - smooth) * AMPLIFICATION + 127.0, 0.0, 255.0)
        return torch.cat([self._view(x), self._view(detail)], dim=1)

    def _view(self, x: Tensor) -> Tensor:
        y = nn.functional.relu6(self.trunk._bn0(self.trunk._conv_stem((x - 127.0) / 128.0)))
        parts = [y]
        for block in self.trunk._blocks:
            y = block(y)
            parts.append(y)
        means = [part.mean(dim=(2, 3)) for part in parts]
        spreads = [
            torch.sqrt(((part - m[:, :, None, None]) ** 2).mean(dim=(2, 3)) + 1e-5)
            for part, m in zip(parts, means, strict=True)
        ]
        return torch.cat([*means, *spreads], dim=1)


def export_texture(trunk_weights: Path, target: Path) -> None:
    """Write the frozen statistics as an ONNX model with inputs of any number and size."""
    trunk = Trunk()
    trunk.load_published(trunk_weights)
    module = TextureStatistics(trunk).eval()
    axes = {"rgb": {0: "n", 2: "h", 3: "w"}, "texture": {0: "n"}}
    example = torch.rand(2, 3, 224, 224) * 255
    torch.onnx.export(
        module, (example,), str(target), input_names=["rgb"], output_names=["texture"], dynamic_axes=axes,
        opset_version=17, dynamo=False,
    )  # fmt: skip
