"""The shipped folder of signet-mini: small, intact, loadable by stock diffusers, deterministic, and it follows."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from training.mini.scenes import Item, Scene
from training.mini.vocabulary import POSITIONS

if TYPE_CHECKING:
    from diffusers import StableDiffusionPipeline

FOLDER = Path(__file__).resolve().parents[2] / "guard" / "models" / "signet-mini"
SIZE_LIMIT_BYTES = 15_000_000

pytestmark = pytest.mark.skipif(not (FOLDER / "model_index.json").exists(), reason="signet-mini is not exported yet")


def test_folder_is_at_most_15_mb() -> None:
    assert sum(p.stat().st_size for p in FOLDER.rglob("*") if p.is_file()) <= SIZE_LIMIT_BYTES


def test_digests_match_every_weight_file() -> None:
    listed = json.loads((FOLDER / "digests.json").read_text())
    weights = {str(p.relative_to(FOLDER)) for p in FOLDER.rglob("*.safetensors")}
    assert len(weights) == 3
    assert weights <= set(listed)
    for name, digest in listed.items():
        assert hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() == digest, name


def test_folder_holds_no_pickle() -> None:
    assert not [p for p in FOLDER.rglob("*") if p.suffix in {".bin", ".pt", ".pth", ".ckpt", ".pkl"}]


def test_model_card_names_licence_and_seed() -> None:
    card = (FOLDER / "README.md").read_text()
    assert "apache-2.0" in card.lower()
    assert "20261122" in card


@pytest.fixture(scope="module")
def pipeline() -> StableDiffusionPipeline:
    pytest.importorskip("cv2")
    pytest.importorskip("diffusers")
    from training.mini.export import load_pipeline

    return load_pipeline()


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # what transformers and diffusers warn about on loading is theirs
def test_same_seed_gives_the_same_bytes(pipeline: StableDiffusionPipeline) -> None:
    from training.mini.generate import generate

    prompts = ["a red circle", "a blue square above a yellow star"]
    first = generate(pipeline, prompts, seed=5, steps=6)
    assert first.shape == (2, 256, 256, 3)
    assert first.tobytes() == generate(pipeline, prompts, seed=5, steps=6).tobytes()
    assert first.tobytes() != generate(pipeline, prompts, seed=6, steps=6).tobytes()


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(("colour", "shape"), [("red", "circle"), ("blue", "square"), ("green", "heart")])
def test_plain_prompts_give_colour_and_shape(pipeline: StableDiffusionPipeline, colour: str, shape: str) -> None:
    from training.mini.generate import generate
    from training.mini.measure import judge

    x, y = POSITIONS["center"]
    item = Item(shape=shape, colour=colour, size="large", x=x, y=y)
    scene = Scene(kind="single", background="white", items=(item,), place="center")
    pictures = generate(pipeline, [f"a large {colour} {shape}"] * 3, seed=1)
    assert sum(judge(scene, picture).follows for picture in pictures) >= 2


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_image_to_image_and_inpainting_run_on_the_same_weights(pipeline: StableDiffusionPipeline) -> None:
    import torch
    from diffusers import AutoPipelineForImage2Image, AutoPipelineForInpainting
    from PIL import Image

    start = Image.new("RGB", (256, 256), (222, 38, 42))
    mask = np.zeros((256, 256), np.uint8)
    mask[64:192, 64:192] = 255
    for build, extra in ((AutoPipelineForImage2Image, {}), (AutoPipelineForInpainting, {"mask_image": mask})):
        arguments = {k: Image.fromarray(v) for k, v in extra.items()}
        other = build.from_pipe(pipeline)
        other.set_progress_bar_config(disable=True)
        output = other(
            "a large blue square",
            image=start,
            strength=0.9,
            num_inference_steps=8,
            generator=torch.Generator("cpu").manual_seed(3),
            **arguments,
        ).images[0]
        assert output.size == (256, 256)
        assert np.asarray(output).std() > 1.0
