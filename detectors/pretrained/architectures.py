"""The published detectors, each as a choice of building blocks and the names under which its tensors were published."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from detectors.pretrained.residual_network import (
    HalfResNetShape,
    diagonal_details,
    half_resnet,
    half_resnet_shapes,
    neighbour_residuals,
)
from detectors.pretrained.vision_transformer import (
    Shapes,
    ViTShape,
    Weights,
    clip_features,
    clip_shapes,
    vit_class_token,
    vit_shapes,
)

CLIP_VIT_L_14 = ViTShape(width=1024, depth=24, heads=16, patch=14, grid=16)
"""CLIP ViT-L/14 at 224 px. Source: Radford et al. 2021 (arXiv 2103.00020), table 20."""
CLIP_EMBEDDING = 768
VIT_S_16_384 = ViTShape(width=384, depth=12, heads=6, patch=16, grid=24)
"""ViT-S/16 at 384 px. Source: timm, vision_transformer.py, ``vit_small_patch16_384``."""
DINOV2_L_14 = ViTShape(width=1024, depth=24, heads=16, patch=14, grid=37, layer_scale=True)
"""DINOv2 ViT-L/14, positions learned at 518 px. Source: dinov2, hub/backbones.py, ``dinov2_vitl14``."""
_LORA = re.compile(r"(.+)\.original_layer\.weight")
_ADAPTED = ("attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2")
"""Layers with low-rank updates (DDA, models/dinov2_models_lora.py: default ``lora_targets``)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommunityForensics:
    """A ViT with one output. Source: Park and Owens 2025 (arXiv 2411.04125), section 4; models.py @5e52ed6."""

    vit: ViTShape = VIT_S_16_384

    def shapes(self) -> Shapes:
        """Return the tensors: a timm ViT under ``vit.`` with a head of one output."""
        body = {f"vit.{name}": shape for name, shape in vit_shapes(self.vit).items()}
        return body | {"vit.head.weight": (1, self.vit.width), "vit.head.bias": (1,)}

    def backbone_shapes(self) -> Shapes:
        """Return nothing: the file is complete."""
        return {}

    def folded(self, weights: Weights) -> Weights:
        """Return the tensors without their prefix."""
        return {name.removeprefix("vit."): value for name, value in weights.items()}

    def logits(self, weights: Weights, pictures: Any) -> Any:
        """Return (N,) logits."""
        from torch.nn import functional as nnf

        token = vit_class_token(weights, self.vit, pictures)
        return nnf.linear(token, weights["head.weight"], weights["head.bias"])[:, 0]


@dataclass(frozen=True, slots=True, kw_only=True)
class UnivFD:
    """A linear layer on CLIP's picture vector. Source: Ojha et al. 2023 (arXiv 2302.10174), section 4; validate.py."""

    clip: ViTShape = CLIP_VIT_L_14
    embedding: int = CLIP_EMBEDDING

    def shapes(self) -> Shapes:
        """Return the tensors of the linear layer."""
        return {"weight": (1, self.embedding), "bias": (1,)}

    def backbone_shapes(self) -> Shapes:
        """Return the tensors of CLIP's picture side."""
        return clip_shapes(self.clip, embedding=self.embedding)

    def folded(self, weights: Weights) -> Weights:
        """Return the tensors as they are."""
        return weights

    def logits(self, weights: Weights, pictures: Any) -> Any:
        """Return (N,) logits; the picture vector is not normalised."""
        from torch.nn import functional as nnf

        vectors, _ = clip_features(weights, self.clip, pictures)
        return nnf.linear(vectors, weights["weight"], weights["bias"])[:, 0]


@dataclass(frozen=True, slots=True, kw_only=True)
class RINE:
    """Class tokens of all CLIP layers, weighed. Source: Koutlis and Papadopoulos 2024 (arXiv 2402.19091), section 3.

    Attributes:
        projections: layers of each of the two projections (``nproj`` of src/models.py @325a1c9).
        width: of the projections.
    """

    clip: ViTShape = CLIP_VIT_L_14
    embedding: int = CLIP_EMBEDDING
    projections: int
    width: int

    def shapes(self) -> Shapes:
        """Return the trainable tensors; the numbers in their names count dropout and activations too."""
        found: Shapes = {"alpha": (1, self.clip.depth, self.width)}
        for i, name in enumerate(self._projection("proj1")):
            found |= {
                f"{name}.weight": (self.width, self.width if i else self.clip.width),
                f"{name}.bias": (self.width,),
            }
        for name in self._projection("proj2"):
            found |= {f"{name}.weight": (self.width, self.width), f"{name}.bias": (self.width,)}
        for name, out in (("head.0", self.width), ("head.3", self.width), ("head.6", 1)):
            found |= {f"{name}.weight": (out, self.width), f"{name}.bias": (out,)}
        return found

    def backbone_shapes(self) -> Shapes:
        """Return the tensors of CLIP's picture side."""
        return clip_shapes(self.clip, embedding=self.embedding)

    def folded(self, weights: Weights) -> Weights:
        """Return the tensors as they are."""
        return weights

    def logits(self, weights: Weights, pictures: Any) -> Any:
        """Return (N,) logits."""
        _, tokens = clip_features(weights, self.clip, pictures)
        for name in self._projection("proj1"):
            tokens = _relu_layer(tokens, weights, name)
        mixed = (weights["alpha"].softmax(dim=1) * tokens).sum(dim=1)
        for name in (*self._projection("proj2"), "head.0", "head.3"):
            mixed = _relu_layer(mixed, weights, name)
        return (mixed @ weights["head.6.weight"].T + weights["head.6.bias"])[:, 0]

    def _projection(self, name: str) -> tuple[str, ...]:
        return tuple(f"{name}.{1 + 3 * i}" for i in range(self.projections))


