"""How far a marked picture is from the original: PSNR, SSIM, and colour difference as an eye at a distance sees it.

All figures are deterministic and need no learned network.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from guard.records import RGB8

_SSIM_WINDOW, _SSIM_SIGMA = (11, 11), 1.5
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
"""Source: Wang, Bovik, Sheikh and Simoncelli 2004, section III-C."""

PX_PER_DEGREE: Final = 30.0
"""A screen of 60 px a degree (full HD at 60 cm) looked at with every pixel doubled: 200 % zoom."""
_TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
"""Source: IEC 61966-2-1 (sRGB), D65."""
_TO_OPPONENT = np.array([[0.279, 0.72, -0.107], [-0.449, 0.29, -0.077], [0.086, -0.59, 0.501]])
_SPREADS: Final = (
    ((0.921, 0.0283), (0.105, 0.133), (-0.108, 4.336)),
    ((0.531, 0.0392), (0.330, 0.494)),
    ((0.488, 0.0536), (0.371, 0.386)),
)
"""(weight, spread in degrees) of each opponent channel's blur. Source: Zhang and Wandell 1997, S-CIELAB, tables 1-2."""
_WHITE = np.array([0.9505, 1.0, 1.089])
_FLAT_LEVELS = 2.0
"""Local standard deviation of luma below which an area counts as flat, in levels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """How visible a change is.

    Attributes:
        psnr_db: over all channels, in dB; infinite for equal pictures.
        ssim: structural similarity of luma, at most 1.
        delta_e: mean S-CIELAB colour difference at 200 % zoom; 1 is about one just noticeable difference.
        delta_e_p99: its 99th percentile.
        delta_e_flat: its 99th percentile where the original is flat; 0 when nothing is flat.
    """

    psnr_db: float
    ssim: float
    delta_e: float
    delta_e_p99: float
    delta_e_flat: float


def measure_quality(original: RGB8, changed: RGB8) -> Quality:
    """Return all figures of a changed picture of the same shape."""
    difference = delta_e(original, changed)
    flat = flat_areas(original)
    return Quality(
        psnr_db=psnr_db(original, changed),
        ssim=ssim(original, changed),
        delta_e=float(difference.mean()),
        delta_e_p99=float(np.percentile(difference, 99)),
        delta_e_flat=float(np.percentile(difference[flat], 99)) if flat.any() else 0.0,
    )


def psnr_db(original: RGB8, changed: RGB8) -> float:
    """Return the peak signal-to-noise ratio in dB; infinite for equal pictures."""
    error = float(np.mean((original.astype(np.float64) - changed) ** 2))
    return float("inf") if error == 0 else float(10 * np.log10(255**2 / error))


def ssim(original: RGB8, changed: RGB8) -> float:
    """Return the mean structural similarity of luma, sides of 12 px or more.

    Source: Wang et al. 2004 (11 x 11 Gaussian window, sigma 1.5). Differs: the border of 6 px is left out.
    """
    x, y = (cv2.cvtColor(p, cv2.COLOR_RGB2GRAY).astype(np.float64) for p in (original, changed))

    def mean(z: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(cv2.GaussianBlur(z, _SSIM_WINDOW, _SSIM_SIGMA))

    mx, my = mean(x), mean(y)
    vx, vy, cov = mean(x * x) - mx * mx, mean(y * y) - my * my, mean(x * y) - mx * my
    index = ((2 * mx * my + _C1) * (2 * cov + _C2)) / ((mx**2 + my**2 + _C1) * (vx + vy + _C2))
    return float(index[6:-6, 6:-6].mean())


def delta_e(original: RGB8, changed: RGB8, *, px_per_degree: float = PX_PER_DEGREE) -> NDArray[np.float32]:
    """Return the (H, W) float32 S-CIELAB difference (CIE 1976 units) as seen at a distance.

    Source: Zhang and Wandell 1997, "A spatial extension of CIELAB for digital color-image reproduction".
    """
    first, second = (_seen(p, px_per_degree) for p in (original, changed))
    return np.asarray(np.sqrt(((first - second) ** 2).sum(axis=-1)), dtype=np.float32)


def flat_areas(pixels: RGB8) -> NDArray[np.bool_]:
    """Return (H, W) bool: True where luma varies by less than two levels within about 5 px."""
    luma = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32)
    detail = luma - cv2.GaussianBlur(luma, (0, 0), 4.0)
    return np.asarray(cv2.GaussianBlur(detail * detail, (0, 0), 4.0) < _FLAT_LEVELS**2)


def _seen(pixels: RGB8, px_per_degree: float) -> NDArray[np.float32]:
    """Return (H, W, 3) float32 CIELAB of the picture after the eye's blur of each opponent channel."""
    value = np.arange(256) / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4).astype(np.float32)
    opponent = linear[pixels] @ (_TO_OPPONENT @ _TO_XYZ).T.astype(np.float32)
    for channel, spreads in enumerate(_SPREADS):
        total = sum(weight for weight, _ in spreads)
        plane = np.ascontiguousarray(opponent[..., channel])
        opponent[..., channel] = sum(
            weight / total * _spread(plane, spread * px_per_degree / np.sqrt(2)) for weight, spread in spreads
        )
    xyz = opponent @ np.linalg.inv(_TO_OPPONENT).T.astype(np.float32) / _WHITE.astype(np.float32)
    root = np.where(xyz > 0.008856, np.cbrt(np.maximum(xyz, 0)), 7.787 * xyz + 16 / 116)
    x, y, z = root[..., 0], root[..., 1], root[..., 2]
    return np.asarray(np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1), dtype=np.float32)


def _spread(plane: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    """Return a Gaussian blur; wide ones are done on a reduced picture, where they look the same."""
    factor = max(1, int(sigma / 4))
    if factor == 1:
        return np.asarray(cv2.GaussianBlur(plane, (0, 0), sigma, borderType=cv2.BORDER_REFLECT))
    height, width = plane.shape
    size = (max(1, width // factor), max(1, height // factor))
    small = cv2.GaussianBlur(
        cv2.resize(plane, size, interpolation=cv2.INTER_AREA), (0, 0), sigma / factor, borderType=cv2.BORDER_REFLECT
    )
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR))
