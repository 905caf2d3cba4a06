"""The feature vector of one crop: five groups of statistics in a fixed order."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from detectors.statistical.block_grid import block_features
from detectors.statistical.cooccurrence import cooccurrence_features
from detectors.statistical.noise import noise_features
from detectors.statistical.planes import Features, Planes, split_planes
from detectors.statistical.spectrum import radial_features
from detectors.statistical.upsampling import upsampling_features
from guard.records import RGB8

GROUPS: Mapping[str, Callable[[Planes], Features]] = {
    "spectrum": radial_features,
    "up-sampling": upsampling_features,
    "noise": noise_features,
    "co-occurrence": cooccurrence_features,
    "block grid": block_features,
}
"""Groups in the order of the vector; a person inspects each one by itself."""
LIMIT = 20.0
"""No feature exceeds this on any of the training crops; hostile pictures are cut here."""


def group_features(crop: RGB8) -> dict[str, Features]:
    """Return the features of an (S, S, 3) uint8 crop by group; S a multiple of 16, at least 128."""
    planes = split_planes(crop)
    return {name: function(planes) for name, function in GROUPS.items()}


def feature_vector(crop: RGB8) -> Features:
    """Return all features of a crop as one (N,) float32 vector, finite, within LIMIT."""
    joined = np.concatenate(list(group_features(crop).values()))
    return np.asarray(np.clip(np.nan_to_num(joined, nan=0.0, posinf=LIMIT, neginf=-LIMIT), -LIMIT, LIMIT), np.float32)


def group_slices() -> dict[str, slice]:
    """Return where each group lies in the vector."""
    start, found = 0, {}
    for name, part in group_features(np.zeros((128, 128, 3), np.uint8)).items():
        found[name] = slice(start, start + len(part))
        start += len(part)
    return found
