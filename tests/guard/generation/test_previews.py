"""Previews show what a run is heading for, with every sampler, and stop exactly the batch that is not wanted."""

from collections.abc import Sequence
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from guard.generation import previews
from guard.generation.previews import _expected
from guard.generation.schedulers import SCHEDULERS, build_scheduler
from guard.interfaces import GenerationHooks
from guard.records import RGB8, Operation
from tests.guard.generation.conftest import Generators
from tests.guard.generation.requests import generate, pictures_for

DIFFUSION = tuple(name for name, entry in SCHEDULERS.items() if not entry.flow)


class Watcher:
    """Remembers what it was shown; gives up the batches that start at the indices it was told."""

    def __init__(self, *give_up: int) -> None:
        self.shown: list[tuple[int, list[RGB8]]] = []
        self.give_up = give_up

    def __call__(self, first: int, pictures: Sequence[RGB8]) -> bool:
        self.shown.append((first, list(pictures)))
        return first in self.give_up


def hooks(watcher: Watcher, *at: float, **others: object) -> GenerationHooks:
    return GenerationHooks(preview_at=at, on_preview=watcher, **others)


@pytest.mark.filterwarnings("ignore")  # of diffusers, about numpy
@pytest.mark.parametrize("kind", ["epsilon", "v_prediction", "sample"])
@pytest.mark.parametrize("name", DIFFUSION)
def test_the_expected_picture_is_exact_when_the_prediction_is(generators: Generators, name: str, kind: str) -> None:
    generator = generators("sd")
    generator.load()
    own = generator._loaded.pipeline.scheduler
    own = type(own).from_config(own.config, prediction_type=kind)
    try:
        scheduler, _ = build_scheduler(own, name)
    except (ValueError, NotImplementedError):
        pytest.skip("the library does not sample this kind of model with it")
    scheduler.set_timesteps(8)
    scheduler._begin_index = None  # else noise is added for the first step whatever the time step
    clean, noise = torch.randn((2, 1, 4, 4, 4), generator=torch.Generator().manual_seed(0))
    timestep = scheduler.timesteps[3]
    sample = scheduler.add_noise(clean, noise, scheduler.timesteps[3:4])
    a2 = own.alphas_cumprod[int(timestep)] if not hasattr(scheduler, "sigmas") else None
    if a2 is None:
        sigma = (sample - clean).norm() / noise.norm()
        if not torch.allclose(sample, clean + sigma * noise, atol=1e-3):  # a and s, not 1 and sigma
            matrix = torch.stack([clean.flatten(), noise.flatten()], dim=1)
            a, s = torch.linalg.lstsq(matrix, sample.flatten()[:, None]).solution.flatten()
        else:
            a, s = 1 / (1 + sigma**2).sqrt(), sigma / (1 + sigma**2).sqrt()
    else:
        a, s = a2.sqrt(), (1 - a2).sqrt()
    said = {"epsilon": noise, "v_prediction": a * noise - s * clean, "sample": clean}[kind]
    torch.testing.assert_close(_expected(scheduler, said, timestep, sample), clean, atol=2e-2, rtol=1e-2)


@pytest.mark.filterwarnings("ignore")
def test_the_expected_picture_of_a_flow_is_exact_when_the_prediction_is(generators: Generators) -> None:
    generator = generators("sd3")
    generator.load()
    scheduler, _ = build_scheduler(generator._loaded.pipeline.scheduler, None)
    scheduler.set_timesteps(8)
    scheduler._begin_index = None  # else noise is added for the first step whatever the time step
    clean, noise = torch.randn((2, 1, 16, 4, 4), generator=torch.Generator().manual_seed(0))
    sample = scheduler.scale_noise(clean, scheduler.timesteps[3:4], noise)
    torch.testing.assert_close(_expected(scheduler, noise - clean, scheduler.timesteps[3], sample), clean)


@pytest.mark.parametrize("model", ["sd", "mini", "sdxl", "sd3", "flux", "lcm"])
def test_every_kind_of_model_shows_previews_of_the_whole_picture(generators: Generators, model: str) -> None:
    watcher = Watcher()
    made = generate(generators(model), hooks=hooks(watcher, 0.5), steps=4, guidance=1.0)
    ((first, (preview,)),) = watcher.shown
    assert first == 0
    assert preview.shape == made.images[0].shape
    assert preview.dtype == np.uint8


