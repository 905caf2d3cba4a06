"""Protocols of detectors whose weights the operator brings."""

from __future__ import annotations

from typing import Any, Protocol

from detectors.pretrained.vision_transformer import Shapes, Weights
from guard.records import RGB8


class Architecture(Protocol):
    """A published network: which tensors it has, and what they compute."""

    def shapes(self) -> Shapes:
        """Return names and shapes of the tensors in the published file."""
        ...

    def backbone_shapes(self) -> Shapes:
        """Return those that come from a backbone's file; empty when the published file holds everything."""
        ...

    def folded(self, weights: Weights) -> Weights:
        """Return the tensors as ``logits`` wants them, e.g. with low-rank updates added up."""
        ...

    def logits(self, weights: Weights, pictures: Any) -> Any:
        """Return (N,) logits, higher for generated, of (N, 3, H, W) float32 prepared pictures."""
        ...


class PictureScorer(Protocol):
    """Gives one number a picture, higher for generated, on a scale of its own; safe to share between threads."""

    @property
    def digest(self) -> str:
        """SHA-256 over everything that can change the score; calibration cards name it."""
        ...

    @property
    def least_side(self) -> int:
        """Shortest side, in pixels, of a picture that it can look at."""
        ...

    @property
    def scale(self) -> str:
        """What the number is, for a reader."""
        ...

    def score(self, pixels: RGB8) -> float:
        """Return the finite score of (H, W, 3) uint8.

        Raises:
            DetectorError: the network failed, or answered with a number that is not finite.
            ConfigError: a library is missing, or the weights do not fit.
        """
        ...
