"""The fitted views as one ONNX graph: table look-ups, two sums, a small network, one calibrated sigmoid.

Tables: idf uint8, n-gram weights int8, word-piece vectors int8 with one step for each dimension; pieces that no reading
holds (other scripts, reserved ones) are left out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from guard.prompt_check.hashed_ngrams import FEATURES_VERSION
from guard.prompt_check.wordpiece import UNKNOWN
from training.prompts.data import CATEGORIES
from training.prompts.fit import Fitted, Stack
from training.prompts.matrix import IDF_STEP
from training.prompts.meaning import LAYERS, MeaningNet

OPSET = 17
_READABLE = re.compile(r"(?:##)?[!-Z^-~]+")
"""A piece in printable ASCII without square brackets (those mark reserved pieces)."""
_CLIP_QUANTILE = 0.9999
"""Vector components beyond this quantile are clipped, so that one rare piece does not coarsen all others."""


class _Graph:
    """Collects nodes and constants under fresh names."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, name: str, value: np.ndarray) -> str:
        """Add an initialiser and return its name."""
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def add(self, operator: str, *inputs: str, out: str | None = None, **attributes: object) -> str:
        """Add a node with one output and return the output's name."""
        name = out or f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [name], **attributes))
        return name

    def floats(self, name: str) -> str:
        """Return a cast to float32."""
        return self.add("Cast", name, to=TensorProto.FLOAT)

    def linear(self, name: str, value: str, weight: np.ndarray, bias: np.ndarray) -> str:
        """Return ``value @ weight.T + bias``; ``weight`` as in torch (out, in)."""
        product = self.add("MatMul", value, self.constant(f"{name}_weight", weight.T.astype(np.float32)))
        return self.add("Add", product, self.constant(f"{name}_bias", bias.astype(np.float32)))


def _block(graph: _Graph, name: str, idf: np.ndarray, weights: np.ndarray) -> str:
    """Add one n-gram block; return the name of its (1, 1) logit."""
    slots = f"{name}_slots"
    value = graph.add(
        "Mul", graph.floats(graph.add("Gather", graph.constant(f"{name}_idf", idf), slots)), f"{name}_weights"
    )
    squares = graph.add("ReduceSum", graph.add("Mul", value, value), keepdims=1)
    row = graph.add("Reshape", graph.add("Div", value, graph.add("Sqrt", graph.add("Add", squares, "tiny"))), "one_row")
    step = np.maximum(np.quantile(np.abs(weights[weights != 0.0]), _CLIP_QUANTILE), 1e-6) / 127.0
    packed = np.clip(np.round(weights / step), -127, 127).astype(np.int8)
    table = graph.constant(f"{name}_table", packed[:, None])
    found = graph.add("MatMul", row, graph.floats(graph.add("Gather", table, slots)))
    return graph.add("Mul", found, graph.constant(f"{name}_step", np.float32([step])))


def _meaning(graph: _Graph, net: MeaningNet, keep: np.ndarray) -> str:
    """Add the meaning view; return the name of its (1, 1 + heads) logits."""
    state = {name: value.detach().numpy() for name, value in net.state_dict().items()}
    vectors = state["vectors.weight"][:-1][keep]
    step = np.maximum(np.quantile(np.abs(vectors), _CLIP_QUANTILE, axis=0), 1e-6) / 127.0
    packed = np.clip(np.round(vectors / step), -127, 127).astype(np.int8)
    looked_up = graph.floats(graph.add("Gather", graph.constant("piece_table", packed), "pieces"))
    value = graph.add("Mul", looked_up, graph.constant("piece_step", step.astype(np.float32)))
    graph.constant("edge", np.zeros((1, vectors.shape[1]), np.float32))
    for name, number in (("zero", 0), ("one", 1), ("minus_one", -1), ("far", 1 << 30)):
        graph.constant(name, np.int64([number]))
    for layer in range(LAYERS):
        before = graph.add("Concat", "edge", graph.add("Slice", value, "zero", "minus_one", "zero"), axis=0)
        after = graph.add("Concat", graph.add("Slice", value, "one", "far", "zero"), "edge", axis=0)
        around = graph.add("Concat", before, value, after, axis=1)
        name = f"context.{layer}"
        context = graph.linear(name, around, state[f"{name}.weight"], state[f"{name}.bias"])
        value = graph.add("Add", value, graph.add("Relu", context))
    attention = graph.linear("queries", value, state["queries.weight"], state["queries.bias"])
    weights = graph.add("Transpose", graph.add("Softmax", attention, axis=0), perm=[1, 0])
    pooled = graph.add("Reshape", graph.add("MatMul", weights, value), "one_row")
    mean = graph.add("ReduceMean", value, axes=[0], keepdims=1)
    joined = graph.add("Concat", pooled, mean, axis=1)
    hidden = graph.add("Relu", graph.linear("hidden", joined, state["hidden.weight"], state["hidden.bias"]))
    return graph.linear("out", hidden, state["out.weight"], state["out.bias"])


def shipped_pieces(vocabulary: Sequence[str]) -> np.ndarray:
    """Return the numbers of the word pieces that readings can hold: plain ones and the unknown piece."""
    return np.array([n for n, piece in enumerate(vocabulary) if piece == UNKNOWN or _READABLE.fullmatch(piece)])


def export(fitted: Fitted, net: MeaningNet, stack: Stack, path: Path, *, keep: np.ndarray) -> None:
    """Write the graph.

    Args:
        fitted: n-gram view.
        net: meaning view.
        stack: how the views are summed.
        path: file to write.
        keep: numbers of the word pieces that are shipped, in the order of the shipped vocabulary.
    """
    graph = _Graph()
    graph.constant("tiny", np.float32([(1e-6 / IDF_STEP) ** 2]))
    graph.constant("one_row", np.int64([1, -1]))
    spelling = graph.add(
        "Add",
        _block(graph, "character", fitted.idf_characters, fitted.characters),
        _block(graph, "word", fitted.idf_words, fitted.words),
    )
    spelling = graph.add("Add", spelling, graph.constant("bias", np.float32([[fitted.intercept]])))
    meaning = _meaning(graph, net, keep)
    first = graph.add("Slice", meaning, "zero", "one", "one")
    heads = graph.add("Slice", meaning, "one", "far", "one")
    joined = graph.add("Concat", spelling, first, axis=1)
    logit = graph.linear("stack", joined, np.float32([[stack.spelling, stack.meaning]]), np.float32([stack.intercept]))
    graph.add("Sigmoid", logit, out="violating")
    graph.add("Sigmoid", heads, out="categories")
    inputs = [
        helper.make_tensor_value_info(f"{name}_{kind}", element, ["n_" + name])
        for name in ("character", "word")
        for kind, element in (("slots", TensorProto.INT64), ("weights", TensorProto.FLOAT))
    ]
    inputs.append(helper.make_tensor_value_info("pieces", TensorProto.INT64, ["n_pieces"]))
    outputs = [
        helper.make_tensor_value_info("violating", TensorProto.FLOAT, [1, 1]),
        helper.make_tensor_value_info("categories", TensorProto.FLOAT, [1, len(CATEGORIES)]),
    ]
    model = helper.make_model(
        helper.make_graph(graph.nodes, "signet-prompt", inputs, outputs, graph.constants),
        opset_imports=[helper.make_opsetid("", OPSET)],
        producer_name="training.prompts",
    )
    model.ir_version = 9
    helper.set_model_props(model, {"features_version": str(FEATURES_VERSION), "categories": ",".join(CATEGORIES)})
    onnx.checker.check_model(model)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model.SerializeToString())
