"""A published network with an operator's weights as a scorer: strict tensors, one caller at a time, finite answers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from typing import Any

from detectors.pretrained.interfaces import Architecture
from detectors.pretrained.preparation import Preparation, prepare
from detectors.pretrained.vision_transformer import Shapes, Weights
from guard.errors import ConfigError, DetectorError, WeightsError
from guard.model_source import DeviceName, torch_device
from guard.records import RGB8

BACKBONE_PREFIX = "visual."
"""What is taken of a CLIP file: its picture side; the text side is not needed."""


class NetworkScorer:
    """Implements ``PictureScorer``; the files were compared with their pinned digests before."""

    scale = "logit of the network, before calibration"

    def __init__(
        self,
        architecture: Architecture,
        preparation: Preparation,
        *,
        name: str,
        file: Path,
        backbone: Path | None,
        digest: str,
        device: DeviceName = "cpu",
    ) -> None:
        """Keep what is needed; nothing is loaded yet.

        Args:
            architecture: what the tensors compute.
            preparation: what the network is shown.
            name: for messages.
            file: safetensors with the published tensors.
            backbone: safetensors with the rest of them, where the architecture has a backbone.
            digest: content digest of both files.
            device: where the network runs.
        """
        self._device = device
        self._architecture = architecture
        self._preparation = preparation
        self._name = name
        self._file = file
        self._backbone = backbone
        self._lock = Lock()
        self._weights: Weights | None = None
        self.digest = digest

    @property
    def least_side(self) -> int:
        """Return the shortest side of a picture that fills the network's input."""
        return self._preparation.least_side

    def score(self, pixels: RGB8) -> float:
        """Return the logit of (H, W, 3) uint8.

        Raises:
            DetectorError: the network failed, or answered with a number that is not finite.
            ConfigError: torch, safetensors or the device is missing, or the weights do not fit (WeightsError).
        """
        torch = _torch()
        device = torch_device(self._device)
        prepared = torch.from_numpy(prepare(pixels, self._preparation))[None].to(device)
        with self._lock, torch.inference_mode():
            if self._weights is None:
                self._weights = self._load(device)
            try:
                value = float(self._architecture.logits(self._weights, prepared)[0])
            except (RuntimeError, ValueError, IndexError) as exc:  # what torch raises, lack of memory included
                raise DetectorError(f"{self._name} could not run on this picture.") from exc
        if not math.isfinite(value):
            raise DetectorError(f"{self._name} answered with {value}, which is not a finite number.")
        return value

    def _load(self, device: str) -> Weights:
        """Return the folded tensors as float32, where the network runs."""
        own = read_tensors(self._file)
        require_tensors(own, self._architecture.shapes(), what=f"{self._name} ({self._file})")
        if self._backbone is not None:
            below = {k: v for k, v in read_tensors(self._backbone).items() if k.startswith(BACKBONE_PREFIX)}
            require_tensors(below, self._architecture.backbone_shapes(), what=f"the backbone of {self._name}")
            own |= below
        return self._architecture.folded({name: value.float().to(device) for name, value in own.items()})


def read_tensors(path: Path) -> dict[str, Any]:
    """Return the tensors of a safetensors file.

    Raises:
        ConfigError: safetensors or torch is not installed.
        WeightsError: the file does not load.
    """
    _torch()
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        found: dict[str, Any] = load_file(path)
    except (OSError, SafetensorError) as exc:
        raise WeightsError(f"The weights {path} are not a readable safetensors file: {exc}.") from exc
    return found


def require_tensors(found: Mapping[str, Any], expected: Shapes, *, what: str) -> None:
    """Raise unless exactly the expected tensors are there.

    Args:
        found: name -> anything with a ``shape``.
        expected: name -> shape.
        what: for the message.

    Raises:
        WeightsError: missing or unexpected names, or another shape; the first three of each are named.
    """
    missing = sorted(expected.keys() - found.keys())
    unexpected = sorted(found.keys() - expected.keys())
    shaped = [name for name in expected.keys() & found.keys() if tuple(found[name].shape) != expected[name]]
    if not missing and not unexpected and not shaped:
        return
    parts = []
    if missing:
        parts.append(f"{len(missing)} tensors are missing ({', '.join(missing[:3])})")
    if unexpected:
        parts.append(f"{len(unexpected)} are unexpected ({', '.join(unexpected[:3])})")
    if shaped:
        first = min(shaped)
        parts.append(f"{first} has the shape {tuple(found[first].shape)} instead of {expected[first]}")
    raise WeightsError(
        f"The weights of {what} do not fit the published architecture: {'; '.join(parts)}.",
        next_step="Fetch the file that the catalogue names: `signet weights list`.",
    )


def _torch() -> Any:
    """Return torch. Raises ConfigError when it or safetensors is missing."""
    try:
        import safetensors.torch  # noqa: F401 - imported only to find out
        import torch
    except ImportError as exc:
        raise ConfigError(
            f"Detectors of others need a library that is not installed: {exc.name}.",
            next_step='pip install "signet-gateway[detectors]"',
        ) from exc
    return torch
