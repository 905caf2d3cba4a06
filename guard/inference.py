"""ONNX models on the processor: one way to open a model file whose digest was checked before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from guard.errors import ConfigError, WeightsError


def open_onnx(path: Path, *, name: str) -> Any:
    """Return an ONNX Runtime session with one thread; parallel requests share the cores.

    Args:
        path: the model file, already compared with its pinned digest.
        name: what to call the model in messages, e.g. ``The prompt model``.

    Raises:
        ConfigError: onnxruntime is not installed.
        WeightsError: the file does not load.
    """
    try:
        import onnxruntime
    except ImportError as exc:
        raise ConfigError(f"{name} needs onnxruntime.", next_step="pip install onnxruntime") from exc
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as exc:  # onnxruntime raises its own kinds; a model that does not load stops the start
        raise WeightsError(f"{name} {path} cannot be loaded.") from exc