@dataclass(frozen=True, slots=True, kw_only=True)
class DDA:
    """DINOv2 with low-rank updates and one output. Source: Chen et al. 2025 (arXiv 2505.14359), section 4.

    Names, rank and factor: roy-ch/Dual-Data-Alignment, models/lora.py @9157920 and inference.py @fe24896.
    """

    vit: ViTShape = DINOV2_L_14
    rank: int = 8
    alpha: float = 1.0

    def shapes(self) -> Shapes:
        """Return the tensors: DINOv2's, those of adapted layers beside their updates, and the head."""
        found: Shapes = {"base_model.fc.weight": (1, self.vit.width), "base_model.fc.bias": (1,)}
        found["base_model.model.mask_token"] = (1, self.vit.width)
        for name, shape in vit_shapes(self.vit).items():
            layer, _, kind = name.rpartition(".")
            if not layer.endswith(_ADAPTED):
                found[f"base_model.model.{name}"] = shape
                continue
            found[f"base_model.model.{layer}.original_layer.{kind}"] = shape
            if kind == "weight":
                found[f"base_model.model.{layer}.lora.lora_A"] = (self.rank, shape[1])
                found[f"base_model.model.{layer}.lora.lora_B"] = (shape[0], self.rank)
        return found

    def backbone_shapes(self) -> Shapes:
        """Return nothing: the file is complete."""
        return {}

    def folded(self, weights: Weights) -> Weights:
        """Return the tensors of a plain ViT: every update is added to its layer."""
        plain = {name.removeprefix("base_model.").removeprefix("model."): value for name, value in weights.items()}
        found = {name: value for name, value in plain.items() if ".lora." not in name and "original_layer" not in name}
        for name, value in plain.items():
            adapted = _LORA.fullmatch(name)
            if adapted:
                layer = adapted[1]
                update = plain[f"{layer}.lora.lora_B"] @ plain[f"{layer}.lora.lora_A"]
                found[f"{layer}.weight"] = value + update * (self.alpha / self.rank)
                found[f"{layer}.bias"] = plain[f"{layer}.original_layer.bias"]
        return found

    def logits(self, weights: Weights, pictures: Any) -> Any:
        """Return (N,) logits."""
        from torch.nn import functional as nnf

        token = vit_class_token(weights, self.vit, pictures)
        return nnf.linear(token, weights["fc.weight"], weights["fc.bias"])[:, 0]


@dataclass(frozen=True, slots=True, kw_only=True)
class _HalfResNet:
    """What NPR and SAFE share: one file with everything, tensors as published."""

    network: HalfResNetShape

    def shapes(self) -> Shapes:
        """Return the tensors of the network."""
        return half_resnet_shapes(self.network)

    def backbone_shapes(self) -> Shapes:
        """Return nothing: the file is complete."""
        return {}

    def folded(self, weights: Weights) -> Weights:
        """Return the tensors as they are."""
        return weights


@dataclass(frozen=True, slots=True, kw_only=True)
class NPR(_HalfResNet):
    """Differences inside 2 x 2 cells. Source: Tan et al. 2024 (arXiv 2312.10461), section 3.2."""

    network: HalfResNetShape = field(default_factory=HalfResNetShape)

    def logits(self, weights: Weights, pictures: Any) -> Any:
        """Return (N,) logits."""
        return half_resnet(weights, self.network, neighbour_residuals(pictures))[:, 0]


@dataclass(frozen=True, slots=True, kw_only=True)
class SAFE(_HalfResNet):
    """Diagonal wavelet details. Source: Li et al. 2024 (arXiv 2408.06741), section 4."""

    network: HalfResNetShape = field(default_factory=lambda: HalfResNetShape(outputs=2))

    def logits(self, weights: Weights, pictures: Any) -> Any:
        """Return (N,) logits: the second output, "generated", minus the first."""
        both = half_resnet(weights, self.network, diagonal_details(pictures))
        return both[:, 1] - both[:, 0]


def _relu_layer(values: Any, weights: Weights, name: str) -> Any:
    return (values @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]).relu()
