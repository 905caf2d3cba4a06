"""What each published network is shown: resize, crop and normalise exactly as its authors' evaluation does.

``prepare`` repeats torchvision's transforms on PIL pictures (Resize, CenterCrop, ToTensor, Normalize) without needing
torchvision, so that a score does not depend on its version.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from guard.records import RGB8

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Source: torchvision, models: mean and standard deviation of ImageNet, RGB in [0, 1]."""
CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
"""Source: openai/CLIP, clip/clip.py, ``_transform``."""
PLAIN_MEAN, PLAIN_STD = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """From a picture to a network's input.

    Attributes:
        shorter: resize the shorter side to this many pixels, bilinear with anti-aliasing; None: not.
        square: resize to a square of this side, changing the aspect; None: not.
        crop: side of the central crop; None: everything that is left.
        mean: subtracted from RGB in [0, 1].
        std: divided by afterwards.
    """

    shorter: int | None = None
    square: int | None = None
    crop: int | None = None
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    @property
    def least_side(self) -> int:
        """Return the shortest side, in pixels, of a picture that fills the input without black borders."""
        return self.crop or 1 if self.shorter is None and self.square is None else 1


def prepare(pixels: RGB8, preparation: Preparation) -> NDArray[np.float32]:
    """Return (3, H, W) float32, normalised.

    Args:
        pixels: (H, W, 3) uint8; not smaller than ``preparation.least_side``.
        preparation: of the network.
    """
    image = Image.fromarray(pixels)
    if preparation.shorter is not None:
        image = image.resize(_scaled(image.size, preparation.shorter), Image.Resampling.BILINEAR)
    if preparation.square is not None:
        image = image.resize((preparation.square, preparation.square), Image.Resampling.BILINEAR)
    values = np.asarray(image)
    if preparation.crop is not None:
        top, left = (
            round((side - preparation.crop) / 2) for side in values.shape[:2]
        )  # torchvision rounds to even too
        values = values[top : top + preparation.crop, left : left + preparation.crop]
    scaled = values.astype(np.float32) / np.float32(255)
    normalised = (scaled - np.array(preparation.mean, np.float32)) / np.array(preparation.std, np.float32)
    return np.ascontiguousarray(normalised.transpose(2, 0, 1), dtype=np.float32)


def _scaled(size: tuple[int, int], shorter: int) -> tuple[int, int]:
    """Return (width, height) with the shorter side as given, the longer one cut to whole pixels as torchvision does."""
    width, height = size
    if width <= height:
        return shorter, int(shorter * height / width)
    return int(shorter * width / height), shorter
