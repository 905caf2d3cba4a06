"""A CLIP model of the operator, through open_clip: pictures and phrases as unit vectors that can be compared.

::

    model = ClipModel(ModelSource(folder=Path("/models/clip"), digest="5c6..."), device="cpu")
    model.embed_pictures([rgb]) @ model.embed_phrases(["a photo of a dog"]).T     # cosines

The folder is what open_clip writes for the hub: ``open_clip_config.json`` and ``open_clip_model.safetensors``, for
some models also tokenizer files. Pictures are squashed to the model's square, not cropped: what stands at the edge is
part of what is judged.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from guard.errors import CheckError, ConfigError, WeightsError
from guard.model_source import DeviceName, ModelSource, open_source, torch_device
from guard.records import RGB8

CONFIG_FILE = "open_clip_config.json"
_PROBE = np.zeros((32, 32, 3), np.uint8)


class ClipModel:
    """Safe to share between threads.

    Attributes:
        digest: content digest of the model folder; vectors of models with other digests cannot be compared.
        dimensions: length of the vectors.
        logit_scale: factor, learnt in training, that turns cosines into logits.
    """

    def __init__(self, source: ModelSource, *, device: DeviceName = "cpu") -> None:
        """Verify and load the model, and try it on a picture.

        Raises:
            ConfigError: open_clip is not installed, or the device is not there.
            WeightsError: the files are missing, not as pinned, not loadable, or give no finite vectors.
        """
        try:
            import open_clip
            import torch
        except ImportError as exc:
            raise ConfigError(
                f"The CLIP model needs a library that is not installed: {exc.name}.",
                next_step="pip install 'signet-gateway[clip]'",
            ) from exc
        folder = open_source(source, what="The CLIP model")
        _require_own_towers(folder)
        name = f"local-dir:{folder}"
        try:
            model, self._prepare = open_clip.create_model_from_pretrained(name, image_resize_mode="squash")
            self._tokenize: Any = open_clip.get_tokenizer(name)
        except Exception as exc:  # open_clip and torch raise many kinds; a model that does not load stops the start
            raise WeightsError(f"The CLIP model in {folder} cannot be loaded.") from exc
        self._torch = torch
        self._device = torch_device(device)
        self._model: Any = model.eval().to(self._device)
        self._lock = Lock()
        self.digest = source.digest
        self.logit_scale = float(model.logit_scale.exp())
        try:
            self.dimensions = self.embed_pictures([_PROBE]).shape[1]
        except CheckError as exc:
            raise WeightsError(f"The CLIP model in {folder} does not give finite vectors.") from exc

    def embed_pictures(self, pictures: Sequence[RGB8]) -> NDArray[np.float32]:
        """Return (n, dimensions) unit vectors of n pictures, each (H, W, 3) uint8.

        Raises:
            CheckError: the model failed or gave numbers that are not finite.
        """
        return self._embed(
            "picture", lambda: self._torch.stack([self._prepare(Image.fromarray(one)) for one in pictures])
        )

    def embed_phrases(self, phrases: Sequence[str]) -> NDArray[np.float32]:
        """Return (n, dimensions) unit vectors of n phrases; what is longer than the model's context is cut.

        Raises:
            CheckError: the model failed or gave numbers that are not finite.
        """
        return self._embed("phrase", lambda: self._tokenize(list(phrases)))

    def _embed(self, kind: Literal["picture", "phrase"], inputs: Any) -> NDArray[np.float32]:
        """Run one tower; one caller at a time, because torch uses all its threads for each."""
        encode = self._model.encode_image if kind == "picture" else self._model.encode_text
        try:
            with self._lock, self._torch.inference_mode():
                vectors = encode(inputs().to(self._device), normalize=True).float().cpu().numpy()
        except Exception as exc:  # torch raises many kinds; every one means "could not decide": CheckError
            raise CheckError(f"The CLIP model failed on a {kind}.") from exc
        if not np.isfinite(vectors).all():
            raise CheckError(f"The CLIP model gave numbers that are not finite for a {kind}.")
        return np.asarray(vectors, np.float32)


def _require_own_towers(folder: Path) -> None:
    """Raise WeightsError when the configuration would fetch a text tower by name from somewhere else."""
    try:
        config = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
        text = config["model_cfg"].get("text_cfg", {})
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as exc:
        raise WeightsError(
            f"The CLIP model in {folder} has no readable {CONFIG_FILE}.",
            next_step="Use a folder as open_clip writes it for the hub.",
        ) from exc
    if text.get("hf_model_name"):
        raise WeightsError(
            f"The CLIP model in {folder} takes its text tower from the hub ({text['hf_model_name']}), unpinned.",
            next_step="Use a model whose own text tower is in its folder, for instance ViT-B-32 or SigLIP.",
        )
