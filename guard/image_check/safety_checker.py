"""``image.safety_checker``: the safety checker that ships with Stable Diffusion, as one opinion among several.

The network compares a picture's CLIP vector with 17 fixed concept vectors, each with its own threshold; three
"special care" vectors lower all thresholds a little when they match. What the concepts are was never published; they
are known to be sexual ones (Rando et al. 2022, "Red-Teaming the Stable Diffusion Safety Filter", arXiv 2210.04610).
Here it only reports: the picture is never painted black, every view of it counts, and the margin is in the finding.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from guard.errors import CheckError, ConfigError, WeightsError
from guard.image_check.views import views
from guard.model_source import DeviceName, ModelSource, open_source, torch_device
from guard.records import RGB8, Finding, Region

MEAN = np.array([0.48145466, 0.4578275, 0.40821073], np.float32)
STD = np.array([0.26862954, 0.26130258, 0.27577711], np.float32)
"""Channel statistics of CLIP's training pictures. Source: OpenAI CLIP, ``clip/clip.py``, ``_transform``."""
SPECIAL_CARE = 0.01
"""What a special-care match adds to every margin. Source: diffusers ``safety_checker.py``, ``forward``."""
MARGIN_SCALE = 0.02
"""Margin (cosine) at which the score is 0.73; 0.5 is the checker's own threshold. A convention, not a calibration."""
_PROBE = np.zeros((32, 32, 3), np.uint8)


class SafetyChecker:
    """Implements ``ImageChecker`` with ``StableDiffusionSafetyChecker``.

    Attributes:
        id: ``image.safety_checker``.
        digest: content digest of the model folder.
    """

    id: str = "image.safety_checker"

    def __init__(
        self, source: ModelSource, *, severity: int = 4, adjustment: float = 0.0, device: DeviceName = "cpu"
    ) -> None:
        """Verify and load the checker, and try it on a picture.

        Args:
            source: folder with ``config.json`` and safetensors weights, as in ``safety_checker/`` of SD 1.x.
            severity: 0..7 of findings.
            adjustment: added to every margin; above 0 is stricter. Source: the parameter of that name upstream.
            device: where it runs.

        Raises:
            ConfigError: diffusers is not installed, or the device is not there.
            WeightsError: files are missing, incomplete or not as pinned, or the model gives no finite answer.
        """
        try:
            import diffusers  # noqa: F401
            import torch
            from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
        except ImportError as exc:
            raise ConfigError(
                f"image.safety_checker needs a library that is not installed: {exc.name}.",
                next_step="pip install 'signet-gateway[generate]'",
            ) from exc
        folder = open_source(source, what="The safety checker")
        try:
            model, notes = StableDiffusionSafetyChecker.from_pretrained(
                folder, use_safetensors=True, local_files_only=True, output_loading_info=True
            )
        except Exception as exc:  # the libraries raise many kinds; a model that does not load stops the start
            raise WeightsError(f"The safety checker in {folder} cannot be loaded.") from exc
        missing = [name for name in notes["missing_keys"] if not name.endswith("position_ids")]
        if missing or notes.get("mismatched_keys"):
            raise WeightsError(f"The safety checker in {folder} lacks weights: {', '.join(sorted(missing)[:3])}.")
        self._torch = torch
        self._device = torch_device(device)
        self._model: Any = model.float().eval().to(self._device)
        self._side = int(model.config.vision_config.image_size)
        self._severity, self._adjustment = severity, adjustment
        self._lock = Lock()
        self.digest = source.digest
        try:
            self.margins([_PROBE])
        except CheckError as exc:
            raise WeightsError(f"The safety checker in {folder} does not give finite numbers.") from exc

    def check(self, pixels: RGB8) -> Sequence[Finding]:
        """Return one finding when a concept passes its threshold in some view.

        Args:
            pixels: (H, W, 3) uint8.

        Raises:
            CheckError: the model failed or gave numbers that are not finite.
        """
        seen = views(pixels, input_px=self._side)
        margins = self.margins([view.pixels for view in seen])
        best = int(margins.max(axis=1).argmax())
        margin = float(margins[best].max())
        if margin <= 0.0:
            return []
        view = seen[best]
        height, width = view.pixels.shape[:2]
        return [
            Finding(
                checker=self.id,
                category="sexual",
                score=1.0 / (1.0 + math.exp(-margin / MARGIN_SCALE)),
                severity=self._severity,
                reason=f"The diffusion safety checker is {margin:.3f} above its threshold for a concept.",
                regions=() if best == 0 else (Region(x=view.x, y=view.y, width=width, height=height),),
            )
        ]

    def margins(self, pictures: Sequence[RGB8]) -> NDArray[np.float64]:
        """Return (n, concepts) margins: cosine minus threshold plus adjustments, to three decimals as upstream.

        Raises:
            CheckError: the model failed or gave numbers that are not finite.
        """
        model, torch = self._model, self._torch
        batch = np.stack([to_input(one, side=self._side) for one in pictures])
        try:
            with self._lock, torch.inference_mode():
                vectors = model.visual_projection(model.vision_model(torch.from_numpy(batch).to(self._device))[1])
                vectors = torch.nn.functional.normalize(vectors)
                special = vectors @ torch.nn.functional.normalize(model.special_care_embeds).T
                concepts = vectors @ torch.nn.functional.normalize(model.concept_embeds).T
                special = (special - model.special_care_embeds_weights).cpu().double().numpy()
                concepts = (concepts - model.concept_embeds_weights).cpu().double().numpy()
        except Exception as exc:  # torch raises many kinds; every one means "could not decide": CheckError
            raise CheckError("The safety checker failed on a picture, so it cannot be cleared.") from exc
        if not (np.isfinite(special).all() and np.isfinite(concepts).all()):
            raise CheckError("The safety checker gave numbers that are not finite, so the picture cannot be cleared.")
        return with_special_care(special + self._adjustment, concepts + self._adjustment)


def with_special_care(special: NDArray[np.float64], concepts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (n, concepts) margins, raised by SPECIAL_CARE where a special-care margin of the picture is above 0.

    Args:
        special: (n, special-care concepts) margins.
        concepts: (n, concepts) margins.
    """
    care = (special.round(3) > 0).any(axis=1, keepdims=True)
    return np.asarray((concepts + SPECIAL_CARE * care).round(3))


def to_input(pixels: RGB8, *, side: int) -> NDArray[np.float32]:
    """Return the (3, side, side) input of CLIP.

    Source: ``CLIPImageProcessor``. Differs: the picture is squashed to the square instead of cropped, so that its
    edges are judged as well.
    """
    small = Image.fromarray(pixels).resize((side, side), Image.Resampling.BICUBIC)
    scaled = (np.asarray(small, np.float32) / np.float32(255.0) - MEAN) / STD
    return np.ascontiguousarray(scaled.transpose(2, 0, 1), dtype=np.float32)
