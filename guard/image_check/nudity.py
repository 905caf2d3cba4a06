"""``image.nudity``: the open NudeNet detector, class by class, on the whole picture and once more at a larger scale.

The detector (YOLOv8n, trained at 320 x 320, takes any multiple of 32; 18 classes with boxes) comes with the optional
package ``nudenet``; its LICENSE file is AGPL-3.0. Only the ONNX file of the package is used: its digest is pinned here,
arrays go in directly, nothing is written to disk, one thread. Which classes count, from which score on and how severe
they are, is the policy's business; an exposed class together with a face is a hard finding (intimate imagery of an
identifiable person).

Scores are the detector's own, not calibrated probabilities. It is weak on drawings.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from guard.errors import CheckError, ConfigError
from guard.image_check.faces import Face, FaceDetector
from guard.image_check.views import scalings
from guard.inference import open_onnx
from guard.records import RGB8, Finding, Region
from guard.weights import WeightSpec, verify_file

DETECTOR = WeightSpec(
    id="nudenet.320n",
    revision="3.4.2",
    sha256="c15d8273adad2d0a92f014cc69ab2d6c311a06777a55545f2c4eb46f51911f0f",
    size_bytes=12150158,
    licence="AGPL-3.0",
    source_url="https://pypi.org/project/nudenet/3.4.2/",
)
"""The file inside the wheel."""
INPUT_PX = 320
"""Longer side of the smallest input; what the detector was trained on."""
STRIDE = 32
"""Sides of the input are multiples of it. Source: YOLOv8, coarsest of the three output grids."""
CLASSES = (
    "FEMALE_GENITALIA_COVERED",
    "FACE_FEMALE",
    "BUTTOCKS_EXPOSED",
    "FEMALE_BREAST_EXPOSED",
    "FEMALE_GENITALIA_EXPOSED",
    "MALE_BREAST_EXPOSED",
    "ANUS_EXPOSED",
    "FEET_EXPOSED",
    "BELLY_COVERED",
    "FEET_COVERED",
    "ARMPITS_COVERED",
    "ARMPITS_EXPOSED",
    "FACE_MALE",
    "BELLY_EXPOSED",
    "MALE_GENITALIA_EXPOSED",
    "ANUS_COVERED",
    "FEMALE_BREAST_COVERED",
    "BUTTOCKS_COVERED",
)
"""Order of the detector's outputs. Source: ``names`` in the metadata of the ONNX file."""
FACES = frozenset({"FACE_FEMALE", "FACE_MALE"})
INTIMATE = frozenset({"FEMALE_BREAST_EXPOSED", "FEMALE_GENITALIA_EXPOSED", "MALE_GENITALIA_EXPOSED", "ANUS_EXPOSED"})
"""What makes a picture with a face intimate imagery. Source: US TAKE IT DOWN Act, section 2(a), "intimate parts"."""
HARD_SCORE = 0.5
"""Both the face and the intimate class must reach this score for the hard finding; no policy can change it."""
MIN_SCORE = 0.2
"""Detections below are dropped. Source: NudeNet's own ``_postprocess``."""
COMPANY_SCORE = 0.3
"""Another class from this score on shows that there is a body at all. Source: measured on harmless photos, mostly food
and things: 10 of 143 show an exposed class over its default limit, 3 of them with such company."""
LONE_SEVERITY = 3
"""Below the severity from which the bundled general policies block pictures for nudity."""
SAME_BOX_IOU = 0.45
"""Boxes of one class that overlap more are one detection. Source: NudeNet's own NMS threshold."""


class ClassLimit(Protocol):
    """How one class counts; ``guard.policy.schema.NudityClass`` is one."""

    @property
    def min_score(self) -> float:
        """Return the score, 0..1, from which the class counts."""
        ...

    @property
    def severity(self) -> int:
        """Return the severity, 0..7."""
        ...


