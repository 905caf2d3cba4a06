"""The second layer of LPIPS with VGG-16: the distance with which AEROBLADE was published.

Source: Zhang et al. 2018 (arXiv 1801.03924), equation 1, and richzhang/PerceptualSimilarity 0.1.4, lpips/lpips.py, for
shift, scale and the names of tensors; Ricker et al. 2024 (arXiv 2401.17879), section 4.1: the second layer alone.
"""

from __future__ import annotations

from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.pretrained.scoring import read_tensors, require_tensors
from detectors.pretrained.vision_transformer import Shapes, Weights

VGG_SHAPES: Shapes = {
    "features.0.weight": (64, 3, 3, 3),
    "features.0.bias": (64,),
    "features.2.weight": (64, 64, 3, 3),
    "features.2.bias": (64,),
    "features.5.weight": (128, 64, 3, 3),
    "features.5.bias": (128,),
    "features.7.weight": (128, 128, 3, 3),
    "features.7.bias": (128,),
}
"""What is taken of torchvision's VGG-16: everything below its fourth activation."""
LINEAR_SHAPES: Shapes = {"lin1.model.1.weight": (1, 128, 1, 1)}
"""What is taken of LPIPS's own file: the weights of the second layer's channels."""
_SHIFT, _SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
"""For RGB in [-1, 1] (``ScalingLayer``)."""
_EPS = 1e-10


class PerceptualDistance:
    """Distance of two pictures as the second layer of LPIPS sees it; safe to share between threads."""

    def __init__(self, vgg: Path, linear: Path) -> None:
        """Keep the two safetensors files, compared with their pinned digests before; nothing is loaded yet."""
        self._files = (vgg, linear)
        self._lock = Lock()
        self._weights: Weights | None = None

    def __call__(self, first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
        """Return the distance, 0 for equal pictures, of two (H, W, 3) float32 in [0, 1].

        Raises:
            ConfigError: torch or safetensors is missing, or the weights do not fit (WeightsError).
        """
        import torch

        with self._lock:
            if self._weights is None:
                self._weights = self._load()
        given = torch.from_numpy(np.stack([first, second])).permute(0, 3, 1, 2)
        with torch.inference_mode():
            return layer_distance(self._weights, 2 * given - 1)

    def _load(self) -> Weights:
        found: dict[str, Any] = {}
        for path, shapes in zip(self._files, (VGG_SHAPES, LINEAR_SHAPES), strict=True):
            tensors = {name: value.float() for name, value in read_tensors(path).items() if name in shapes}
            require_tensors(tensors, shapes, what=str(path))
            found |= tensors
        return found


def layer_distance(weights: Weights, pair: Any) -> float:
    """Return the distance of the two pictures in a (2, 3, H, W) float32 tensor in [-1, 1]."""
    from torch.nn import functional as nnf

    values = (pair - pair.new_tensor(_SHIFT)[:, None, None]) / pair.new_tensor(_SCALE)[:, None, None]
    for layer in (0, 2, 5, 7):
        if layer == 5:
            values = nnf.max_pool2d(values, kernel_size=2)
        weight, bias = weights[f"features.{layer}.weight"], weights[f"features.{layer}.bias"]
        values = nnf.relu(nnf.conv2d(values, weight, bias, padding=1))
    unit = values / (values.square().sum(dim=1, keepdim=True).sqrt() + _EPS)
    difference = (unit[:1] - unit[1:]).square()
    return float(nnf.conv2d(difference, weights["lin1.model.1.weight"]).mean())
