"""Writing the lattice into a picture: as weak as it may be, as strong as it must be.

The pattern is scaled by a mask (little in flat areas, more in texture) and its strength is found by trial: the marked
picture is attacked (half of it cropped away, reduced, JPEG), read back with the detector's own code, and the strength
is set so that the attacked copies still read with a margin - constant robustness, variable strength.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from guard.media import Luma32
from guard.records import RGB8
from guard.watermark.canonical import frame_of, luma_of, pixel_pitch, project, waves
from guard.watermark.lattice import R_MAX, TILE, Lattice
from guard.watermark.statistic import LineReader
from guard.watermark.trials import PROMISES, PROMISES_SMALL, TRIALS, TRIALS_SMALL, Attack

Decodes: TypeAlias = Callable[[NDArray[np.complex64]], bool]
"""Whether the word can be read from the (n,) values of the lit lines."""

HIGHEST_PSNR_DB = 46.5
"""Never fainter than this. A choice, not a visibility threshold: no viewing test has been made."""
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
_FLAT_FREQUENCY = 0.1
_FLAT_FREQUENCY_SMALL = 0.16
"""The same where the ceiling of flat areas must be lifted: at one visibility WebP and strong JPEG keep more of it.
Measured: 0.09 to 0.2, small pictures 0.1 to 0.2; docs/watermark.md, "Visibility"."""
_HELD_BACK_DB = 0.5
"""A picture whose PSNR is higher than asked for by this much is held back by the ceiling."""
_LIFTS = (1.0, 1.25, 1.5, 1.75, 2.0, 2.25, 2.5)
_LIFTS_SMALL = (1.0, 1.15, 1.3, 1.45, 1.6)
"""By what the ceiling may be lifted; at the most 2.5 levels in flat areas."""
_CUT_OFF_LEVELS = 3.0
_LIFTED_PSNR_DB = 48.13
"""20 log10(255): the PSNR of a change of one level, which the ceiling allows in flat areas."""
_SMALL_PITCH = 0.95
"""Below 0.95 px per canonical px (486 x 486 px) a picture counts as small: its mark lives nearer to the pixel limit."""


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


def shape_of(radius: NDArray[np.float64], pitch: float, highest: float) -> NDArray[np.float32]:
    """Return the relative amplitude of lines by radius for a picture of a given size, half power at ``highest``.

    Lines near the pixel limit do not survive JPEG and reduction, so a small picture carries its mark in the low band.
    """
    frequency = radius / (TILE * pitch)  # cycles a picture px
    high = 1 / (1 + (frequency / highest) ** 6)
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


def _made_up(luma: Luma32) -> NDArray[np.float32]:
    """Return (H, W) factors: sqrt(2) at black and white, where half of every wave is cut off, 1 elsewhere."""
    room = np.minimum(luma, 255 - luma)
    return np.asarray(1 + (np.sqrt(2) - 1) * np.exp(-((room / _CUT_OFF_LEVELS) ** 2)), dtype=np.float32)


def add(pixels: RGB8, pattern: NDArray[np.float32], strength: NDArray[np.float32]) -> RGB8:
    """Return the picture plus (H, W) ``strength * pattern`` on all three channels, rounded and clipped."""
    change = np.rint(pattern * strength).astype(np.int16)
    return np.asarray(cv2.add(pixels, cv2.merge([change, change, change]), dtype=cv2.CV_8U))


def psnr_db(original: RGB8, changed: RGB8) -> float:
    """Return the peak signal-to-noise ratio of two pictures of one shape, in dB; infinite when they are equal."""
    error = float(cv2.norm(original, changed, cv2.NORM_L2SQR)) / original.size
    return float("inf") if error == 0 else float(10 * np.log10(255**2 / error))


class Embedder:
    """Adds a pattern at the least strength that survives the trial attacks; immutable."""

    def __init__(self, lattice: Lattice, reader: LineReader) -> None:
        self._lattice = lattice
        self._reader = reader
        self._highest_z = float(np.sqrt(2 * len(lattice.lit)))

    def embed(self, pixels: RGB8, lines: NDArray[np.complex64], *, decodes: Decodes) -> RGB8:
        """Return the marked picture.

        Args:
            pixels: (H, W, 3) uint8.
            lines: (n,) unit complex values of the lit lines.
            decodes: whether the word can be read from the values of the lit lines.
        """
        height, width = pixels.shape[:2]
        pitch = pixel_pitch(height, width)
        pattern = self._pattern(lines, pixels, _HIGHEST_FREQUENCY)
        mask = activity_mask(luma_of(pixels), pitch)
        level = _FIRST_PSNR_DB
        marked = _at_level(pixels, pattern, mask, level)
        for _ in range(_MOST_ROUNDS):
            wanted = self._wanted_level(marked, lines, pitch, level)
            if abs(wanted - level) < _CLOSE_ENOUGH_DB:
                break
            level = wanted
            marked = _at_level(pixels, pattern, mask, level)
        if psnr_db(pixels, marked) < level + _HELD_BACK_DB:
            return marked
        promises = PROMISES if pitch >= _SMALL_PITCH else PROMISES_SMALL
        if self._reads_after([attack for promise in promises for attack in promise], marked, decodes):
            return marked
        lifted = self._lifted(pixels, lines, mask, level, promises, decodes)
        return marked if lifted is None else lifted

    def _pattern(self, lines: NDArray[np.complex64], pixels: RGB8, highest: float) -> NDArray[np.float32]:
        """Return the pattern of a picture's size with half power at ``highest`` cycles a px."""
        height, width = pixels.shape[:2]
        shape = shape_of(self._lattice.radius, pixel_pitch(height, width), highest)
        return pattern_of(lines * shape, self._lattice, height, width)

    def _reads_after(self, attacks: Sequence[Attack], marked: RGB8, decodes: Decodes) -> bool:
        """Return whether the word can be read after each attack; none crops."""
        copies = (frame_of(luma_of(attack(marked))) for attack in attacks)
        return all(decodes(self._reader.read(project(copy)).lit) for copy in copies)

    def _lifted(
        self,
        pixels: RGB8,
        lines: NDArray[np.complex64],
        mask: Mask,
        level: float,
        promises: Sequence[Sequence[Attack]],
        decodes: Decodes,
    ) -> RGB8 | None:
        """Return the picture marked under the lowest ceiling that keeps the first set which can be kept, or None."""
        small = pixel_pitch(*pixels.shape[:2]) < _SMALL_PITCH
        lifts = _LIFTS_SMALL if small else _LIFTS
        pattern = self._pattern(lines, pixels, _FLAT_FREQUENCY_SMALL if small else _FLAT_FREQUENCY)
        ceiling = mask.ceiling * _made_up(luma_of(pixels))

        def under(lift: float) -> RGB8:
            higher = replace(mask, ceiling=ceiling * np.float32(lift))
            return _at_level(pixels, pattern, higher, min(level, _LIFTED_PSNR_DB - 20 * float(np.log10(lift))))

        best = under(lifts[-1])
        kept = next((attacks for attacks in promises if self._reads_after(attacks, best, decodes)), None)
        if kept is None:
            return None
        low, high = 0, len(lifts) - 1
        while low < high:
            middle = (low + high) // 2
            marked = under(lifts[middle])
            if self._reads_after(kept, marked, decodes):
                best, high = marked, middle
            else:
                low = middle + 1
        return best

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
