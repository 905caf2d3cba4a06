"""What a pipeline lacks is refused by name; what it has reaches it."""

from typing import Any

import numpy as np
import pytest

from guard.errors import RequestError
from guard.generation.diffusers_backend import DiffusersGenerator
from guard.records import Operation
from tests.guard.generation.conftest import Folders, Generators
from tests.guard.generation.requests import generate, pictures_for, spec_of


@pytest.mark.parametrize("name", ["sd", "mini", "sdxl", "sd3"])
def test_a_negative_prompt_changes_the_picture(generators: Generators, name: str) -> None:
    plain = generate(generators(name)).images[0]
    steered = generate(generators(name), negative_prompt="blurry blue house").images[0]
    assert (plain != steered).any()


@pytest.mark.parametrize("guidance", [1.0, 0.0])
def test_a_negative_prompt_without_guidance_is_refused(generators: Generators, guidance: float) -> None:
    with pytest.raises(RequestError, match=f"guidance of {guidance:g}, where it would have no effect"):
        generate(generators("sd"), negative_prompt="blurry", guidance=guidance)


def test_flux_refuses_a_negative_prompt_unless_true_guidance_is_switched_on(
    folders: Folders, generators: Generators
) -> None:
    with pytest.raises(RequestError, match="without classifier-free guidance, where it would have no effect"):
        generate(generators("flux"), negative_prompt="blurry")
    switched_on = DiffusersGenerator(spec_of(folders("flux"), true_cfg=4.0))
    plain = generate(switched_on).images[0]
    assert (generate(switched_on, negative_prompt="blurry blue house").images[0] != plain).any()
    np.testing.assert_array_equal(plain, generate(generators("flux")).images[0])


def test_guidance_reaches_models_that_have_it(generators: Generators) -> None:
    for name in ("sd", "sdxl", "sd3", "flux"):
        low, high = (generate(generators(name), guidance=value) for value in (1.5, 9.0))
        assert (low.guidance, high.guidance) == (1.5, 9.0)
        assert (low.images[0] != high.images[0]).any(), name


def test_guidance_on_a_model_distilled_without_it_is_refused(folders: Folders) -> None:
    schnell = DiffusersGenerator(spec_of(folders("schnell")))
    assert generate(schnell).guidance == 0.0
    with pytest.raises(RequestError, match="distilled to work without it"):
        generate(schnell, guidance=3.0)


def test_a_default_guidance_of_the_spec_is_used_and_reported(folders: Folders) -> None:
    generator = DiffusersGenerator(spec_of(folders("sd"), guidance=2.5, steps=2, scheduler="euler"))
    made = generate(generator, steps=None)
    assert (made.guidance, made.steps, made.scheduler) == (2.5, 2, "euler")


@pytest.mark.parametrize("name", ["sdxl", "sd3", "flux"])
def test_a_second_prompt_reaches_models_with_a_second_encoder(generators: Generators, name: str) -> None:
    one, two = (generate(generators(name), prompt_2=text).images[0] for text in ("", "green lake"))
    assert (one != two).any()


def test_a_second_prompt_is_refused_by_models_with_one_encoder(generators: Generators) -> None:
    with pytest.raises(RequestError, match=r"A second prompt was asked for.*StableDiffusionPipeline"):
        generate(generators("sd"), prompt_2="green lake")


@pytest.mark.parametrize("steps", [0, -1, 151])
def test_steps_out_of_range_are_refused(generators: Generators, steps: int) -> None:
    with pytest.raises(RequestError, match=f"number of steps is {steps}; this model takes 1 to 150"):
        generate(generators("sd"), steps=steps)


@pytest.mark.parametrize("strength", [0.0, -0.5, 1.01, float("nan")])
def test_strengths_out_of_range_are_refused(generators: Generators, strength: float) -> None:
    fields = pictures_for(Operation.IMAGE_TO_IMAGE) | {"strength": strength}
    with pytest.raises(RequestError, match="expected more than 0 and at most 1"):
        generate(generators("sd"), **fields)


def test_a_strength_that_leaves_no_step_is_refused_with_one_that_does(generators: Generators) -> None:
    fields: dict[str, Any] = pictures_for(Operation.IMAGE_TO_IMAGE) | {"steps": 3}
    with pytest.raises(RequestError, match="leaves none of 3 steps") as caught:
        generate(generators("sd"), **fields | {"strength": 0.3})
    assert "0.334" in caught.value.diagnostics()
    assert generate(generators("sd"), **fields | {"strength": 0.334}).images[0].std() > 5


def test_the_number_of_tokens_of_the_long_encoder_is_passed_on(folders: Folders) -> None:
    short = DiffusersGenerator(spec_of(folders("flux"), max_sequence_length=4))
    long = DiffusersGenerator(spec_of(folders("flux"), max_sequence_length=16))
    prompt = "a red cat a blue dog a green house"
    assert (generate(short, prompt=prompt).images[0] != generate(long, prompt=prompt).images[0]).any()


def test_a_checkpoint_made_for_inpainting_does_nothing_else(folders: Folders) -> None:
    generator = DiffusersGenerator(spec_of(folders("sd_inpainting")))
    made = generate(generator, count=2, **pictures_for(Operation.INPAINTING))
    assert (made.images[0] != made.images[1]).any()
    for operation in (Operation.TEXT_TO_IMAGE, Operation.IMAGE_TO_IMAGE):
        with pytest.raises(RequestError, match=f"does not do {operation.value}"):
            generate(generator, **pictures_for(operation))


def test_a_pipeline_without_an_inpainting_class_says_so(generators: Generators) -> None:
    made = generate(generators("lcm"), **pictures_for(Operation.IMAGE_TO_IMAGE))
    assert made.images[0].std() > 5
    with pytest.raises(RequestError, match=r"\(LatentConsistencyModelPipeline\) does not do inpainting"):
        generate(generators("lcm"), **pictures_for(Operation.INPAINTING))


def test_a_pipeline_without_a_negative_prompt_says_so(generators: Generators) -> None:
    with pytest.raises(RequestError, match=r"A negative prompt was asked for.*LatentConsistencyModelPipeline"):
        generate(generators("lcm"), negative_prompt="blurry")


def test_a_unet_distilled_without_guidance_refuses_a_negative_prompt(folders: Folders) -> None:
    generator = DiffusersGenerator(spec_of(folders("lcm_as_sd")))
    with pytest.raises(RequestError, match="distilled to work without classifier-free guidance"):
        generate(generator, negative_prompt="blurry", guidance=8.0)
