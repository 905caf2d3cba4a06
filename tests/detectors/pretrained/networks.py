"""Random weights of the published architectures, small enough to write and run in a test."""

from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from detectors.pretrained.architectures import NPR
from detectors.upload import Upload, load_upload
from guard.media import encode
from guard.records import RGB8, ImageFormat
from tests.detectors.pretrained.restated import RestatedHalfResNet, state_of

NPR_SHAPES = NPR().shapes()


def half_resnet_state(outputs: int = 1) -> dict[str, Tensor]:
    """The published size: 1.44 million numbers."""
    torch.manual_seed(3)
    return state_of(RestatedHalfResNet(base=64, blocks=(3, 4), outputs=outputs))


def saved(path: Path, state: dict[str, Tensor]) -> Path:
    save_file(state, path)
    return path


def upload_of(pixels: RGB8) -> Upload:
    return load_upload(encode(np.ascontiguousarray(pixels), ImageFormat.PNG))
