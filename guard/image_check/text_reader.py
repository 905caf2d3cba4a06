"""Reads text in pictures with the PP-OCRv6 models that the package ``rapidocr`` carries; the package itself never runs.

Flow: (1) a network marks where text is, (2) marks become boxes, also tilted ones, (3) each box is cut out upright,
(4) a second network reads it character by character; what it is unsure of is read again upside down.

Both files are pinned by digest, arrays go in directly, one thread, nothing is downloaded or written.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from guard.errors import CheckError, ConfigError, WeightsError
from guard.image_check.text_boxes import TextBox, cut_out, find_boxes, in_reading_order
from guard.inference import open_onnx
from guard.records import RGB8, Region
from guard.weights import WeightSpec, verify_file

_WHERE = "https://pypi.org/project/rapidocr/3.10.0/"
FINDER = WeightSpec(
    id="rapidocr.PP-OCRv6_det_small",
    revision="3.10.0",
    sha256="090f04abcd9d9a7498bc4ebf677e4cb9bdce1fe4197ddb7e529f1ef44e1ff94f",
    size_bytes=9929594,
    licence="Apache-2.0",
    source_url=_WHERE,
)
READER = WeightSpec(
    id="rapidocr.PP-OCRv6_rec_small",
    revision="3.10.0",
    sha256="6f327246b50388f3c176ae304bd95767ea6dc0c9ae92153ef8cbe210b3c14884",
    size_bytes=21234383,
    licence="Apache-2.0",
    source_url=_WHERE,
)
"""Files inside the wheel."""
FIND_PX = 736
"""Side of a square of as many pixels as the finder's input. Source: ``limit_side_len`` of rapidocr, there for the
shorter side: for a square picture the same, for others cheaper. One core: 480 px 95 ms, 736 px 240, 960 px 410."""
MAX_ENLARGING = 3.0
"""Small pictures are enlarged at most so much: letters of 4 px do not get legible."""
STRIDE = 32
"""Sides of the finder's input are multiples of it. Source: rapidocr ``DetPreProcess``."""
LINE_PX = 48
"""Height of the reader's input. Source: ``rec_img_shape`` of rapidocr."""
MIN_LINE_WIDTH_PX = 320
"""Shorter lines are padded with grey to it. Source: ``rec_img_shape`` of rapidocr."""
MAX_LINE_WIDTH_PX = 48 * 40
"""Longer lines are squeezed; 40 times as long as high is about 80 letters."""
MAX_LINES = 100
"""Most boxes that are read, largest first: at 30 ms each this stays under the deadline of a check."""
SURE = 0.85
"""Confidence from which a line is not read a second time, upside down."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextLine:
    """One line of text in a picture; ``confidence`` is the reader's mean probability of its characters, 0..1."""

    text: str
    confidence: float
    region: Region


