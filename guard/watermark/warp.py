"""Perspective, shear, and stretching together with cropping: found from local spectra, by magnitudes alone.

Under a perspective no single scale fits the whole picture, but a small window of it still shows the lattice, slightly
moved. Five overlapping windows are transformed; a hypothesis (a linear map and two perspective terms) says where every
lit line must stand in each of them; the mean power there is its score. A coarse grid on the middle lines, then a few
rounds of coordinate-wise parabolas on ever more lines. No phase is used, so the false-accept bound counts each result
that is handed on as one hypothesis more (docs/watermark.md, "Theorem").
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from guard.watermark.canonical import MAX_SIDE, Frame
from guard.watermark.geometry import Hypothesis
from guard.watermark.lattice import GRID, TILE, Lattice
from guard.watermark.spectrum import BINS, SIZE, Spectrum, half_transform

_SIZE = 512
_LINES_KEPT = GRID + 6
"""Cycles a tile that are kept on either side: 6 beyond the lattice's, for hypotheses that enlarge it."""
_PLACES = ((0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0), (0.5, 0.5))
"""Where the windows lie, as shares of the free room: the quarters and the middle."""
_TAPER = 24
_SMOOTH = 17
_POWER_LIMIT = 3.0
_BANDS = ((9.0, 20.0), (6.0, 20.0), (6.0, 32.0))
"""Least and largest radius of the lines that are scored, from coarse to fine. The innermost say the least about a
geometry and hide behind the picture's own detail. Measured: docs/watermark.md, "Perspective"."""
_PULL_UNIT = 128.0
"""A pull of 0.01 changes the local scale by 1 % within 128 canonical px."""
_PULLS = tuple(0.012 * i for i in range(-3, 4))
_PULL_SCALES = (0.945, 0.97, 0.995)
_PULL_STRETCHES = (0.97, 1.0, 1 / 0.97)
_CROP_SCALES = tuple(float(s) for s in np.exp(np.arange(np.log(0.85), np.log(2.2), 0.014)))
_CROP_STRETCHES = tuple(float(s) for s in np.exp(np.linspace(-0.345, 0.345, 50)))
_SHEARS = (-0.045, -0.03, -0.015, 0.015, 0.03, 0.045)
_SHEAR_LOGS = (-0.015, 0.0, 0.015, 0.03)
_SHEAR_ANGLES = (-0.03, -0.015, 0.0, 0.015, 0.03)
RESULTS: Final = 2
"""Warps of each kind that are handed on to be read."""
_LEAST_SIDE = 64
_CACHED = 65_536
"""Places that are looked up at a time: their arrays stay in the cache, which takes a third off the time (measured)."""
_STARTS = 12
_KEPT = 3
_STEPS = np.array([0.012, 0.012, 0.02, 0.012, 0.009, 0.009])
"""First steps of the parabolas: log scale, angle, log stretch, shear, pulls along x and y."""
_ROUNDS = ((0, 0.6), (0, 0.4), (1, 0.3), (1, 0.2), (2, 0.15), (2, 0.1))
"""(band, factor on the steps) of each round. Measured: docs/watermark.md, "Perspective"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Warp:
    """One geometry with perspective.

    A point y of the picture's canonical frame shows the point ``x = linear.T @ y / (1 + pull . y)`` of the pattern,
    both from their centres, up to a shift.

    Attributes:
        linear: (2, 2): where line (u, v) lies at the picture's centre, in cycles a tile.
        pull: (2,): relative change of the local scale a canonical px.
        score: mean power on the lit lines over the local mean, less one; about 0 where no lattice is.
    """

    linear: NDArray[np.float64] = field(repr=False)
    pull: NDArray[np.float64] = field(repr=False)
    score: float

    def hypothesis(self) -> Hypothesis:
        """Return the nearest geometry without perspective and shear."""
        determinant = float(np.linalg.det(self.linear))
        turned = self.linear @ np.diag([1.0, -1.0 if determinant < 0 else 1.0])
        angle = float(np.arctan2(turned[1, 0] - turned[0, 1], turned[0, 0] + turned[1, 1]))
        cos, sin = np.cos(angle), np.sin(angle)
        upright = turned @ np.array([[cos, sin], [-sin, cos]])
        stretch = abs(float(upright[1, 1] / upright[0, 0])) if upright[0, 0] else 1.0
        return Hypothesis(flipped=determinant < 0, scale=abs(determinant) ** -0.5, angle=angle, stretch=stretch)


class _Views:
    """Power spectra of parts of a frame, one below the other, and the score of hypotheses on all of them."""

    def __init__(
        self,
        powers: list[NDArray[np.float32]],
        centres: list[tuple[float, float]],
        *,
        frame: Frame | Spectrum,
        bins: float,
        lines: NDArray[np.float32],
    ) -> None:
        """Take (2 reach + 1, reach + 1) powers (row: v, from -reach), their centres in canonical px, bins a line."""
        self._power = np.concatenate(powers)
        self._reach = powers[0].shape[1] - 1
        self._centres = np.array(centres, np.float32)
        self._to_bins = np.array([frame.pitch_x, frame.pitch_y], np.float32) * np.float32(bins)
        self._middle = (np.arange(len(centres)) * (2 * self._reach + 1) + self._reach).astype(np.float32)
        self._lines = lines

    @classmethod
    def windows(cls, frame: Frame, lines: NDArray[np.float32]) -> _Views:
        """Return the views of five overlapping windows of half the sides."""
        values = frame.values
        height, width = values.shape
        rows, columns = min(_SIZE, height // 2), min(_SIZE, width // 2)
        window = _taper(rows)[:, None] * _taper(columns)[None, :]
        reach = int(_LINES_KEPT * _SIZE / TILE)
        powers, centres = [], []
        for down, across in _PLACES:
            top, left = round((height - rows) * down), round((width - columns) * across)
            buffer = np.zeros((_SIZE, _SIZE), np.float32)
            buffer[:rows, :columns] = values[top : top + rows, left : left + columns] * window
            full = half_transform(buffer, rows_used=rows)
            half = np.concatenate([full[-reach:, : reach + 1], full[: reach + 1, : reach + 1]])
            raw = half.real**2 + half.imag**2
            powers.append(np.minimum(raw / (cv2.blur(raw, (_SMOOTH, _SMOOTH)) + 1e-9), _POWER_LIMIT))
            centre = (left + columns / 2 - width / 2, top + rows / 2 - height / 2)
            centres.append((centre[0] * frame.pitch_x, centre[1] * frame.pitch_y))
        return cls(powers, centres, frame=frame, bins=_SIZE / TILE, lines=lines)

    @classmethod
    def whole(cls, spectrum: Spectrum, lines: NDArray[np.float32]) -> _Views:
        """Return the one view of the whole picture."""
        reach = int(_LINES_KEPT * BINS)
        power = spectrum.power[SIZE // 2 - reach : SIZE // 2 + reach + 1, : reach + 1]
        return cls([np.minimum(power, _POWER_LIMIT)], [(0.0, 0.0)], frame=spectrum, bins=BINS, lines=lines)

    def score(self, linear: NDArray[np.float64], pull: NDArray[np.float64], band: slice) -> NDArray[np.float32]:
        """Return (k,) scores of (k, 2, 2) linear maps with (k, 2) pulls on the lines of a band."""
        inward = np.swapaxes(linear, 1, 2).astype(np.float32)
        pulls = pull.astype(np.float32)
        depth = 1 + pulls @ self._centres.T  # (k, windows)
        moved = np.einsum("kij,wj->kwi", inward, self._centres)
        local = inward[:, None] / depth[..., None, None]
        local = local - moved[..., :, None] * pulls[:, None, None, :] / (depth**2)[..., None, None]
        frequencies = np.swapaxes(local, 2, 3) * self._to_bins[:, None]
        lines = np.ascontiguousarray(self._lines[band].T)
        step = max(1, _CACHED // (len(self._centres) * lines.shape[1]))
        parts = [self._picked(frequencies[at : at + step], lines) for at in range(0, len(linear), step)]
        return np.concatenate(parts) - np.float32(1)

    def _picked(self, frequencies: NDArray[np.float32], lines: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return (k,) the mean power where (k, windows, 2, 2) local maps put (2, n) lines."""
        flat = (len(frequencies), -1)
        places = (frequencies.reshape(-1, 2) @ lines).reshape(len(frequencies), len(self._centres), 2, -1)
        x, y = places[:, :, 0], places[:, :, 1]
        y = np.clip(np.where(x < 0, -y, y), -self._reach, self._reach) + self._middle[None, :, None]
        picked = cv2.remap(self._power, np.abs(x).reshape(flat), y.reshape(flat), cv2.INTER_LINEAR)
        return np.asarray(picked.mean(axis=1), dtype=np.float32)


