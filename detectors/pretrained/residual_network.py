"""The half ResNet-50 of NPR and SAFE as a function over its published state dict, and their two front ends.

Both cut ResNet-50 after its second stage, start it with a 3 x 3 convolution, and look at what neighbouring pixels say
about one another instead of at the picture.

Source: Tan et al. 2024, NPR (arXiv 2312.10461), sections 3.2 and 3.3, and chuangchuangtan/NPR-DeepfakeDetection,
networks/resnet.py @5dffad0; Li et al. 2024, SAFE (arXiv 2408.06741), section 4, and Ouxiang-Li/SAFE, models/resnet.py
@46801ca; He et al. 2016 (arXiv 1512.03385) for the network. Layers are those of torchvision's ResNet-50 by name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from detectors.pretrained.vision_transformer import Shapes, Weights

_EXPANSION = 4
_EPS = 1e-5
"""torch's default of batch norm."""
NPR_SCALE = 2.0 / 3.0
"""Factor on the residuals before the first convolution (networks/resnet.py of NPR, ``forward``)."""
HALF_ROOT = 0.7071067811865476
BIOR13_HIGH = (0.0, 0.0, -HALF_ROOT, HALF_ROOT, 0.0, 0.0)
"""High-pass analysis filter of the wavelet bior1.3 (Cohen, Daubechies, Feauveau 1992), as PyWavelets lists it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HalfResNetShape:
    """How large the network is; the published ones are the defaults."""

    base: int = 64
    blocks: tuple[int, int] = (3, 4)
    outputs: int = 1


def half_resnet_shapes(shape: HalfResNetShape) -> Shapes:
    """Return names and shapes of all tensors, batch-norm statistics and counters included."""
    found: Shapes = {"conv1.weight": (shape.base, 3, 3, 3), **_norm_shapes("bn1", shape.base)}
    entering = shape.base
    for stage, count in enumerate(shape.blocks):
        inner = shape.base * 2**stage
        outer = inner * _EXPANSION
        for block in range(count):
            at = f"layer{stage + 1}.{block}."
            found |= {
                f"{at}conv1.weight": (inner, entering, 1, 1),
                f"{at}conv2.weight": (inner, inner, 3, 3),
                f"{at}conv3.weight": (outer, inner, 1, 1),
                **_norm_shapes(f"{at}bn1", inner),
                **_norm_shapes(f"{at}bn2", inner),
                **_norm_shapes(f"{at}bn3", outer),
            }
            if block == 0:
                found |= {
                    f"{at}downsample.0.weight": (outer, entering, 1, 1),
                    **_norm_shapes(f"{at}downsample.1", outer),
                }
            entering = outer
    return found | {"fc1.weight": (shape.outputs, entering), "fc1.bias": (shape.outputs,)}


def half_resnet(weights: Weights, shape: HalfResNetShape, residuals: Any) -> Any:
    """Return (N, outputs) logits of (N, 3, H, W) float32 residuals."""
    from torch.nn import functional as nnf

    values = nnf.conv2d(residuals, weights["conv1.weight"], stride=2, padding=1)
    values = nnf.max_pool2d(nnf.relu(_norm(values, weights, "bn1")), kernel_size=3, stride=2, padding=1)
    for stage, count in enumerate(shape.blocks):
        for block in range(count):
            values = _bottleneck(values, weights, f"layer{stage + 1}.{block}.", stride=2 if stage and not block else 1)
    return nnf.linear(values.mean(dim=(2, 3)), weights["fc1.weight"], weights["fc1.bias"])


def neighbour_residuals(pictures: Any) -> Any:
    """Return each pixel's difference from the top left one of its 2 x 2 cell, times NPR_SCALE; H and W even."""
    cells = pictures[..., ::2, ::2]
    return NPR_SCALE * (pictures - cells.repeat_interleave(2, dim=-2).repeat_interleave(2, dim=-1))


def diagonal_details(pictures: Any) -> Any:
    """Return the diagonal wavelet details (bior1.3, symmetric edges) of (N, 3, H, W), enlarged to (N, 3, H, W) again.

    Source: models/resnet.py of SAFE, ``_preprocess_dwt``: the third detail band of one level, bilinear enlargement.
    """
    from torch.nn import functional as nnf

    details = _high_pass(_high_pass(pictures, dim=-2), dim=-1)
    return nnf.interpolate(details, size=pictures.shape[-2:], mode="bilinear", align_corners=False)


def _high_pass(values: Any, *, dim: int) -> Any:
    """Filter and halve along one dimension: (L + taps - 1) // 2 values, mirrored edges, as PyWavelets does it."""
    from torch import arange

    length, taps = values.shape[dim], len(BIOR13_HIGH)
    places = 2 * arange((length + taps - 1) // 2, device=values.device)[:, None] + 1
    places = places - arange(taps, device=values.device)[None, :]
    period = places % (2 * length)
    mirrored = period.where(period < length, 2 * length - 1 - period)
    seen = values.movedim(dim, -1)[..., mirrored]
    return (seen * values.new_tensor(BIOR13_HIGH)).sum(dim=-1).movedim(-1, dim)


def _bottleneck(values: Any, weights: Weights, at: str, *, stride: int) -> Any:
    from torch.nn import functional as nnf

    inner = nnf.relu(_norm(nnf.conv2d(values, weights[f"{at}conv1.weight"]), weights, f"{at}bn1"))
    inner = nnf.conv2d(inner, weights[f"{at}conv2.weight"], stride=stride, padding=1)
    inner = nnf.conv2d(nnf.relu(_norm(inner, weights, f"{at}bn2")), weights[f"{at}conv3.weight"])
    short = values
    if f"{at}downsample.0.weight" in weights:
        short = nnf.conv2d(values, weights[f"{at}downsample.0.weight"], stride=stride)
        short = _norm(short, weights, f"{at}downsample.1")
    return nnf.relu(_norm(inner, weights, f"{at}bn3") + short)


def _norm(values: Any, weights: Weights, name: str) -> Any:
    from torch.nn import functional as nnf

    statistics = (weights[f"{name}.running_mean"], weights[f"{name}.running_var"])
    return nnf.batch_norm(values, *statistics, weights[f"{name}.weight"], weights[f"{name}.bias"], eps=_EPS)


def _norm_shapes(name: str, channels: int) -> Shapes:
    names = ("weight", "bias", "running_mean", "running_var")
    return {f"{name}.{part}": (channels,) for part in names} | {f"{name}.num_batches_tracked": ()}
