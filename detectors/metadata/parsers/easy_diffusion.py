"""Easy Diffusion: one PNG text per setting, or the same names as JSON in EXIF UserComment.

Two spellings exist: ``Stable Diffusion model`` and ``use_stable_diffusion_model``.
Source: easydiffusion ui/easydiffusion/utils/save_utils.py (format only).
"""

from __future__ import annotations

from collections.abc import Callable

from detectors.metadata.fields import EmbeddedFields, Layer
from detectors.metadata.json_values import as_text
from detectors.metadata.parsers.claim import Claim

_SPELLINGS = (
    {
        "model": "Stable Diffusion model",
        "prompt": "Prompt",
        "negative": "Negative Prompt",
        "seed": "Seed",
        "steps": "Steps",
        "sampler": "Sampler",
        "cfg": "Guidance Scale",
        "width": "Width",
        "height": "Height",
    },
    {
        "model": "use_stable_diffusion_model",
        "prompt": "prompt",
        "negative": "negative_prompt",
        "seed": "seed",
        "steps": "num_inference_steps",
        "sampler": "sampler_name",
        "cfg": "guidance_scale",
        "width": "width",
        "height": "height",
    },
)


def parse_easy_diffusion(fields: EmbeddedFields) -> Claim | None:
    """Return an Easy Diffusion record, or None."""

    def chunk(name: str) -> str | None:
        found = fields.get(Layer.TEXT_CHUNK, name)
        return found.text.strip() or None if found is not None else None

    claim = _read(chunk, "PNG texts")
    if claim is not None:
        return claim
    for found in fields.all(Layer.EXIF, "UserComment"):
        record = found.record
        if record is not None:
            return _read(lambda name, record=record: as_text(record.get(name)), found.where)  # type: ignore[misc]
    return None


def _read(value: Callable[[str], str | None], where: str) -> Claim | None:
    """Read either spelling; the model key is what no other tool writes."""
    for names in _SPELLINGS:
        model = value(names["model"])
        if model is None:
            continue
        width, height = value(names["width"]), value(names["height"])
        return Claim(
            tool="Easy Diffusion",
            where=where,
            model=model.replace("\\", "/").rpartition("/")[2],
            prompt=value(names["prompt"]),
            negative_prompt=value(names["negative"]),
            seed=value(names["seed"]),
            steps=value(names["steps"]),
            sampler=value(names["sampler"]),
            cfg=value(names["cfg"]),
            size=f"{width}x{height}" if width and height else None,
        )
    return None
