"""Random models of a few thousand weights, in the folder layouts of the real ones; no network, no downloads."""

import json
from pathlib import Path

import numpy as np

from guard.model_source import ModelSource
from guard.weights import content_digest, is_document, sha256_file

CLIP_PX = 32


def source_of(folder: Path) -> ModelSource:
    """The folder, pinned to what it holds now."""
    files = [p for p in folder.rglob("*") if p.is_file() and not is_document(p)]
    digests = {path.relative_to(folder).as_posix(): sha256_file(path) for path in files}
    return ModelSource(folder=folder, digest=content_digest(digests))


def save_clip(folder: Path, **text_settings: object) -> Path:
    """A CLIP as open_clip writes it for the hub."""
    import open_clip
    import torch
    from safetensors.torch import save_file

    model = {
        "embed_dim": 16,
        "vision_cfg": {"image_size": CLIP_PX, "patch_size": 16, "width": 16, "layers": 1, "head_width": 8},
        "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1, **text_settings},
    }
    preprocess = {
        "mean": [0.5, 0.5, 0.5],
        "std": [0.5, 0.5, 0.5],
        "interpolation": "bicubic",
        "resize_mode": "shortest",
    }
    folder.mkdir(parents=True)
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": model, "preprocess_cfg": preprocess}))
    torch.manual_seed(0)
    torch.use_deterministic_algorithms(False)
    built = open_clip.CLIP(**{key: value for key, value in model.items() if not text_settings})
    save_file(built.state_dict(), folder / "open_clip_model.safetensors")
    return folder


def save_safety_checker(folder: Path, *, threshold: float = -2.0) -> Path:
    """The checker of Stable Diffusion 1.x; every concept passes a threshold of -2 and none passes 2."""
    import torch
    from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
    from transformers import CLIPConfig, CLIPTextConfig, CLIPVisionConfig

    vision = CLIPVisionConfig(
        hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2, image_size=32, patch_size=16
    )
    text = CLIPTextConfig(hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2)
    torch.manual_seed(0)
    model = StableDiffusionSafetyChecker(
        CLIPConfig(text_config=text.to_dict(), vision_config=vision.to_dict(), projection_dim=16)
    )
    with torch.no_grad():
        model.concept_embeds.copy_(torch.randn(17, 16))
        model.special_care_embeds.copy_(torch.randn(3, 16))
        model.concept_embeds_weights.fill_(threshold)
        model.special_care_embeds_weights.fill_(2.0)
    model.save_pretrained(folder)
    return folder


def noise(height: int, width: int, *, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
