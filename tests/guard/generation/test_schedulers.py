"""Every listed scheduler samples, the others are refused with the list of those that do."""

import numpy as np
import pytest

from guard.errors import RequestError
from guard.generation.schedulers import SCHEDULERS, build_scheduler, compatible_names
from guard.records import Operation
from tests.guard.generation.conftest import Generators
from tests.guard.generation.requests import generate, pictures_for

DIFFUSION = tuple(name for name, entry in SCHEDULERS.items() if not entry.flow)


def test_the_table_names_classes_that_exist() -> None:
    import diffusers

    missing = [entry.class_name for entry in SCHEDULERS.values() if not hasattr(diffusers, entry.class_name)]
    assert missing == []
    assert len(DIFFUSION) == 12


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("sd", DIFFUSION),
        ("mini", DIFFUSION),
        ("sdxl", DIFFUSION),
        ("sd3", ("flow_euler",)),
        ("flux", ("flow_euler",)),
    ],
)
def test_what_can_sample_a_model(generators: Generators, model: str, expected: tuple[str, ...]) -> None:
    generator = generators(model)
    generator.load()
    assert generator._loaded is not None
    assert compatible_names(generator._loaded.pipeline.scheduler) == expected


@pytest.mark.parametrize(
    ("model", "operation"),
    [
        *(("sd", operation) for operation in Operation),
        ("mini", Operation.TEXT_TO_IMAGE),
        ("mini", Operation.INPAINTING),
    ],
)
@pytest.mark.parametrize("name", DIFFUSION)
def test_every_diffusion_scheduler_does_every_operation(
    generators: Generators, name: str, model: str, operation: Operation
) -> None:
    made = generate(generators(model), scheduler=name, steps=4, **pictures_for(operation))
    assert made.scheduler == name
    assert made.images[0].std() > 5


@pytest.mark.parametrize("model", ["sd3", "flux"])
def test_the_flow_scheduler_by_name_is_the_models_own(generators: Generators, model: str) -> None:
    own, named = (generate(generators(model), scheduler=name) for name in (None, "flow_euler"))
    assert (own.scheduler, named.scheduler) == ("FlowMatchEulerDiscreteScheduler", "flow_euler")
    np.testing.assert_array_equal(own.images[0], named.images[0])


def test_schedulers_differ(generators: Generators) -> None:
    pictures = [generate(generators("sd"), scheduler=n).images[0].tobytes() for n in ("ddim", "euler_a", "dpmpp_2m")]
    assert len(set(pictures)) == 3


@pytest.mark.parametrize(
    ("model", "name", "message"),
    [
        ("sd", "fast", "'fast' is not known; possible here: ddim, ddpm, "),
        ("sd", "flow_euler", "'flow_euler' cannot sample this model; possible here: ddim"),
        ("flux", "euler_a", "'euler_a' cannot sample this model; possible here: flow_euler"),
        ("flux", "flow_heun", "'flow_heun' cannot sample this model"),
    ],
)
def test_unknown_and_unfit_names_are_refused(generators: Generators, model: str, name: str, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        generate(generators(model), scheduler=name)


def test_a_plain_name_means_plain_whatever_the_model_is_set_to() -> None:
    from diffusers import DPMSolverMultistepScheduler

    own = DPMSolverMultistepScheduler(use_karras_sigmas=True)
    assert build_scheduler(own, "dpmpp_2m")[0].config.use_karras_sigmas is False
    assert build_scheduler(own, "dpmpp_2m_karras")[0].config.use_karras_sigmas is True
    fresh, name = build_scheduler(own, None)
    assert fresh is not own
    assert (fresh.config.use_karras_sigmas, name) == (True, "DPMSolverMultistepScheduler")
