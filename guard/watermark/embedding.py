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
from guard.watermark.lattice import R_MAX, TILE, Lattice
from guard.watermark.statistic import LineReader

HIGHEST_PSNR_DB = 46.5
"""Never fainter than this. A choice, not a visibility threshold: no viewing test has been made."""
LOWEST_PSNR_DB = 40.1
"""Never stronger, whatever a trial says."""
_FIRST_PSNR_DB = 44.0
_FLAT_CEILING = 1.0
_FLAT_CEILING_SMALL = 1.6
"""Largest root mean square of the mark in a flat area, in levels, of large and small pictures. Source: looked at; small
ones are allowed more because at 1.0 drawings of 256 px lose JPEG 75 (docs/watermark.md, "Visibility")."""
_CEILING_SLOPE = 0.4
"""How much the ceiling rises with a level of local contrast: texture hides what is fainter than itself."""
_CORRECTIONS = 2
_MOST_ROUNDS = 3
_CLOSE_ENOUGH_DB = 0.25
_HIGHEST_FREQUENCY = 0.2
"""Cycles a px where lines have half their power: above it JPEG and reduction spare nothing. Measured: 0.12 to 0.25."""
_SMALL_PITCH = 0.95
"""Below 0.95 px per canonical px (486 x 486 px) a picture counts as small: its mark lives nearer to the pixel limit."""

