"""Noise: its level over brightness and flatness, its tails, and how it moves together in the three channels."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from detectors.statistical.planes import Features, Plane, Planes

BLOCK = 8
_QUANTILES = (0.02, 0.1, 0.25, 0.5, 0.75, 0.9)
_FLAT_SHARE = 0.3
"""The flattest blocks, where noise shows and content does not."""
_LAPLACIAN_CLIP = 6.0


def blocks(plane: Plane) -> NDArray[np.float32]:
    """Return (N, 64): the plane in 8x8 blocks, row by row."""
    n = plane.shape[0] // BLOCK
    cut = plane[: n * BLOCK, : n * BLOCK].reshape(n, BLOCK, n, BLOCK)
    return np.ascontiguousarray(cut.transpose(0, 2, 1, 3)).reshape(n * n, BLOCK * BLOCK)


def noise_level(planes: Planes) -> Features:
    """Return (11,) quantiles of the local noise level, its slope over brightness, spread, tails, clipped shares."""
    level = np.log(blocks(planes.kv).std(axis=1) + 0.02)
    brightness = blocks(planes.luma).mean(axis=1)
    flat = level < np.quantile(level, _FLAT_SHARE)
    slope, spread = 0.0, 0.0
    if flat.sum() > 10:
        spread = float(level[flat].std())
        around = brightness[flat] - brightness[flat].mean()
        if around.std() > 1:
            slope = float((around * level[flat]).mean() / (around**2).mean())
    squared = np.square(planes.detail)
    kurtosis = float(np.log(np.square(squared).mean() / (float(squared.mean()) + 1e-3) ** 2 + 1e-6))
    clipped = [float((planes.rgb <= 1).mean()), float((planes.rgb >= 254).mean())]
    return np.array([*np.quantile(level, _QUANTILES), slope * 100, spread, kurtosis, *clipped], np.float32)


def channel_relations(planes: Planes) -> Features:
    """Return (8,) correlations of the channels' fine detail and the relative strength of colour detail.

    A sensor sees one colour a pixel and interpolates the others; a decoder draws all three at once.
    """
    fine = [np.clip(_laplacian(planes.rgb[..., k]), -_LAPLACIAN_CLIP, _LAPLACIAN_CLIP).ravel() for k in range(3)]
    centred = np.stack([plane - plane.mean() for plane in fine])
    scale = np.sqrt((centred**2).sum(axis=1)) + 1e-3
    together = (centred @ centred.T) / np.outer(scale, scale)
    strength = np.log(np.array([plane.std() for plane in fine]) + 1e-2)
    colour = [
        float(np.log(np.minimum(np.abs(_laplacian(plane)), 8).mean() + 1e-2) - strength[1])
        for plane in (planes.blue, planes.red)
    ]
    pairs = together[(0, 1, 0), (1, 2, 2)]
    joined: list[float] = [
        *(float(pair) for pair in pairs),
        float(strength[0] - strength[1]),
        float(strength[2] - strength[1]),
        *colour,
        float(strength[1]),
    ]
    return np.array(joined, np.float32)


def _laplacian(plane: Plane) -> Plane:
    return np.asarray(cv2.Laplacian(np.ascontiguousarray(plane), cv2.CV_32F) / 4, np.float32)


def noise_features(planes: Planes) -> Features:
    """Return (19,) noise levels and channel relations."""
    return np.concatenate([noise_level(planes), channel_relations(planes)])
