"""Writing the lattice into a picture: as weak as it may be, as strong as it must be.

The pattern is scaled by a mask (little in flat areas, more in texture) and its strength is found by trial: the marked
picture is attacked (half of it cropped away, reduced, JPEG), read back with the detector's own code, and the strength
is set so that the attacked copies still read with a margin - constant robustness, variable strength.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from guard.media import Luma32
from guard.records import RGB8
from guard.watermark.canonical import frame_of, luma_of, pixel_pitch, project, waves
from guard.watermark.lattice import CANONICAL_SIDE, R_MAX, Lattice
from guard.watermark.statistic import LineReader

HIGHEST_PSNR_DB = 46.0
LOWEST_PSNR_DB = 40.1
_FIRST_PSNR_DB = 44.0
_TARGET_Z = 14.0

Attack: TypeAlias = Callable[[RGB8], RGB8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """The pattern for one picture, ready to be scaled: (H, W) float32, root mean square 1 before the mask."""

    values: NDArray[np.float32] = field(repr=False)


def activity_mask(luma: Luma32, pitch: float) -> NDArray[np.float32]:
    """Return (H, W) float32 relative strength: 0.5 in flat areas to 1.4 in texture.

    The local contrast is eroded first, so that an edge does not spill visible grain into a flat area beside it.
    """
    height, width = luma.shape
    work = min(1.0, 1.0 / pitch)  # never enlarge: the mask is smooth
    size = (max(8, round(width * work)), max(8, round(height * work)))
    small = cv2.resize(luma, size, interpolation=cv2.INTER_AREA) if work < 1 else luma
    unit = pitch * work
    detail = small - cv2.GaussianBlur(small, (0, 0), 3 * unit)
    contrast = np.sqrt(cv2.GaussianBlur(detail * detail, (0, 0), 3 * unit) + 0.25)
    reach = int(6 * unit) | 1
    contrast = cv2.erode(contrast, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach)))
    mask = cv2.GaussianBlur(np.clip(np.sqrt(contrast / 8.0), 0.5, 1.4), (0, 0), 2 * unit)
    return np.asarray(cv2.resize(mask, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.float32)


def shape_of(radius: NDArray[np.float64], pitch: float) -> NDArray[np.float32]:
    """Return the relative amplitude of lines by radius for a picture of a given size.

    Lines near the pixel limit do not survive JPEG and reduction, so a small picture carries its mark in the low band.
    """
    frequency = radius / (128 * pitch)  # cycles a picture px
    high = 1 / (1 + (frequency / 0.2) ** 6)
    low = 1 / (1 + (6.0 / radius) ** 8)
    return np.asarray(np.sqrt(high * low), dtype=np.float32)


def pattern_of(lines: NDArray[np.complex64], lattice: Lattice, height: int, width: int) -> NDArray[np.float32]:
    """Return the (H, W) float32 pattern of given complex line amplitudes, unit root mean square, centred.

    An exact sum of cosines, done as matrix products: no interpolation, any size.
    """
    pitch = pixel_pitch(height, width)
    top = int(R_MAX)
    spectrum = np.zeros((2 * top + 1, top + 1), np.complex64)
    spectrum[lattice.lit[:, 1] + top, lattice.lit[:, 0]] = lines
    plus, minus = spectrum[top:], spectrum[top::-1]  # rows v = 0..top and v = 0..-top
    minus = minus.copy()
    minus[0] = 0  # v = 0 is in plus
    even, odd = plus + minus, plus - minus
    # Re sum a exp(i(uX + vY)) with a = re + i im, split into products of cos and sin along either side
    mix = np.stack(
        [np.stack([even.real, -even.imag]), np.stack([-odd.imag, -odd.real])]
    )  # (Y cos|sin, X cos|sin, v, u)
    across = waves(width, 1 / pitch, top)
    down = waves(height, 1 / pitch, top)
    rows = np.einsum("yxvu,xuw->yvw", mix, across, optimize=True)
    values = down.reshape(-1, height).T @ rows.reshape(-1, width)
    return np.asarray(values / (np.sqrt((np.abs(lines) ** 2).sum() / 2) + 1e-12), dtype=np.float32)


def add(pixels: RGB8, pattern: NDArray[np.float32], strength: float) -> RGB8:
    """Return the picture plus ``strength * pattern`` on all three channels, rounded and clipped."""
    change = np.rint(pattern * strength).astype(np.int16)
    return np.asarray(cv2.add(pixels, cv2.merge([change, change, change]), dtype=cv2.CV_8U))


def psnr_db(original: RGB8, changed: RGB8) -> float:
    """Return the peak signal-to-noise ratio of two pictures of one shape, in dB; infinite when they are equal."""
    error = float(cv2.norm(original, changed, cv2.NORM_L2SQR)) / original.size
    return float("inf") if error == 0 else float(10 * np.log10(255**2 / error))


def _jpeg(pixels: RGB8, quality: int) -> RGB8:
    """Return the picture after a JPEG round trip (4:2:0)."""
    done, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR)) if done else pixels


class Embedder:
    """Adds a pattern at the least strength that survives the trial attacks; immutable."""

    def __init__(self, lattice: Lattice, reader: LineReader) -> None:
        self._lattice = lattice
        self._reader = reader

    def embed(self, pixels: RGB8, lines: NDArray[np.complex64]) -> RGB8:
        """Return the marked picture.

        Args:
            pixels: (H, W, 3) uint8.
            lines: (n,) unit complex values of the lit lines.
        """
        height, width = pixels.shape[:2]
        pitch = pixel_pitch(height, width)
        shaped = lines * shape_of(self._lattice.radius, pitch)
        pattern = pattern_of(shaped, self._lattice, height, width) * activity_mask(luma_of(pixels), pitch)
        level = _FIRST_PSNR_DB
        marked = self._at(pixels, pattern, level)
        for _ in range(3):
            z = self.margin(marked, lines, pitch)
            wanted = float(np.clip(level + 20 * np.log10(max(z, 1.0) / _TARGET_Z), LOWEST_PSNR_DB, HIGHEST_PSNR_DB))
            if abs(wanted - level) < 0.3:
                break
            level = wanted
            marked = self._at(pixels, pattern, level)
        return marked

    def _at(self, pixels: RGB8, pattern: NDArray[np.float32], level_db: float) -> RGB8:
        """Return the picture marked at a PSNR; clipping at black and white is compensated once."""
        wanted = 255 * 10 ** (-level_db / 20)
        strength = wanted / (float(np.sqrt((pattern * pattern).mean())) + 1e-12)
        marked = add(pixels, pattern, strength)
        reached = 255 * 10 ** (-psnr_db(pixels, marked) / 20)
        if reached > 0 and abs(reached / wanted - 1) > 0.01:
            marked = add(pixels, pattern, strength * min(2.0, wanted / reached))
        return marked

    def margin(self, marked: RGB8, lines: NDArray[np.complex64], pitch: float) -> float:
        """Return the smallest z over all lit lines (their phases are known here) after the trial attacks."""
        return min(self._z(_jpeg(view, 75), lines, scaled) for view, scaled in self._views(marked, pitch))

    def _views(self, marked: RGB8, pitch: float) -> list[tuple[RGB8, float]]:
        """Return attacked copies before JPEG, each with its px per canonical px."""
        height, width = marked.shape[:2]
        top, left = height // 4, width // 4
        crop = np.ascontiguousarray(marked[top : height - top, left : width - left])
        factor = 0.7 if min(height, width) < CANONICAL_SIDE else 0.5
        reduced = cv2.resize(marked, (round(width * factor), round(height * factor)), interpolation=cv2.INTER_AREA)
        return [(crop, pitch), (reduced, pitch * factor)]

    def _z(self, pixels: RGB8, lines: NDArray[np.complex64], pitch: float) -> float:
        """Return z of all lit lines, read where they are known to be."""
        values = self._reader.read(project(frame_of(luma_of(pixels), pitch=pitch)))
        scale = float(np.sqrt((np.abs(values.lit) ** 2).sum() / 2)) + 1e-12
        return float((values.lit * lines.conj()).real.sum()) / scale
