"""Trained heads -> the ONNX files and cards in ``detectors/models``, weights stored in half precision."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from detectors.calibration.card import CalibrationCard
from guard.weights import sha256_file
from training.pixels.heads import Heads, LinearGroups
from training.pixels.texture import TextureStatistics

OPSET = 17
MIN_HALVED = 256
"""Initialisers with fewer values stay in single precision; they are biases and constants."""


class LearnedModel(nn.Module):
    """RGB crops -> logits (N, 1 + families) and the texture statistics that they came from."""

    def __init__(self, texture: TextureStatistics, heads: Heads) -> None:
        super().__init__()
        self.texture = texture
        self.heads = heads

    def forward(self, rgb: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits and texture statistics."""
        texture = self.texture(rgb)
        return self.heads(texture), texture


def export_learned(texture: TextureStatistics, heads: Heads, target: Path) -> None:
    """Write the network: input ``rgb`` (N, 3, H, W) in [0, 255], outputs ``logits`` and ``texture``."""
    axes = {"rgb": {0: "n", 2: "h", 3: "w"}, "logits": {0: "n"}, "texture": {0: "n"}}
    example = torch.rand(2, 3, 224, 224) * 255
    _export(LearnedModel(texture, heads), example, target, "rgb", ["logits", "texture"], axes)


def export_statistical(model: LinearGroups, width: int, target: Path) -> None:
    """Write the linear model: input ``features`` (N, width), outputs ``score`` (N, 1) and ``groups``."""
    axes = {name: {0: "n"} for name in ("features", "score", "groups")}
    _export(model, torch.rand(2, width), target, "features", ["score", "groups"], axes)


def _export(
    module: nn.Module, example: Tensor, target: Path, name: str, outputs: list[str], axes: dict[str, Any]
) -> None:
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    torch.onnx.export(
        module.eval(), (example,), str(target), input_names=[name], output_names=outputs, dynamic_axes=axes,
        opset_version=OPSET, dynamo=False,
    )  # fmt: skip
    halve_weights(target)


def halve_weights(path: Path) -> None:
    """Store large weights as float16 with a cast back to float32, which ONNX Runtime folds when it loads the model."""
    model = onnx.load(path)
    casts = []
    for initialiser in list(model.graph.initializer):
        values = numpy_helper.to_array(initialiser)
        if initialiser.data_type != TensorProto.FLOAT or values.size < MIN_HALVED:
            continue
        half = numpy_helper.from_array(values.astype(np.float16), f"{initialiser.name}.half")
        casts.append(helper.make_node("Cast", [half.name], [initialiser.name], to=TensorProto.FLOAT))
        model.graph.initializer.remove(initialiser)
        model.graph.initializer.append(half)
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def write_card(card: CalibrationCard, path: Path) -> None:
    """Write a card as indented JSON."""
    path.write_text(card.model_dump_json(indent=1) + "\n", encoding="utf-8")


def write_digests(folder: Path) -> None:
    """Pin every file of the folder that is loaded."""
    files = sorted(p for p in folder.iterdir() if p.suffix in (".onnx", ".json") and p.name != "digests.json")
    text = json.dumps({path.name: sha256_file(path) for path in files}, indent=1)
    (folder / "digests.json").write_text(text + "\n", encoding="utf-8")