@dataclass(frozen=True, slots=True)
class Detection:
    """One box of the detector, in pixels of the whole picture."""

    name: str
    score: float
    x: float
    y: float
    width: float
    height: float

    @property
    def region(self) -> Region:
        """Return the box in whole pixels."""
        return Region(x=round(self.x), y=round(self.y), width=round(self.width), height=round(self.height))


class NudityChecker:
    """Implements ``ImageChecker`` with the NudeNet detector.

    Attributes:
        id: ``image.nudity``.
        digest: SHA-256 of the detector file.
    """

    id: str = "image.nudity"

    def __init__(
        self,
        *,
        classes: Mapping[str, ClassLimit],
        alone_min_score: float | None = None,
        faces: FaceDetector | None = None,
    ) -> None:
        """Find, check and load the detector.

        Args:
            classes: class of CLASSES -> from which score on it counts, and how severe it is.
            alone_min_score: 0..1; below it, a class in a picture that shows nothing else of a body is reported with a
                severity of LONE_SEVERITY at most. None makes no difference between lone and other detections.
            faces: asked for faces where the detector sees intimate parts and no face of its own.

        Raises:
            ConfigError: the package ``nudenet`` is not installed, or a class does not exist.
            WeightsError: its detector is not the pinned file.
        """
        unknown = sorted(set(classes) - set(CLASSES))
        if unknown:
            raise ConfigError(
                f"The policy sets limits for nudity classes that do not exist: {', '.join(unknown)}.",
                next_step=f"Use classes of this list: {', '.join(CLASSES)}.",
            )
        self._classes = dict(classes)
        self._alone_min_score = alone_min_score
        self._faces = faces
        self._session = open_onnx(verify_file(detector_file(), DETECTOR), name="The nudity detector")
        self.digest = DETECTOR.sha256

    def check(self, pixels: RGB8) -> Sequence[Finding]:
        """Return one finding for each class that counts, and the hard one for intimate parts with a face.

        Raises:
            CheckError: the detector failed or gave numbers that are not finite.
        """
        detections = self.detect(pixels)
        findings = [
            self._finding(name, self._severity(name, limit, detections), seen)
            for name, limit in self._classes.items()
            if (seen := [d for d in detections if d.name == name and d.score >= limit.min_score])
        ]
        intimate = [d for d in detections if d.name in INTIMATE and d.score >= HARD_SCORE]
        faces = [Face(d.score, d.region) for d in detections if d.name in FACES and d.score >= HARD_SCORE]
        if intimate and not faces and self._faces is not None:
            faces = self._faces.detect(pixels)
        if intimate and faces:
            findings.append(
                Finding(
                    checker=self.id,
                    category="likeness",
                    score=min(max(d.score for d in intimate), max(face.score for face in faces)),
                    severity=7,
                    reason="The picture shows intimate parts together with a face.",
                    hard=True,
                    regions=(*(d.region for d in intimate), *(face.region for face in faces)),
                )
            )
        return findings

    def detect(self, pixels: RGB8) -> list[Detection]:
        """Return all detections, best first, in coordinates of the whole picture.

        Args:
            pixels: (H, W, 3) uint8.

        Raises:
            CheckError: the detector failed or gave numbers that are not finite.
        """
        height, width = pixels.shape[:2]
        found: list[Detection] = []
        for smaller, scale in scalings(pixels, input_px=INPUT_PX):
            try:
                output = self._session.run(None, {"images": to_input(smaller)})[0]
            except Exception as exc:  # onnxruntime raises its own kinds; every one means "could not decide": CheckError
                raise CheckError("The nudity detector failed on a picture, so it cannot be cleared.") from exc
            found += read_output(np.asarray(output)[0], scale=scale, size=(width, height))
        return suppress(found)

    def _severity(self, name: str, limit: ClassLimit, detections: Sequence[Detection]) -> int:
        """Return how severe a class is in this picture."""
        if self._alone_min_score is None or best_score(detections, name) >= self._alone_min_score:
            return limit.severity
        others = any(d.name != name and d.score >= COMPANY_SCORE for d in detections)
        return limit.severity if others else min(limit.severity, LONE_SEVERITY)

    def _finding(self, name: str, severity: int, seen: Sequence[Detection]) -> Finding:
        """Return the finding of one class."""
        return Finding(
            checker=self.id,
            category="sexual",
            score=max(d.score for d in seen),
            severity=severity,
            reason=f"The nudity detector sees: {name.replace('_', ' ').lower()}.",
            regions=tuple(d.region for d in seen),
        )


