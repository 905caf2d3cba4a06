"""Pictures of the statistics for a person to look at: the spectrum of the fine detail, and where the detail lies."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from detectors.crops import Crop
from detectors.statistical.planes import split_planes
from detectors.statistical.spectrum import centred_log_spectrum
from guard.media import luma
from guard.records import RGB8

SHOWN_SIDE = 448
"""Side of the drawn pictures in pixels: twice a crop, so that single spectral lines can be seen."""
_MOST = 6.0
"""Residuals above this many grey levels are shown at full brightness."""

SPECTRUM_CAPTION = (
    "Spectrum of the fine detail, averaged over the examined crops; low frequencies in the middle. Photographs fall "
    "off smoothly. Bright points or lines on a regular grid are traces of up-sampling, of compression (multiples of "
    "1/8) or of resizing: they show processing, not its purpose."
)
RESIDUAL_CAPTION = (
    "Strength of the fine detail (high-pass filtered, averaged over 8 x 8 pixels). Areas that are much smoother or "
    "rougher than comparable ones may have been retouched, pasted or denoised; skies and blur are smooth anyway."
)


def spectrum_picture(crops: tuple[Crop, ...]) -> RGB8:
    """Return the mean log-spectrum of the crops, coloured, SHOWN_SIDE square."""
    mean = np.mean([centred_log_spectrum(split_planes(crop.pixels).spectrum) for crop in crops], axis=0)
    low, high = np.quantile(mean, (0.01, 0.999))
    return _coloured((mean - low) / max(high - low, 1e-6), (SHOWN_SIDE, SHOWN_SIDE))


def residual_picture(pixels: RGB8) -> RGB8:
    """Return the local strength of fine detail of the whole picture, coloured, at most SHOWN_SIDE a side."""
    grey = luma(pixels)
    detail = np.minimum(np.abs(grey - cv2.GaussianBlur(grey, (0, 0), 1.0)), _MOST)
    height, width = detail.shape
    scale = SHOWN_SIDE / max(height, width)
    local = cv2.blur(detail, (8, 8))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return _coloured(np.asarray(cv2.resize(local, size, interpolation=cv2.INTER_AREA), np.float32) / _MOST, size)


def _coloured(share: NDArray[np.floating], size: tuple[int, int]) -> RGB8:
    """Return values in [0, 1] as Viridis colours, (H, W, 3) RGB, at ``size`` (width, height)."""
    grey = (np.clip(share, 0, 1) * 255).astype(np.uint8)
    large = cv2.resize(grey, size, interpolation=cv2.INTER_NEAREST)
    return np.ascontiguousarray(np.asarray(cv2.applyColorMap(large, cv2.COLORMAP_VIRIDIS), np.uint8)[..., ::-1])
