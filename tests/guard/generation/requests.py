"""Short ways to a spec, a cleared prompt and a picture."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from guard.generation.diffusers_backend import DiffusersGenerator
from guard.generation.model_spec import Device, ModelSpec
from guard.interfaces import GenerationHooks
from guard.records import (
    RGB8,
    Action,
    AdmittedRequest,
    ClearedPrompt,
    Decision,
    Generation,
    GenerationRequest,
    ImageID,
    Operation,
    RequestID,
)

QUIET = GenerationHooks()
STEPS = 3


def spec_of(folder: Path, **settings: Any) -> ModelSpec:
    """A spec on cpu for a tiny model; SD3 and FLUX with as many tokens as the tiny prompts need."""
    given = {
        "id": folder.name,
        "device": Device.CPU,
        "max_side": 128,
        "native_size": (32, 32),
        "max_sequence_length": 16,
    }
    return ModelSpec(source=folder, **{**given, **settings})


def cleared(*, seed: int = 7, **fields: Any) -> ClearedPrompt:
    """A cleared prompt as the pipeline would make it."""
    request = GenerationRequest(**{"prompt": "a red cat", "steps": STEPS, **fields})
    return ClearedPrompt(
        admitted=AdmittedRequest(
            request=request,
            request_id=RequestID("0" * 32),
            image_ids=tuple(ImageID(f"{index:016x}") for index in range(request.count)),
            seed=seed,
            policy_id="test",
            policy_digest="0" * 64,
            admitted_at=datetime(2026, 11, 22, tzinfo=UTC),
        ),
        decision=Decision(action=Action.ALLOW, category=None, reason=""),
    )


def generate(
    generator: DiffusersGenerator, *, hooks: GenerationHooks = QUIET, seed: int = 7, **fields: Any
) -> Generation:
    """Generate with short defaults."""
    return generator.generate(cleared(seed=seed, **fields), hooks=hooks)


def picture(height: int = 37, width: int = 45) -> RGB8:
    """A smooth picture whose sides are multiples of nothing."""
    rows, columns = np.mgrid[:height, :width]
    channels = [rows * 5 % 256, columns * 3 % 256, (rows + columns) * 2 % 256]
    return np.stack(channels, axis=-1).astype(np.uint8)


def rectangle_mask(height: int = 37, width: int = 45) -> NDArray[np.uint8]:
    """Repaint rows 8..20, columns 10..30."""
    mask = np.zeros((height, width), np.uint8)
    mask[8:21, 10:31] = 255
    return mask


def pictures_for(operation: Operation) -> dict[str, Any]:
    """The request fields that an operation needs."""
    if operation is Operation.TEXT_TO_IMAGE:
        return {"operation": operation}
    given: dict[str, Any] = {"operation": operation, "source_image": picture(), "strength": 0.7}
    return given if operation is Operation.IMAGE_TO_IMAGE else {**given, "mask": rectangle_mask()}
