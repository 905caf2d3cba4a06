"""A second opinion on faces for the nudity check: OpenCV's ``FaceDetectorYN`` with the operator's YuNet file.

No maintained package ships a face detector's weights on PyPI under a permissive licence and reads arrays, so the file
is the operator's (``face_detection_yunet_2023mar.onnx`` of the OpenCV Zoo, MIT, is one that fits) and pinned by digest
in the policy. It says where faces are, never whose.

Source: Wu, Peng, Yu 2023, "YuNet: A Tiny Millisecond-level Face Detector".
"""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from guard.errors import CheckError, WeightsError
from guard.records import RGB8, Region

LONGER_SIDE_PX = 640
"""Pictures are read at this size: YuNet finds faces of 10 to 300 px. Source: the model's README in the OpenCV Zoo."""
SAME_FACE_IOU = 0.3
"""Boxes that overlap more are one face. Source: default of ``FaceDetectorYN``."""
_MOST_BOXES = 5000
"""Boxes kept before overlapping ones are joined. Source: default of ``FaceDetectorYN``."""


@dataclass(frozen=True, slots=True)
class Face:
    """One face: its score, 0..1, and its box in whole pixels of the picture."""

    score: float
    region: Region


class FaceDetector:
    """Finds faces; one at a time, because OpenCV's object keeps the size of the last picture.

    Attributes:
        digest: SHA-256 of the file.
    """

    def __init__(self, file: Path, *, digest: str, min_score: float) -> None:
        """Read the file once, compare its digest and load what was read.

        Args:
            file: ONNX file with YuNet's outputs.
            digest: its SHA-256, 64 lower-case hex digits.
            min_score: 0..1; what scores lower is no face.

        Raises:
            WeightsError: missing, another digest, or no such model.
        """
        try:
            content = file.read_bytes()
        except OSError as exc:
            raise WeightsError(
                f"The face detector {file} cannot be read: {exc.strerror}.",
                next_step="Put the file there, or remove `faces` from image.nudity in the policy.",
            ) from exc
        found = hashlib.sha256(content).hexdigest()
        if found != digest:
            raise WeightsError(f"The face detector {file} has SHA-256 {found}; the policy pins {digest}.")
        self.digest = digest
        self._lock = threading.Lock()
        try:
            self._detector = cv2.FaceDetectorYN.create(
                "onnx",
                np.frombuffer(content, np.uint8),
                np.zeros(0, np.uint8),
                (LONGER_SIDE_PX, LONGER_SIDE_PX),
                min_score,
                SAME_FACE_IOU,
                _MOST_BOXES,
            )
            self.detect(np.zeros((LONGER_SIDE_PX, LONGER_SIDE_PX, 3), np.uint8))
        except (cv2.error, CheckError) as exc:
            raise WeightsError(f"{file} is no face detector that OpenCV's FaceDetectorYN can run.") from exc

    def detect(self, pixels: RGB8) -> list[Face]:
        """Return the faces in a picture.

        Args:
            pixels: (H, W, 3) uint8.

        Raises:
            CheckError: the detector failed or gave numbers that are not finite.
        """
        height, width = pixels.shape[:2]
        scale = max(1.0, max(height, width) / LONGER_SIDE_PX)
        size = max(1, round(width / scale)), max(1, round(height / scale))
        smaller = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR)) if scale > 1 else pixels
        try:
            with self._lock:
                self._detector.setInputSize(size)
                _, rows = self._detector.detect(np.ascontiguousarray(smaller[..., ::-1]))
        except cv2.error as exc:
            raise CheckError("The face detector failed on a picture, so it cannot be cleared.") from exc
        if rows is None:
            return []
        if not np.isfinite(rows).all():
            raise CheckError("The face detector gave an answer that is not a number, so the picture cannot be cleared.")
        return [
            Face(score=min(float(row[-1]), 1.0), region=_region(row[:4] * scale, width=width, height=height))
            for row in rows
        ]


def _region(box: np.ndarray, *, width: int, height: int) -> Region:
    """Return (x, y, width, height) as whole pixels inside the picture, at least one."""
    left, top = (min(max(0, round(float(v))), limit - 1) for v, limit in zip(box[:2], (width, height), strict=True))
    right, bottom = round(float(box[0] + box[2])), round(float(box[1] + box[3]))
    return Region(x=left, y=top, width=max(1, min(right, width) - left), height=max(1, min(bottom, height) - top))
