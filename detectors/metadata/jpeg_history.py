"""Traces of an earlier JPEG in the pixels: the steps at which block frequencies pile up.

A JPEG rounds every 8x8 block frequency to multiples of a step. After decoding, the multiples are still visible until
the picture is scaled, cropped off the grid or saved again with coarser steps. For each libjpeg quality the mean of
``cos(2 pi c / step)`` over the non-zero low frequencies is near 1 for the true steps and near 0 for all others.
Source: Fan and de Queiroz 2003, "Identification of bitmap compression history" (the idea). Differs: whole tables
instead of single steps, mean cosine instead of a likelihood; thresholds measured by benchmarks/metadata_history.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detectors.metadata.quantisation import ANNEX_K_LUMA, Table, scaled
from guard.media import luma
from guard.records import RGB8

MAX_SIDE = 384
"""Side of the examined window from the top left: 2,304 blocks."""
MIN_BLOCKS = 64
"""Fewer blocks (less than 64x64 pixels) decide nothing."""
QUALITIES = tuple(range(96, 24, -1))
"""Qualities tried: above 96 the steps drown in rounding to 8-bit RGB, below 25 nobody saves."""
POSITIONS = (1, 8, 16, 9, 2, 3, 10, 17, 24)
"""Frequencies compared, row order: the nine lowest besides the mean, where photos have energy."""
THRESHOLD = 0.15
"""Score from which a history is reported: the highest of 98 lossless generated pictures is 0.05, and none of 137 photos
saved once at 60-95 reaches it; pictures decoded from JPEG below 90 all do (194 of 194; measured)."""
MIN_VALUES = 200
"""Non-zero frequencies needed for a score; flat pictures have fewer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JPEGHistory:
    """An earlier JPEG on the picture's own 8x8 grid.

    Attributes:
        quality: libjpeg quality with the best score.
        score: mean cosine at that quality, -1..1.
    """

    quality: int
    score: float


def _cosines() -> NDArray[np.float32]:
    """Return the (8, 8) orthonormal DCT-II matrix. Source: ISO/IEC 10918-1 A.3.3."""
    index = np.arange(8)
    matrix = np.cos((2 * index[None, :] + 1) * index[:, None] * np.pi / 16) / 2
    matrix[0] /= np.sqrt(2)
    return np.asarray(matrix, dtype=np.float32)


def block_frequencies(pixels: RGB8) -> NDArray[np.float32]:
    """Return (blocks, 64) DCT coefficients of luma on the grid that starts at the top left corner."""
    window = luma(pixels[:MAX_SIDE, :MAX_SIDE]) - 128
    height, width = window.shape[0] // 8 * 8, window.shape[1] // 8 * 8
    blocks = window[:height, :width].reshape(height // 8, 8, width // 8, 8).transpose(0, 2, 1, 3)
    matrix = _cosines()
    return np.asarray((matrix @ blocks @ matrix.T).reshape(-1, 64), dtype=np.float32)


def find_history(pixels: RGB8, *, current: Table | None = None) -> JPEGHistory | None:
    """Return the trace of an earlier JPEG, or None.

    Args:
        pixels: (H, W, 3) uint8, as stored (not rotated).
        current: luma steps of the file's own JPEG, whose multiples are to be expected; None for lossless files.
    """
    frequencies = block_frequencies(pixels)
    if len(frequencies) < MIN_BLOCKS:
        return None
    present = current or (0,) * 64
    sums: dict[tuple[int, int], tuple[float, int]] = {}
    best: JPEGHistory | None = None
    for quality in QUALITIES:
        cosine, count = 0.0, 0
        steps = scaled(ANNEX_K_LUMA, quality)
        for position in POSITIONS:
            step = steps[position]
            if step < 2 or 2 * present[position] > step:
                continue  # here the present JPEG would be measured, or nothing at all
            if (position, step) not in sums:
                sums[position, step] = _cosine_sum(frequencies[:, position], step, present[position])
            cosine += sums[position, step][0]
            count += sums[position, step][1]
        score = cosine / count if count >= MIN_VALUES else 0.0
        if score >= THRESHOLD and (best is None or score > best.score):
            best = JPEGHistory(quality=quality, score=score)
    return best


def _cosine_sum(values: NDArray[np.float32], step: int, present: int) -> tuple[float, int]:
    """Return the sum of cosines and the number of values that are not rounded to zero at this step.

    With a present JPEG, its first multiple below half the step is kept too: without it, plain multiples of the present
    step would look like multiples of a coarser one.
    """
    kept = values[np.abs(values) > 0.5 * step - 0.6 * present]
    return float(np.cos(kept * np.float32(2 * np.pi / step)).sum()), len(kept)