def best_score(detections: Sequence[Detection], name: str) -> float:
    """Return the highest score of a class, 0 when it was not seen."""
    return max((d.score for d in detections if d.name == name), default=0.0)


def to_input(pixels: RGB8) -> NDArray[np.float32]:
    """Return the (1, 3, H, W) input in [0, 1], padded with black at the right and bottom to multiples of STRIDE.

    Source: NudeNet's own ``_read_image``. Differs: RGB order (measured: a face in RGB scores .81, in BGR .72), padded
    to the next multiple instead of to a square.
    """
    height, width = pixels.shape[:2]
    canvas = np.zeros((1, 3, -(-height // STRIDE) * STRIDE, -(-width // STRIDE) * STRIDE), np.float32)
    np.multiply(pixels.transpose(2, 0, 1), np.float32(1 / 255), out=canvas[0, :, :height, :width])
    return canvas


def read_output(output: NDArray[np.float32], *, scale: float, size: tuple[int, int]) -> list[Detection]:
    """Turn the detector's (22, boxes) output into detections.

    Args:
        output: rows centre x, centre y, width, height in input pixels, then one score row for each class.
        scale: picture pixels per input pixel.
        size: (width, height) of the picture; boxes are clipped to it.

    Raises:
        CheckError: the output has another shape or holds numbers that are not finite.
    """
    if output.ndim != 2 or output.shape[0] != 4 + len(CLASSES) or not np.isfinite(output).all():
        raise CheckError("The nudity detector gave an answer that cannot be read, so the picture cannot be cleared.")
    scores = output[4:]
    best = scores.argmax(axis=0)
    values = scores.max(axis=0)
    found = []
    for index in np.flatnonzero(values >= MIN_SCORE):
        centre_x, centre_y, width, height = (float(v) * scale for v in output[:4, index])
        left, top = max(0.0, centre_x - width / 2), max(0.0, centre_y - height / 2)
        right, bottom = min(float(size[0]), centre_x + width / 2), min(float(size[1]), centre_y + height / 2)
        if right <= left or bottom <= top:
            continue
        name, score = CLASSES[int(best[index])], min(float(values[index]), 1.0)
        found.append(Detection(name, score, left, top, right - left, bottom - top))
    return found


def suppress(detections: Sequence[Detection]) -> list[Detection]:
    """Keep the best of boxes of one class that overlap by more than SAME_BOX_IOU; best first."""
    kept: list[Detection] = []
    for candidate in sorted(detections, key=lambda d: -d.score):
        if all(d.name != candidate.name or _iou(d, candidate) <= SAME_BOX_IOU for d in kept):
            kept.append(candidate)
    return kept


def _iou(one: Detection, other: Detection) -> float:
    """Return intersection over union of two boxes."""
    width = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
    height = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / (one.width * one.height + other.width * other.height - shared)


def detector_file() -> Path:
    """Return the ONNX file inside the installed package, without importing it (it would import OpenCV)."""
    spec = importlib.util.find_spec("nudenet")
    if spec is None or spec.origin is None:
        raise ConfigError(
            "The policy lists image.nudity, but the package nudenet is not installed.",
            next_step="pip install 'signet-gateway[nudenet]' (its licence is AGPL-3.0), or change the policy.",
        )
    return Path(spec.origin).with_name("320n.onnx")
