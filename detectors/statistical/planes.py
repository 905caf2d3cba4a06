"""The planes that every statistic looks at, computed once a crop: luma, chroma and high-pass residuals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from guard.records import RGB8

Plane: TypeAlias = NDArray[np.float32]
"""(S, S) float32 in units of 8-bit grey levels."""
Features: TypeAlias = NDArray[np.float32]
"""(N,) float32, finite."""

MIN_CROP_SIDE = 128
"""Smallest crop: below it the finest spectral bins hold fewer than 100 coefficients."""
CROP_STEP = 16
"""Crop sides are multiples of 16, so that every period of 2, 4, 8 and 16 pixels falls on a spectral line."""
_KV = (
    np.array(
        [[-1, 2, -2, 2, -1], [2, -6, 8, -6, 2], [-2, 8, -12, 8, -2], [2, -6, 8, -6, 2], [-1, 2, -2, 2, -1]], np.float32
    )
    / 12
)
_KV.flags.writeable = False
CLIP = 4.0
"""Residuals are clipped here (grey levels), so that edges do not drown the texture between them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Planes:
    """One crop, taken apart.

    Attributes:
        rgb: (S, S, 3) float32, 0..255.
        luma: Rec. 601 luma.
        blue: B - luma; red: R - luma.
        kv: luma through the 5x5 filter of Ker and Boehme (Fridrich and Kodovsky 2012, "Rich models", fig. 1).
        detail: luma minus its Gaussian blur (sigma 1), not clipped.
        spectrum: (S, S) float32, squared modulus of the Fourier transform of the clipped detail.
    """

    rgb: NDArray[np.float32]
    luma: Plane
    blue: Plane
    red: Plane
    kv: Plane
    detail: Plane
    spectrum: Plane


def split_planes(crop: RGB8) -> Planes:
    """Return the planes of an (S, S, 3) uint8 crop; S a multiple of CROP_STEP, at least MIN_CROP_SIDE."""
    rgb = crop.astype(np.float32)
    luma = rgb @ np.array([0.299, 0.587, 0.114], np.float32)
    detail = luma - cv2.GaussianBlur(luma, (0, 0), 1.0, borderType=cv2.BORDER_REFLECT)
    clipped = np.clip(detail, -CLIP, CLIP)
    return Planes(
        rgb=rgb,
        luma=luma,
        blue=rgb[..., 2] - luma,
        red=rgb[..., 0] - luma,
        kv=cv2.filter2D(luma, -1, _KV, borderType=cv2.BORDER_REFLECT),
        detail=detail,
        spectrum=power(clipped - clipped.mean()),
    )


def power(plane: Plane) -> Plane:
    """Return the squared modulus of the 2-D Fourier transform; (S, S), zero frequency first."""
    parts = cv2.dft(plane, flags=cv2.DFT_COMPLEX_OUTPUT)
    return np.asarray(parts[..., 0] ** 2 + parts[..., 1] ** 2, np.float32)


def log_power(spectrum: Plane) -> Plane:
    """Return ln(power + 0.001), the offset keeping empty crops finite."""
    return np.asarray(np.log(spectrum + np.float32(1e-3)), np.float32)