class WarpSearch:
    """Finds warps of one lattice; built once, immutable."""

    def __init__(self, lattice: Lattice) -> None:
        self._lines = lattice.lit.astype(np.float32)
        self._bands = [slice(*np.searchsorted(lattice.radius, band)) for band in _BANDS]
        upright = [Hypothesis(flipped=f, angle=a).matrix() for f in (False, True) for a in (0.0, np.pi / 2)]
        corrections = np.zeros((len(_PULL_SCALES) * len(_PULL_STRETCHES), 6))
        corrections[:, 0] = np.repeat(np.log(_PULL_SCALES), len(_PULL_STRETCHES))
        corrections[:, 2] = np.tile(np.log(_PULL_STRETCHES), len(_PULL_SCALES))
        self._corrections = corrections
        pulls = np.array([(x, y) for x in _PULLS for y in _PULLS]) / _PULL_UNIT
        self._pulls = pulls
        self._tilted = self._tilts(upright)
        crops = [
            Hypothesis(flipped=f, scale=scale, stretch=stretch).matrix()
            for f in (False, True)
            for scale in _CROP_SCALES
            for stretch in _CROP_STRETCHES
        ]
        self._flat = np.concatenate([np.stack(crops), _sheared(upright)])

    def _tilts(self, bases: list[NDArray[np.float64]]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the grid of tilts around each linear map."""
        linear = np.concatenate(
            [_corrected(np.repeat(b[None], len(self._corrections), 0), self._corrections) for b in bases]
        )
        return np.repeat(linear, len(self._pulls), 0), np.tile(self._pulls, (len(linear), 1))

    def tilts(self, frame: Frame, near: list[Hypothesis]) -> list[Warp]:
        """Return the most likely perspectives, at most RESULTS, most likely first.

        Args:
            frame: the whitened picture; one with a side below 64 samples gives an empty list.
            near: geometries around which to look too; always looked at are upright and mirrored, and either turned
                by 90 degrees.
        """
        if min(frame.values.shape) < _LEAST_SIDE:
            return []
        linear, pull = self._tilted
        if near:
            more = self._tilts([hypothesis.matrix() for hypothesis in near])
            linear, pull = np.concatenate([linear, more[0]]), np.concatenate([pull, more[1]])
        return self._climbed(_Views.windows(frame, self._lines), linear, pull)

    def flat_warps(self, spectrum: Spectrum) -> list[Warp]:
        """Return the most likely warps without perspective (stretched and cropped, sheared), at most RESULTS."""
        return self._climbed(_Views.whole(spectrum, self._lines), self._flat, np.zeros((len(self._flat), 2)))

    def _climbed(self, views: _Views, linear: NDArray[np.float64], pull: NDArray[np.float64]) -> list[Warp]:
        """Return the best of a grid after a few rounds of improvement."""
        scores = views.score(linear, pull, self._bands[0])
        chosen = np.argsort(-scores)[:_STARTS]
        linear, pull = linear[chosen], pull[chosen]
        for index, (band, factor) in enumerate(_ROUNDS):
            linear, pull, scores = _round(views, linear, pull, _STEPS * factor, self._bands[band])
            if index == 1:
                kept = np.argsort(-scores)[:_KEPT]
                linear, pull = linear[kept], pull[kept]
        order = np.argsort(-scores)[:RESULTS]
        return [Warp(linear=linear[i], pull=pull[i], score=float(scores[i])) for i in order]


def rectified(frame: Frame, warp: Warp) -> Frame:
    """Return the frame with the warp undone: lines stand at their own frequencies; black where nothing was."""
    height, width = frame.values.shape
    scale = abs(float(np.linalg.det(warp.linear))) ** -0.5
    rows, columns = (max(8, min(MAX_SIDE, round(side / scale))) for side in (height, width))
    x = ((np.arange(columns) + 0.5 - columns / 2) * frame.pitch_x).astype(np.float32)[None, :]
    y = ((np.arange(rows) + 0.5 - rows / 2) * frame.pitch_y).astype(np.float32)[:, None]
    inward, pull = warp.linear.T.astype(np.float32), warp.pull.astype(np.float32)
    # x (1 + pull . p) = inward p, solved for the picture's point p
    a, b = inward[0, 0] - x * pull[0], inward[0, 1] - x * pull[1]
    c, d = inward[1, 0] - y * pull[0], inward[1, 1] - y * pull[1]
    determinant = a * d - b * c
    across = (d * x - b * y) / (determinant * np.float32(frame.pitch_x)) + np.float32(width / 2 - 0.5)
    down = (a * y - c * x) / (determinant * np.float32(frame.pitch_y)) + np.float32(height / 2 - 0.5)
    values = cv2.remap(frame.values, across, down, cv2.INTER_CUBIC)
    return Frame(values=np.asarray(values), pitch_x=frame.pitch_x, pitch_y=frame.pitch_y)


def _taper(length: int) -> NDArray[np.float32]:
    """Return (length,) float32 weights that rise linearly from both ends to 1 within 24 samples."""
    index = np.arange(length)
    return np.minimum(1.0, (np.minimum(index, index[::-1]) + 1) / _TAPER).astype(np.float32)


def _corrected(linear: NDArray[np.float64], change: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (k, 2, 2) maps after (k, 4+) small changes: log scale, angle, log stretch, shear."""
    scale, root = np.exp(-change[:, 0]), np.exp(change[:, 2] / 2)
    cos, sin = np.cos(change[:, 1]) * scale, np.sin(change[:, 1]) * scale
    matrix = np.empty((len(change), 2, 2))
    matrix[:, 0, 0] = cos / root + change[:, 3] * sin
    matrix[:, 0, 1] = -sin / root + change[:, 3] * cos
    matrix[:, 1, 0], matrix[:, 1, 1] = sin * root, cos * root
    return np.asarray(matrix @ linear)


def _sheared(bases: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return a grid of sheared, slightly turned and scaled copies of each linear map."""
    grid = np.array([(log, angle, 0.0, shear) for log in _SHEAR_LOGS for angle in _SHEAR_ANGLES for shear in _SHEARS])
    return np.concatenate([_corrected(np.repeat(base[None], len(grid), 0), grid) for base in bases])


def _round(
    views: _Views, linear: NDArray[np.float64], pull: NDArray[np.float64], steps: NDArray[np.float64], lines: slice
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float32]]:
    """Return the warps after one step of coordinate-wise parabolas, never worse than before, and their scores."""
    size = len(steps)
    probes = np.concatenate([np.zeros((1, size)), np.diag(steps), -np.diag(steps)])
    scores = _scores(views, linear, pull, probes[None].repeat(len(linear), 0), lines)
    here, up, down = scores[:, :1], scores[:, 1 : size + 1], scores[:, size + 1 :]
    bend = up + down - 2 * here
    with np.errstate(divide="ignore", invalid="ignore"):
        vertex = np.clip((down - up) / (2 * bend), -1.5, 1.5)
    uphill = np.sign(up - down) * (np.maximum(up, down) > here)
    step = np.where(bend < -1e-6, vertex, uphill) * steps
    best_probe = probes[scores.argmax(axis=1)]
    options = np.stack([np.zeros_like(step), step / 2, step, step * 1.5, best_probe], axis=1)
    found = _scores(views, linear, pull, options, lines)
    best = found.argmax(axis=1)
    row = np.arange(len(linear))
    change = options[row, best]
    return _corrected(linear, change), pull + change[:, 4:] / _PULL_UNIT, found[row, best]


def _scores(
    views: _Views,
    linear: NDArray[np.float64],
    pull: NDArray[np.float64],
    changes: NDArray[np.float64],
    lines: slice,
) -> NDArray[np.float32]:
    """Return (k, m) scores of (k, m, 6) changes to k warps."""
    each = changes.shape[1]
    flat = changes.reshape(-1, changes.shape[2])
    scores = views.score(
        _corrected(np.repeat(linear, each, 0), flat), np.repeat(pull, each, 0) + flat[:, 4:] / _PULL_UNIT, lines
    )
    return scores.reshape(len(linear), each)
