"""Vision transformers as functions over published state dicts: timm's and DINOv2's ViT, and the picture side of CLIP.

The tensors keep the names under which they were published, so that a state dict is either exactly right or refused.

Source: Dosovitskiy et al. 2021 (arXiv 2010.11929), section 3.1; Oquab et al. 2023 (arXiv 2304.07193) for layer scale;
Radford et al. 2021 (arXiv 2103.00020), section 2.4, for CLIP. Parity with timm and open_clip is tested.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

Weights: TypeAlias = Mapping[str, Any]
"""Name -> torch tensor."""
Shapes: TypeAlias = dict[str, tuple[int, ...]]
"""Name -> shape."""

_VIT_EPS = 1e-6
"""Of the layer norms of timm and DINOv2 (timm, vision_transformer.py; dinov2, models/vision_transformer.py)."""
_CLIP_EPS = 1e-5
"""torch's default, which CLIP uses."""
_QUICK_GELU = 1.702
"""CLIP's activation is x * sigmoid(1.702 x) (openai/CLIP, clip/model.py)."""
_POSITION_OFFSET = 0.1
"""Added to the number of patches before positions are scaled (dinov2, hub/backbones.py: interpolate_offset)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ViTShape:
    """How large a transformer is.

    Attributes:
        grid: patches a side for which positions were learned.
        layer_scale: whether each branch has a factor per channel (DINOv2).
        hidden: width of the hidden layer as a multiple of ``width``.
    """

    width: int
    depth: int
    heads: int
    patch: int
    grid: int
    layer_scale: bool = False
    hidden: int = 4


def vit_shapes(shape: ViTShape) -> Shapes:
    """Return names and shapes of a ViT's tensors without its head."""
    d, wide = shape.width, shape.hidden * shape.width
    found: Shapes = {
        "cls_token": (1, 1, d),
        "pos_embed": (1, 1 + shape.grid**2, d),
        "patch_embed.proj.weight": (d, 3, shape.patch, shape.patch),
        "patch_embed.proj.bias": (d,),
        "norm.weight": (d,),
        "norm.bias": (d,),
    }
    for i in range(shape.depth):
        at = f"blocks.{i}."
        for name in ("norm1", "norm2"):
            found |= {f"{at}{name}.weight": (d,), f"{at}{name}.bias": (d,)}
        for name, out, into in (
            ("attn.qkv", 3 * d, d),
            ("attn.proj", d, d),
            ("mlp.fc1", wide, d),
            ("mlp.fc2", d, wide),
        ):
            found |= {f"{at}{name}.weight": (out, into), f"{at}{name}.bias": (out,)}
        if shape.layer_scale:
            found |= {f"{at}ls1.gamma": (d,), f"{at}ls2.gamma": (d,)}
    return found


def vit_class_token(weights: Weights, shape: ViTShape, pictures: Any) -> Any:
    """Return (N, width): the class token after the last norm.

    Args:
        weights: as ``vit_shapes`` names them.
        shape: of the network.
        pictures: (N, 3, H, W) float32, normalised; H and W multiples of ``shape.patch``.
    """
    from torch import cat
    from torch.nn import functional as nnf

    patches = nnf.conv2d(
        pictures, weights["patch_embed.proj.weight"], weights["patch_embed.proj.bias"], stride=shape.patch
    )  # fmt: skip
    rows, columns = patches.shape[-2:]
    tokens = patches.flatten(2).transpose(1, 2)
    tokens = cat([weights["cls_token"].expand(len(pictures), -1, -1), tokens], dim=1)
    tokens = tokens + _positions(weights["pos_embed"], shape.grid, rows, columns)
    for i in range(shape.depth):
        at = f"blocks.{i}."
        normed = _norm(tokens, weights, f"{at}norm1", _VIT_EPS)
        qkv = nnf.linear(normed, weights[f"{at}attn.qkv.weight"], weights[f"{at}attn.qkv.bias"])
        branch = _linear(_attention(qkv, shape.heads), weights, f"{at}attn.proj")
        tokens = tokens + (branch * weights[f"{at}ls1.gamma"] if shape.layer_scale else branch)
        hidden = nnf.gelu(_linear(_norm(tokens, weights, f"{at}norm2", _VIT_EPS), weights, f"{at}mlp.fc1"))
        branch = _linear(hidden, weights, f"{at}mlp.fc2")
        tokens = tokens + (branch * weights[f"{at}ls2.gamma"] if shape.layer_scale else branch)
    return _norm(tokens, weights, "norm", _VIT_EPS)[:, 0]


