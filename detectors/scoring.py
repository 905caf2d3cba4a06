"""A scoring model in the box or installed by a team: ONNX file, calibration card, and the digests that pin both.

Folder: ``NAME.onnx``, ``NAME.card.json``, ``digests.json``. Everything is checked when the folder is opened; the ONNX
session starts at the first use and is shared by all threads.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.calibration.card import CalibrationCard, read_card
from guard.errors import DetectorError, WeightsError
from guard.inference import open_onnx
from guard.weights import read_digests, sha256_file, verify_folder


class ScoringModel:
    """One calibrated model; safe to share between threads."""

    def __init__(self, folder: Path, name: str) -> None:
        """Check the files.

        Args:
            folder: holds the files and ``digests.json``.
            name: first part of the file names, e.g. ``statistical``.

        Raises:
            WeightsError: missing or changed files, or a card of another model.
        """
        verify_folder(folder, read_digests(folder))
        self._path = folder / f"{name}.onnx"
        self.card: CalibrationCard = read_card(folder / f"{name}.card.json")
        found = sha256_file(self._path)
        if found != self.card.model_sha256:
            raise WeightsError(
                f"The card {name}.card.json calibrates the model {self.card.model_sha256[:16]}, "
                f"but {self._path.name} is {found[:16]}.",
                next_step="A card holds for one model only: install model and card together.",
            )
        self._lock = Lock()
        self._session: Any = None

    @property
    def version(self) -> str:
        """Return date and digest of the model, so that every report names what judged."""
        return f"{self.card.date}+{self.card.model_sha256[:12]}"

    def run(self, inputs: Mapping[str, NDArray[np.float32]]) -> list[NDArray[np.float32]]:
        """Return the model's outputs.

        Raises:
            DetectorError: the model could not run on these inputs, or answered with numbers that are not finite.
        """
        with self._lock:
            if self._session is None:
                self._session = open_onnx(self._path, name=f"The model {self._path.name}")
        try:
            outputs: list[NDArray[np.float32]] = self._session.run(None, dict(inputs))
        except Exception as exc:  # onnxruntime raises its own kinds; the engine reports a Failed
            raise DetectorError(f"The model {self._path.name} could not run on this picture.") from exc
        if not all(np.isfinite(output).all() for output in outputs):
            raise DetectorError(f"The model {self._path.name} answered with numbers that are not finite.")
        return outputs
