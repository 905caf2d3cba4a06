"""Outside the mask the latents follow the source at the right noise level; inside they are the model's."""

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch

from guard.generation.canvas import Canvas, Limits, inpainting_canvas
from guard.generation.latent_blend import LatentBlend, steps_of
from guard.generation.operations import derive
from guard.generation.quiet import ignore_library_warnings
from guard.generation.schedulers import build_scheduler
from guard.records import Operation
from tests.guard.generation.conftest import Generators
from tests.guard.generation.requests import STEPS, generate, picture, pictures_for


@pytest.fixture
def canvas() -> Canvas:
    """64 x 64 pixels are 4 x 4 latents; the mask touches the cells of rows 1..2, columns 2..3 with single pixels."""
    mask = np.zeros((64, 64), np.uint8)
    mask[31:33, 47:49] = 255
    return inpainting_canvas(picture(64, 64), mask, None, None, Limits(multiple=16, max_side=128, native=(64, 64)))


@pytest.mark.parametrize("name", ["ddim", "euler", "dpmpp_2m"])
def test_unmasked_latents_are_the_sources_at_the_level_of_the_next_step(
    generators: Generators, canvas: Canvas, name: str
) -> None:
    generator = generators("mini")
    generator.load()
    assert generator._loaded is not None
    chosen = derive(generator._loaded.pipeline, Operation.INPAINTING)
    assert chosen.blends
    pipeline = chosen.pipeline
    own = pipeline.scheduler
    pipeline.scheduler, _ = build_scheduler(own, name)
    try:
        ignore_library_warnings()  # as the generator does
        pipeline.scheduler.set_timesteps(6)
        pipeline._num_timesteps = 4
        blend = LatentBlend(pipeline, canvas, (1, 2))
        model = torch.full((2, 8, 4, 4), 9.0)
        outside = torch.ones(4, 4, dtype=torch.bool)
        outside[1:3, 2:4] = False
        source = blend(pipeline, 3, model)
        assert (source[:, :, ~outside] == 9.0).all()
        torch.testing.assert_close(source[0][:, outside], source[1][:, outside])
        noisy = blend(pipeline, 0, model)
        assert (noisy[:, :, ~outside] == 9.0).all()
        assert not torch.equal(noisy[0][:, outside], noisy[1][:, outside])
        assert noisy[:, :, outside].std() > 1.5 * source[:, :, outside].std()
    finally:
        pipeline.scheduler = own


def test_the_source_is_encoded_as_the_model_scales_it(generators: Generators, canvas: Canvas) -> None:
    generator = generators("mini")
    generator.load()
    assert generator._loaded is not None
    pipeline = derive(generator._loaded.pipeline, Operation.INPAINTING).pipeline
    pipeline.scheduler.set_timesteps(2)
    pipeline._num_timesteps = 2
    latents = LatentBlend(pipeline, canvas, (1,))(pipeline, 1, torch.zeros(1, 8, 4, 4))
    tensor = torch.from_numpy(picture(64, 64)).permute(2, 0, 1)[None].float() / 127.5 - 1
    with torch.no_grad():
        expected = pipeline.vae.encode(tensor).latent_dist.mode() * pipeline.vae.config.scaling_factor
    torch.testing.assert_close(latents[:, :, 0], expected[:, :, 0], atol=1e-5, rtol=1e-5)


def test_both_parts_start_from_one_noise_field(generators: Generators, monkeypatch: pytest.MonkeyPatch) -> None:
    from diffusers import DDIMScheduler

    seen: list[torch.Tensor] = []
    add_noise = DDIMScheduler.add_noise

    def recording(self: Any, original: torch.Tensor, noise: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        seen.append(noise)
        return cast(torch.Tensor, add_noise(self, original, noise, timesteps))

    monkeypatch.setattr(DDIMScheduler, "add_noise", recording)
    generate(generators("mini"), **pictures_for(Operation.INPAINTING) | {"strength": 1.0})
    assert len(seen) == STEPS  # once by the pipeline, then after every step but the last
    for noise in seen:
        torch.testing.assert_close(noise, seen[0])


@pytest.mark.parametrize(("reported", "steps"), [({"num_timesteps": 4}, 4), ({"num_timesteps": None}, 6), ({}, 6)])
def test_the_steps_of_a_call_are_what_it_reports_or_the_whole_schedule(reported: dict[str, Any], steps: int) -> None:
    assert steps_of(SimpleNamespace(scheduler=SimpleNamespace(timesteps=range(6)), **reported)) == steps