def clip_shapes(shape: ViTShape, *, embedding: int) -> Shapes:
    """Return names and shapes of CLIP's picture side; ``embedding`` is the length of its vectors."""
    d, wide = shape.width, shape.hidden * shape.width
    found: Shapes = {
        "visual.class_embedding": (d,),
        "visual.positional_embedding": (1 + shape.grid**2, d),
        "visual.conv1.weight": (d, 3, shape.patch, shape.patch),
        "visual.proj": (d, embedding),
    }
    for name in ("ln_pre", "ln_post"):
        found |= {f"visual.{name}.weight": (d,), f"visual.{name}.bias": (d,)}
    for i in range(shape.depth):
        at = f"visual.transformer.resblocks.{i}."
        found |= {f"{at}attn.in_proj_weight": (3 * d, d), f"{at}attn.in_proj_bias": (3 * d,)}
        for name in ("ln_1", "ln_2"):
            found |= {f"{at}{name}.weight": (d,), f"{at}{name}.bias": (d,)}
        for name, out, into in (("attn.out_proj", d, d), ("mlp.c_fc", wide, d), ("mlp.c_proj", d, wide)):
            found |= {f"{at}{name}.weight": (out, into), f"{at}{name}.bias": (out,)}
    return found


def clip_features(weights: Weights, shape: ViTShape, pictures: Any) -> tuple[Any, Any]:
    """Return ((N, embedding) picture vectors, not normalised; (N, depth, width) class tokens after each second norm).

    Args:
        weights: as ``clip_shapes`` names them.
        shape: of the network.
        pictures: (N, 3, H, H) float32, normalised as CLIP does; H = ``shape.grid * shape.patch``.
    """
    from torch import cat, stack
    from torch.nn import functional as nnf

    patches = nnf.conv2d(pictures, weights["visual.conv1.weight"], stride=shape.patch).flatten(2).transpose(1, 2)
    first = weights["visual.class_embedding"].expand(len(pictures), 1, -1)
    tokens = cat([first, patches], dim=1) + weights["visual.positional_embedding"]
    tokens = _norm(tokens, weights, "visual.ln_pre", _CLIP_EPS)
    seen = []
    for i in range(shape.depth):
        at = f"visual.transformer.resblocks.{i}."
        normed = _norm(tokens, weights, f"{at}ln_1", _CLIP_EPS)
        qkv = nnf.linear(normed, weights[f"{at}attn.in_proj_weight"], weights[f"{at}attn.in_proj_bias"])
        tokens = tokens + _linear(_attention(qkv, shape.heads), weights, f"{at}attn.out_proj")
        normed = _norm(tokens, weights, f"{at}ln_2", _CLIP_EPS)
        seen.append(normed[:, 0])
        hidden = _linear(normed, weights, f"{at}mlp.c_fc")
        tokens = tokens + _linear(hidden * (_QUICK_GELU * hidden).sigmoid(), weights, f"{at}mlp.c_proj")
    vectors = _norm(tokens[:, 0], weights, "visual.ln_post", _CLIP_EPS) @ weights["visual.proj"]
    return vectors, stack(seen, dim=1)


def _positions(table: Any, grid: int, rows: int, columns: int) -> Any:
    """Return the position of every token, scaled to another number of patches as DINOv2 does."""
    from torch import cat
    from torch.nn import functional as nnf

    if rows == columns == grid:
        return table
    learned = table[:, 1:].reshape(1, grid, grid, -1).permute(0, 3, 1, 2)
    factors = ((rows + _POSITION_OFFSET) / grid, (columns + _POSITION_OFFSET) / grid)
    scaled = nnf.interpolate(learned, scale_factor=factors, mode="bicubic", antialias=False)
    return cat([table[:, :1], scaled.flatten(2).transpose(1, 2)], dim=1)


def _attention(qkv: Any, heads: int) -> Any:
    """Return (N, T, D) from (N, T, 3 D) queries, keys and values."""
    from torch.nn import functional as nnf

    count, tokens, triple = qkv.shape
    queries, keys, values = qkv.reshape(count, tokens, 3, heads, triple // 3 // heads).permute(2, 0, 3, 1, 4)
    mixed = nnf.scaled_dot_product_attention(queries, keys, values)
    return mixed.transpose(1, 2).reshape(count, tokens, triple // 3)


def _linear(values: Any, weights: Weights, name: str) -> Any:
    from torch.nn import functional as nnf

    return nnf.linear(values, weights[f"{name}.weight"], weights[f"{name}.bias"])


def _norm(values: Any, weights: Weights, name: str, eps: float) -> Any:
    from torch.nn import functional as nnf

    return nnf.layer_norm(values, values.shape[-1:], weights[f"{name}.weight"], weights[f"{name}.bias"], eps)
