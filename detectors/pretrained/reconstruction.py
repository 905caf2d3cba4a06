"""How well an autoencoder of a diffusion model repeats a picture: what it made itself, it repeats better.

Source: Ricker, Lukovnikov and Fischer 2024, AEROBLADE (arXiv 2401.17879), sections 3 and 4. Differs: without weights
of LPIPS (``perceptual.py``) the distance is ``detail_distance``; the posterior's mode stands for a sample, so that a
score repeats; one autoencoder a detector, where the paper takes the least distance over several. JPEG files, resized
copies and smooth pictures shift the distance as much as the origin does: without a card it says little.
"""

from __future__ import annotations

import math
from pathlib import Path
from threading import Lock
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from detectors.pretrained.perceptual import PerceptualDistance
from guard.errors import ConfigError, DetectorError, WeightsError
from guard.model_source import DeviceName, torch_device
from guard.records import RGB8

AUTOENCODER_FILES = ("config.json", "diffusion_pytorch_model.safetensors")
"""What ``save_pretrained`` of diffusers writes for an autoencoder."""
MAX_SIDE = 512
"""Central part that is repeated: the size of the paper's pictures, and a bound on time and memory."""
STEP = 64
"""Sides are cut to multiples of this; autoencoders of diffusion models reduce by 8 to 64."""
LEAST_SIDE = 128
LEVELS = 2
"""Bands of the pyramid: details of about 1 and 2 pixels, which is where decoders leave their traces."""
_FLOOR = 1.0 / 255
"""Added to the mean detail, so that flat pictures do not divide by zero; one grey level."""


class ReconstructionScorer:
    """Minus the distance between a picture and its reconstruction; implements ``PictureScorer``."""

    least_side = LEAST_SIDE

    def __init__(
        self,
        folder: Path,
        *,
        name: str,
        digest: str,
        perceptual: PerceptualDistance | None = None,
        device: DeviceName = "cpu",
    ) -> None:
        """Keep what is needed; nothing is loaded yet.

        Args:
            folder: AUTOENCODER_FILES, compared with their pinned digests before.
            name: for messages.
            digest: content digest of the files.
            perceptual: the published distance, or None for our own.
            device: where the autoencoder runs.
        """
        self._device = device
        self._distance = perceptual or detail_distance
        self.scale = (
            "minus the second layer of LPIPS between picture and reconstruction"
            if perceptual
            else "minus the relative change of fine details by the autoencoder; our distance, not LPIPS"
        )
        self._folder = folder
        self._name = name
        self._lock = Lock()
        self._model: Any = None
        self.digest = digest

    def score(self, pixels: RGB8) -> float:
        """Return minus the distance, at most 0, of (H, W, 3) uint8.

        Raises:
            DetectorError: the autoencoder failed, or answered with numbers that are not finite.
            ConfigError: diffusers or the device is missing, or the folder is no AutoencoderKL (WeightsError).
        """
        part = central_part(pixels)
        torch = _torch()
        given = torch.from_numpy(part.astype(np.float32) / 127.5 - 1).permute(2, 0, 1)[None]
        device = torch_device(self._device)
        given = given.to(device)
        with self._lock, torch.inference_mode():
            if self._model is None:
                self._model = self._load().to(device)
            try:
                repeated = self._model.decode(self._model.encode(given).latent_dist.mode()).sample[0]
                answer = repeated.clamp(-1, 1).permute(1, 2, 0).cpu().numpy() / 2 + 0.5
            except (RuntimeError, ValueError) as exc:  # what torch raises, lack of memory included
                raise DetectorError(f"The autoencoder {self._name} could not run on this picture.") from exc
        distance = self._distance(part.astype(np.float32) / np.float32(255), np.asarray(answer, np.float32))
        if not math.isfinite(distance):
            raise DetectorError(f"The autoencoder {self._name} answered with numbers that are not finite.")
        return -distance

    def _load(self) -> Any:
        try:
            from diffusers import AutoencoderKL
        except ImportError as exc:
            raise ConfigError(
                f"The autoencoder {self._name} needs diffusers.", next_step='pip install "signet-gateway[generate]"'
            ) from exc
        try:
            model = AutoencoderKL.from_pretrained(self._folder, local_files_only=True, use_safetensors=True)
        except Exception as exc:  # diffusers raises many kinds for a folder that does not fit
            raise WeightsError(f"{self._folder} is not a folder of a diffusers AutoencoderKL.") from exc
        return model.eval()


def central_part(pixels: RGB8) -> RGB8:
    """Return the central part of (H, W, 3) uint8: at most MAX_SIDE, sides multiples of STEP; at least LEAST_SIDE in."""
    height, width = (min(MAX_SIDE, side // STEP * STEP) for side in pixels.shape[:2])
    top, left = (pixels.shape[0] - height) // 2, (pixels.shape[1] - width) // 2
    return np.ascontiguousarray(pixels[top : top + height, left : left + width])


def detail_distance(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    """Return how much the fine details of two pictures differ, relative to how much detail there is; 0: equal.

    Laplacian bands of both are compared by mean absolute difference, each divided by the mean absolute value of the
    first picture's band, and averaged. Our own distance; it rises with texture less than LPIPS does.

    Args:
        first: (H, W, 3) float32 in [0, 1].
        second: of the same size.

    Source: Burt and Adelson 1983 for the pyramid.
    """
    found = []
    for _ in range(LEVELS):
        smooth = [cv2.GaussianBlur(picture, (5, 5), 0) for picture in (first, second)]
        bands = [picture - low for picture, low in zip((first, second), smooth, strict=True)]
        found.append(float(np.abs(bands[0] - bands[1]).mean()) / (float(np.abs(bands[0]).mean()) + _FLOOR))
        first, second = (np.ascontiguousarray(low[::2, ::2]) for low in smooth)
    return sum(found) / len(found)


def _torch() -> Any:
    """Return torch. Raises ConfigError when it is missing."""
    try:
        import torch
    except ImportError as exc:
        raise ConfigError(
            "Reconstruction needs torch and diffusers.", next_step='pip install "signet-gateway[generate]"'
        ) from exc
    return torch