@pytest.mark.parametrize("operation", list(Operation))
def test_previews_do_not_change_the_pictures(generators: Generators, operation: Operation) -> None:
    given = pictures_for(operation) | {"steps": 6, "count": 2}
    watcher = Watcher()
    plain = generate(generators("sd"), **given)
    seen = generate(generators("sd"), hooks=hooks(watcher, 0.5), **given)
    assert [first for first, _ in watcher.shown] == [0, 1]
    assert all((a == b).all() for a, b in zip(plain.images, seen.images, strict=True))


def test_late_previews_look_like_the_finished_picture(generators: Generators) -> None:
    watcher = Watcher()
    made = generate(generators("mini"), hooks=hooks(watcher, 0.2, 0.9), steps=20)
    early, late = (np.abs(p[0].astype(float) - made.images[0]).mean() for _, p in watcher.shown)
    assert late < early
    assert late < 4


def test_a_batch_that_is_given_up_ends_there_and_the_others_are_finished(generators: Generators) -> None:
    done: list[int] = []
    watcher = Watcher(1)
    plain = generate(generators("sd"), count=3, steps=4)
    given = hooks(watcher, 0.5, on_step=lambda step, _: done.append(step))
    made = generate(generators("sd"), hooks=given, count=3, steps=4)
    assert done == [1, 2, 3, 4, 5, 6, 9, 10, 11, 12]
    assert (made.images[0] == plain.images[0]).all()
    assert (made.images[2] == plain.images[2]).all()
    assert (made.images[1] == watcher.shown[1][1][0]).all()


def test_the_last_step_is_no_preview(generators: Generators) -> None:
    watcher = Watcher()
    generate(generators("sd"), hooks=hooks(watcher, 0.95), steps=2)
    assert watcher.shown == []


def test_large_pictures_are_decoded_small(generators: Generators, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(previews, "PREVIEW_PX", 48)
    watcher = Watcher()
    generate(generators("sd"), hooks=hooks(watcher, 0.5), steps=2, width=96, height=64)
    assert watcher.shown[0][1][0].shape == (32, 48, 3)


def test_a_pipeline_without_an_autoencoder_or_a_known_scheduler_has_no_previews() -> None:
    known = SimpleNamespace(alphas_cumprod=[0.5])
    assert previews.can_preview(SimpleNamespace(vae=object(), scheduler=known))
    assert not previews.can_preview(SimpleNamespace(scheduler=known))
    assert not previews.can_preview(SimpleNamespace(vae=object(), scheduler=SimpleNamespace()))


@pytest.mark.parametrize("shape", [(1, 4, 1, 4, 4), (1, 16, 4)])
def test_latents_of_an_unknown_layout_are_not_shown(shape: tuple[int, ...]) -> None:
    scheduler = SimpleNamespace(step=lambda *a, **k: None, alphas_cumprod=[0.5], config=Config())
    decoder = previews.PreviewDecoder(SimpleNamespace(vae=object(), scheduler=scheduler), width=32, height=32)
    scheduler.step(torch.zeros(shape), 0, torch.zeros(shape))
    assert decoder.pictures() is None


def test_values_that_are_not_finite_are_not_shown() -> None:
    def decode(latents: torch.Tensor, **_: object) -> tuple[torch.Tensor]:
        return (torch.full((1, 3, 8, 8), float("nan")),)

    vae = SimpleNamespace(decode=decode, dtype=torch.float32, config=Config(scaling_factor=1.0))
    scheduler = SimpleNamespace(step=lambda *a, **k: None, alphas_cumprod=[0.5], config=Config())
    decoder = previews.PreviewDecoder(SimpleNamespace(vae=vae, scheduler=scheduler), width=32, height=32)
    assert decoder.pictures() is None
    scheduler.step(torch.zeros(1, 4, 4, 4), 0, torch.zeros(1, 4, 4, 4))
    assert decoder.pictures() is None


class Config(dict[str, object]):
    """A configuration as diffusers has it: keys are attributes too."""

    def __getattr__(self, name: str) -> object:
        return self[name]
