"""The model that ships with Signet: finds its folder beside the package and pins it to its own digests.

It is an ordinary diffusers folder and loads through the same path as every other model::

    generator = DiffusersGenerator(signet_mini_spec())
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from guard.errors import WeightsError
from guard.generation.model_spec import Device, ModelSpec
from guard.weights import read_digests

MODEL_ID = "signet-mini"
NATIVE_PX = 256
"""Size of the pictures that the model was trained on, both sides."""
MAX_PX = 512
"""Beyond twice its training size the model repeats its scenes side by side."""
STEPS = 20
GUIDANCE = 2.0
"""Steps and guidance scale with which the model was evaluated (training/mini/evaluate.py)."""


def signet_mini_folder() -> Path:
    """Return the shipped model's folder, ``guard/models/signet-mini``.

    Raises:
        WeightsError: this installation does not carry it.
    """
    folder = Path(str(files("guard"))) / "models" / MODEL_ID
    if not folder.is_dir():
        raise WeightsError(
            f"The shipped model is not part of this installation: no folder {folder}.",
            next_step="Install a complete distribution of Signet, or configure another model.",
        )
    return folder


def signet_mini_spec(*, folder: Path | None = None, device: Device = Device.AUTO) -> ModelSpec:
    """Return the spec of the shipped model, pinned to the digests in its folder.

    Args:
        folder: another place of the same folder; None = the one beside the package.
        device: where to run; the model is small enough for every device.

    Raises:
        WeightsError: the folder or its ``digests.json`` is missing or malformed.
    """
    place = signet_mini_folder() if folder is None else folder
    return ModelSpec(
        id=MODEL_ID,
        name="Signet mini",
        source=place,
        revision="1",
        licence="Apache-2.0",
        digests=read_digests(place),
        device=device,
        native_size=(NATIVE_PX, NATIVE_PX),
        max_side=MAX_PX,
        max_count=4,
        steps=STEPS,
        guidance=GUIDANCE,
    )