Attack: TypeAlias = Callable[[RGB8], RGB8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """An attack that the mark should survive.

    Attributes:
        attack: what is done to the marked picture; it must keep the centre where it is.
        target_z: z over all lit lines to reach; from about 15 on words decode (measured: docs/watermark.md).
        floor_db: the PSNR below which this trial may not push the strength.
        reduction: by what the attack divides the px per canonical px.
    """

    attack: Attack = field(repr=False)
    target_z: float
    floor_db: float
    reduction: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Mask:
    """Where a picture hides a change, both (H, W) float32.

    Attributes:
        share: relative strength: 0.5 in flat areas to 1.4 in texture.
        ceiling: largest root mean square of the mark, in levels: what the eye does not see at 200 %.
    """

    share: NDArray[np.float32] = field(repr=False)
    ceiling: NDArray[np.float32] = field(repr=False)


def activity_mask(luma: Luma32, pitch: float) -> Mask:
    """Return where the mark may be strong.

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
    share = cv2.GaussianBlur(np.clip(np.sqrt(contrast / 8.0), 0.5, 1.4), (0, 0), 2 * unit)
    flat = _FLAT_CEILING if pitch >= _SMALL_PITCH else _FLAT_CEILING_SMALL
    far = int(12 * unit) | 1  # the eye compares with the flat side of an edge
    inside = cv2.erode(contrast, cv2.getStructuringElement(cv2.MORPH_RECT, (far, far)))
    ceiling = cv2.GaussianBlur(flat + _CEILING_SLOPE * (inside - 0.5), (0, 0), 2 * unit)
    both = cv2.resize(cv2.merge([share, ceiling]), (width, height), interpolation=cv2.INTER_LINEAR)
    return Mask(share=np.ascontiguousarray(both[..., 0]), ceiling=np.ascontiguousarray(both[..., 1]))


def shape_of(radius: NDArray[np.float64], pitch: float) -> NDArray[np.float32]:
    """Return the relative amplitude of lines by radius for a picture of a given size.

    Lines near the pixel limit do not survive JPEG and reduction, so a small picture carries its mark in the low band.
    """
    frequency = radius / (TILE * pitch)  # cycles a picture px
    high = 1 / (1 + (frequency / _HIGHEST_FREQUENCY) ** 6)
    return np.asarray(np.sqrt(high), dtype=np.float32)


def pattern_of(lines: NDArray[np.complex64], lattice: Lattice, height: int, width: int) -> NDArray[np.float32]:
    """Return the (H, W) float32 pattern of given complex line amplitudes, unit root mean square, centred.

    An exact sum of cosines, done as matrix products: no interpolation, any size.
    """
    pitch = pixel_pitch(height, width)
    top = R_MAX
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


def add(pixels: RGB8, pattern: NDArray[np.float32], strength: NDArray[np.float32]) -> RGB8:
    """Return the picture plus (H, W) ``strength * pattern`` on all three channels, rounded and clipped."""
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


def _middle(pixels: RGB8, side: float) -> RGB8:
    """Return the middle ``side`` of either side."""
    height, width = pixels.shape[:2]
    top, left = round(height * (1 - side) / 2), round(width * (1 - side) / 2)
    return np.ascontiguousarray(pixels[top : height - top, left : width - left])


def _reduced(pixels: RGB8, factor: float) -> RGB8:
    """Return the picture made smaller."""
    height, width = pixels.shape[:2]
    size = (round(width * factor), round(height * factor))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA))


def _brightened(pixels: RGB8) -> RGB8:
    """Return the picture times 1.3; what was nearly white loses its mark."""
    return np.asarray(cv2.convertScaleAbs(pixels, alpha=1.3))


TRIALS = (
    Trial(attack=lambda x: _jpeg(_middle(x, 0.5), 75), target_z=19.0, floor_db=LOWEST_PSNR_DB),
    Trial(attack=lambda x: _jpeg(_reduced(x, 0.5), 75), target_z=19.0, floor_db=41.5, reduction=2.0),
    Trial(attack=_brightened, target_z=19.0, floor_db=LOWEST_PSNR_DB),
    Trial(attack=lambda x: _middle(x, 0.34), target_z=18.0, floor_db=42.7),
    Trial(attack=lambda x: _jpeg(x, 10), target_z=16.0, floor_db=44.0),
)
TRIALS_SMALL = (
    Trial(attack=lambda x: _reduced(_jpeg(x, 75), 0.7), target_z=17.5, floor_db=LOWEST_PSNR_DB, reduction=1 / 0.7),
    Trial(attack=_brightened, target_z=18.0, floor_db=LOWEST_PSNR_DB),
    Trial(attack=lambda x: _jpeg(_middle(x, 0.8), 75), target_z=16.0, floor_db=42.0),
    Trial(attack=lambda x: _jpeg(_reduced(x, 0.7), 75), target_z=15.0, floor_db=42.5, reduction=1 / 0.7),
    Trial(attack=lambda x: _jpeg(x, 50), target_z=14.0, floor_db=43.0),
)
"""What decides the strength. Source: the required rates in docs/watermark.md; 14 to 19 leave up to 2 dB spare."""


class Embedder:
    """Adds a pattern at the least strength that survives the trial attacks; immutable."""

    def __init__(self, lattice: Lattice, reader: LineReader) -> None:
        self._lattice = lattice
        self._reader = reader
        self._highest_z = float(np.sqrt(2 * len(lattice.lit)))

    def embed(self, pixels: RGB8, lines: NDArray[np.complex64]) -> RGB8:
        """Return the marked picture.

        Args:
            pixels: (H, W, 3) uint8.
            lines: (n,) unit complex values of the lit lines.
        """
        height, width = pixels.shape[:2]
        pitch = pixel_pitch(height, width)
        shaped = lines * shape_of(self._lattice.radius, pitch)
        pattern = pattern_of(shaped, self._lattice, height, width)
        mask = activity_mask(luma_of(pixels), pitch)
        level = _FIRST_PSNR_DB
        marked = _at_level(pixels, pattern, mask, level)
        for _ in range(_MOST_ROUNDS):
            wanted = self._wanted_level(marked, lines, pitch, level)
            if abs(wanted - level) < _CLOSE_ENOUGH_DB:
                break
            level = wanted
            marked = _at_level(pixels, pattern, mask, level)
        return marked

    def _wanted_level(self, marked: RGB8, lines: NDArray[np.complex64], pitch: float, level: float) -> float:
        """Return the PSNR at which the hardest trial would just reach its target.

        z saturates: z = z_max a / sqrt(1 + a**2) for lines of amplitude a over noise 1, and a follows the strength.
        """
        wanted = HIGHEST_PSNR_DB
        for trial in TRIALS if pitch >= _SMALL_PITCH else TRIALS_SMALL:
            z = self._z(trial.attack(marked), lines, pitch / trial.reduction)
            reserve = 20 * np.log10(self._amplitude(z) / self._amplitude(trial.target_z))
            wanted = min(wanted, max(level + float(reserve), trial.floor_db))
        return wanted

    def _amplitude(self, z: float) -> float:
        """Return the amplitude over noise that gives z, at least 0.03."""
        share = min(max(z / self._highest_z, 0.03), 0.995)
        return float(share / np.sqrt(1 - share**2))

    def _z(self, pixels: RGB8, lines: NDArray[np.complex64], pitch: float) -> float:
        """Return z of all lit lines (their phases are known here), read where they are known to be."""
        values = self._reader.read(project(frame_of(luma_of(pixels), pitch=pitch)))
        scale = float(np.sqrt((np.abs(values.lit) ** 2).sum() / 2)) + 1e-12
        return float((values.lit * lines.conj()).real.sum()) / scale


def _at_level(pixels: RGB8, pattern: NDArray[np.float32], mask: Mask, level_db: float) -> RGB8:
    """Return the picture marked at a PSNR; what ceiling, black and white take away is made up elsewhere, in part."""
    wanted = 255 * 10 ** (-level_db / 20)
    strength = wanted / (float(np.sqrt((mask.share * mask.share).mean())) + 1e-12)
    marked = add(pixels, pattern, np.minimum(mask.share * strength, mask.ceiling))
    for _ in range(_CORRECTIONS):
        reached = 255 * 10 ** (-psnr_db(pixels, marked) / 20)
        if reached <= 0 or abs(reached / wanted - 1) <= 0.01:
            break
        strength *= min(2.0, wanted / reached)
        marked = add(pixels, pattern, np.minimum(mask.share * strength, mask.ceiling))
    return marked