class TextReader:
    """Safe to share between threads.

    Attributes:
        digests: SHA-256 of the two model files.
    """

    def __init__(self) -> None:
        """Find, check and load both models.

        Raises:
            ConfigError: the package ``rapidocr`` is not installed.
            WeightsError: a model is not the pinned file.
        """
        folder = _models_folder()
        self._finder = open_onnx(verify_file(folder / "PP-OCRv6_det_small.onnx", FINDER), name="The text finder")
        self._reader = open_onnx(verify_file(folder / "PP-OCRv6_rec_small.onnx", READER), name="The text reader")
        characters = self._reader.get_modelmeta().custom_metadata_map.get("character", "").splitlines()
        if not characters:
            raise WeightsError("The text reader does not say which characters it knows.")
        self._characters = ["", *characters, " "]  # 0 stands between characters; Source: rapidocr ``CTCLabelDecode``
        self.digests = (FINDER.sha256, READER.sha256)

    def read(self, pixels: RGB8) -> list[TextLine]:
        """Return the lines of text, from top to bottom.

        Args:
            pixels: (H, W, 3) uint8.

        Raises:
            CheckError: a model failed or gave numbers that are not finite.
        """
        boxes = self.find(pixels)
        boxes = sorted(boxes, key=lambda box: -box.area)[:MAX_LINES]
        return [self._read_box(pixels, box) for box in in_reading_order(boxes)]

    def find(self, pixels: RGB8) -> list[TextBox]:
        """Return where text is (steps 1 and 2). Raises CheckError."""
        import cv2

        height, width = pixels.shape[:2]
        scale = min(FIND_PX / (height * width) ** 0.5, MAX_ENLARGING)
        size = tuple(max(STRIDE, round(side * scale / STRIDE) * STRIDE) for side in (width, height))
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        small = cv2.resize(pixels, size, interpolation=how)
        marks = _run(self._finder, _normalised(small))
        if marks.shape != (1, 1, size[1], size[0]):
            raise CheckError(
                f"The text finder gave an answer of shape {marks.shape}, so the picture cannot be cleared."
            )
        return find_boxes(marks[0, 0], size=(width, height))

    def _read_box(self, pixels: RGB8, box: TextBox) -> TextLine:
        """Return the line in a box (steps 3 and 4)."""
        line = cut_out(pixels, box)
        text, confidence = self._read_line(line)
        if confidence < SURE:
            text, confidence = max((text, confidence), self._read_line(line[::-1, ::-1]), key=lambda read: read[1])
        return TextLine(text=text, confidence=confidence, region=box.region)

    def _read_line(self, line: RGB8) -> tuple[str, float]:
        """Return (text, confidence) of an upright line."""
        import cv2

        height, width = line.shape[:2]
        wanted = min(max(1, round(LINE_PX * width / height)), MAX_LINE_WIDTH_PX)
        scaled = cv2.resize(np.ascontiguousarray(line), (wanted, LINE_PX))
        batch = np.zeros((1, 3, LINE_PX, max(wanted, MIN_LINE_WIDTH_PX)), np.float32)
        batch[:, :, :, :wanted] = _normalised(scaled)
        answer = _run(self._reader, batch)
        if answer.ndim != 3 or answer.shape[2] != len(self._characters):
            raise CheckError(f"The text reader gave an answer of shape {answer.shape}, so nothing can be cleared.")
        return spell(answer[0], self._characters)


def spell(probabilities: NDArray[np.float32], characters: list[str]) -> tuple[str, float]:
    """Return the text and its mean probability from (steps, characters) probabilities.

    Character 0 stands for "nothing here"; a character that repeats without it in between is one.

    Source: Graves et al. 2006, "Connectionist Temporal Classification", best path decoding.
    """
    best = probabilities.argmax(axis=1)
    fresh = np.concatenate([[True], best[1:] != best[:-1]]) & (best != 0)
    if not fresh.any():
        return "", 0.0
    return "".join(characters[index] for index in best[fresh]), float(probabilities.max(axis=1)[fresh].mean())


def _normalised(pixels: RGB8) -> NDArray[np.float32]:
    """Return (1, 3, H, W) in [-1, 1] in BGR order. Source: rapidocr, ``mean`` and ``std`` 0.5; OpenCV's order."""
    scaled = pixels[:, :, ::-1].astype(np.float32) / np.float32(127.5) - np.float32(1.0)
    return np.ascontiguousarray(scaled.transpose(2, 0, 1)[None])


def _run(session: Any, batch: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a model's answer once it is finite."""
    try:
        answer = np.asarray(session.run(None, {session.get_inputs()[0].name: batch})[0])
    except Exception as exc:  # onnxruntime raises its own kinds; every one means "could not decide": CheckError
        raise CheckError("Reading the text of a picture failed, so it cannot be cleared.") from exc
    if not np.isfinite(answer).all():
        raise CheckError("Reading the text of a picture gave numbers that are not finite, so it cannot be cleared.")
    return answer


def _models_folder() -> Path:
    """Return the folder with the models inside the installed package, without importing it."""
    spec = importlib.util.find_spec("rapidocr")
    if spec is None or spec.origin is None:
        raise ConfigError(
            "The policy lists image.text, but the package rapidocr is not installed.",
            next_step="pip install 'signet-gateway[ocr]', or change the policy.",
        )
    return Path(spec.origin).with_name("models")
