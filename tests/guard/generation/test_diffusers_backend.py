"""The same behaviour from every architecture through the one code path."""

import dataclasses
import gc
import logging
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from guard.errors import CancelledError, GenerationError, OutOfMemoryError, RequestError
from guard.generation.diffusers_backend import DiffusersGenerator
from guard.interfaces import GenerationHooks
from guard.records import ImageID, Operation
from tests.guard.generation.conftest import Folders, Generators
from tests.guard.generation.requests import (
    QUIET,
    STEPS,
    cleared,
    generate,
    picture,
    pictures_for,
    rectangle_mask,
    spec_of,
)

MODELS = ("sd", "mini", "sdxl", "sd3", "flux")
every_model = pytest.mark.parametrize("name", MODELS)
every_operation = pytest.mark.parametrize("operation", list(Operation))


@every_model
@every_operation
def test_pictures_have_the_promised_shape_and_depend_on_the_seed(
    generators: Generators, name: str, operation: Operation
) -> None:
    made = generate(generators(name), count=2, **pictures_for(operation))
    expected = (32, 32, 3) if operation is Operation.TEXT_TO_IMAGE else picture().shape
    assert [image.shape for image in made.images] == [expected, expected]
    assert all(image.dtype == np.uint8 and image.std() > 5 for image in made.images)
    assert (made.images[0] != made.images[1]).mean() > 0.1
    assert made.seeds == (7, 8)
    assert made.steps == STEPS


@every_model
@every_operation
def test_same_seed_same_pixels(generators: Generators, name: str, operation: Operation) -> None:
    fields = pictures_for(operation)
    first, again = (generate(generators(name), **fields).images[0] for _ in range(2))
    np.testing.assert_array_equal(first, again)


@every_model
@every_operation
def test_an_image_of_a_request_equals_the_same_image_made_alone(
    generators: Generators, name: str, operation: Operation
) -> None:
    fields = pictures_for(operation)
    together = generate(generators(name), count=2, **fields).images
    alone = generate(generators(name), seed=8, **fields).images[0]
    np.testing.assert_array_equal(together[1], alone)


@every_model
@every_operation
def test_a_real_batch_equals_its_single_images_up_to_rounding(
    folders: Folders, generators: Generators, name: str, operation: Operation
) -> None:
    fields = pictures_for(operation)
    batched = DiffusersGenerator(spec_of(folders(name), batch_size=3))
    together = generate(batched, count=3, **fields).images
    for index, image in enumerate(together):
        alone = generate(generators(name), seed=7 + index, **fields).images[0]
        assert np.abs(image.astype(int) - alone.astype(int)).max() <= 1


@every_model
def test_a_batch_is_decoded_picture_by_picture(folders: Folders, name: str) -> None:
    generator = DiffusersGenerator(spec_of(folders(name), batch_size=3))
    generator.load()
    assert generator._loaded is not None
    sizes: list[int] = []
    generator._loaded.pipeline.vae.decoder.register_forward_pre_hook(lambda _, inputs: sizes.append(len(inputs[0])))
    generate(generator, count=3)
    assert sizes == [1, 1, 1]


@every_model
def test_the_prompt_reaches_the_model(generators: Generators, name: str) -> None:
    one, other = (generate(generators(name), prompt=text).images[0] for text in ("a red cat", "blue sky"))
    assert (one != other).any()


@every_model
def test_inpainting_keeps_every_pixel_outside_the_mask(generators: Generators, name: str) -> None:
    source, mask = picture(), rectangle_mask()
    (image,) = generate(
        generators(name), operation=Operation.INPAINTING, source_image=source, mask=mask, strength=1.0
    ).images
    np.testing.assert_array_equal(image[mask == 0], source[mask == 0])
    assert (image[mask == 255] != source[mask == 255]).mean() > 0.5


@every_model
def test_image_to_image_strength_decides_how_much_stays(generators: Generators, name: str) -> None:
    fields: dict[str, Any] = {"operation": Operation.IMAGE_TO_IMAGE, "source_image": picture(), "steps": 10}
    calls: dict[float, list[int]] = {0.2: [], 1.0: []}
    for strength, totals in calls.items():
        hooks = GenerationHooks(on_step=lambda done, total, totals=totals: totals.append(total))
        generate(generators(name), hooks=hooks, strength=strength, **fields)
    assert set(calls[0.2]) == {2}
    assert set(calls[1.0]) == {10}


@every_model
@every_operation
def test_progress_counts_every_step_of_every_image(generators: Generators, name: str, operation: Operation) -> None:
    seen: list[tuple[int, int]] = []
    hooks = GenerationHooks(on_step=lambda done, total: seen.append((done, total)))
    generate(generators(name), hooks=hooks, count=2, **pictures_for(operation))
    total = seen[0][1]
    assert total in (2 * STEPS, 2 * int(0.7 * STEPS))
    assert seen == [(done, total) for done in range(1, total + 1)]


@every_model
def test_cancelling_stops_at_the_next_step_and_leaves_the_model_usable(generators: Generators, name: str) -> None:
    generator = generators(name)
    before = generate(generator).images[0]
    done: list[int] = []
    hooks = GenerationHooks(on_step=lambda step, _: done.append(step), should_cancel=lambda: len(done) >= 2)
    with pytest.raises(CancelledError):
        generate(generator, hooks=hooks, steps=10)
    assert done == [1, 2]
    np.testing.assert_array_equal(generate(generator).images[0], before)


def test_cancelling_before_the_first_step_runs_none(generators: Generators) -> None:
    done: list[int] = []
    hooks = GenerationHooks(on_step=lambda step, _: done.append(step), should_cancel=lambda: True)
    with pytest.raises(CancelledError):
        generate(generators("sd"), hooks=hooks)
    assert done == []


def test_a_waiting_request_can_be_cancelled(folders: Folders) -> None:
    generator = DiffusersGenerator(spec_of(folders("sd")))
    started, release = threading.Event(), threading.Event()

    def hold(done: int, total: int) -> None:
        started.set()
        release.wait(30)

    worker = threading.Thread(target=generate, args=(generator,), kwargs={"hooks": GenerationHooks(on_step=hold)})
    worker.start()
    assert started.wait(60)
    with pytest.raises(CancelledError):
        generate(generator, hooks=GenerationHooks(should_cancel=lambda: True))
    release.set()
    worker.join(60)
    assert not worker.is_alive()


def test_requests_take_turns(folders: Folders) -> None:
    generator = DiffusersGenerator(spec_of(folders("sd")))
    order: list[str] = []

    def run(label: str) -> None:
        generate(generator, hooks=GenerationHooks(on_step=lambda done, total: order.append(label)))

    workers = [threading.Thread(target=run, args=(label,)) for label in ("first", "second")]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert sorted(order) == ["first"] * STEPS + ["second"] * STEPS
    assert order in ([*sorted(order)], [*sorted(order, reverse=True)])


def live_tensors() -> int:
    """Tensors that somebody still refers to (``type``: asking some library objects for ``__class__`` warns)."""
    gc.collect()
    return sum(issubclass(type(thing), torch.Tensor) for thing in gc.get_objects())


class FailingOnce(torch.nn.Module):
    """Stands in for a denoiser: raises (or spoils its output) once, then passes everything on."""

    def __init__(self, inner: Any, *, error: Exception | None) -> None:
        super().__init__()
        self.inner = inner
        self.error = error
        self.config, self.dtype, self.device, self.add_embedding = inner.config, inner.dtype, inner.device, None
        self.failed = False

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        (output,) = self.inner(*args, **kwargs)
        if self.failed:
            return (output,)
        self.failed = True
        if self.error is not None:
            raise self.error
        return (output * float("nan"),)


@pytest.fixture
def breakable(folders: Folders) -> Iterator[Any]:
    """A generator, and a way to make its denoiser fail once."""
    generator = DiffusersGenerator(spec_of(folders("sd")))
    generator.load()

    def break_once(error: Exception | None) -> DiffusersGenerator:
        assert generator._loaded is not None
        pipeline = generator._loaded.pipeline
        pipeline.unet = FailingOnce(pipeline.unet, error=error)
        return generator

    yield break_once
    generator.unload()


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB."),
        RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: not enough memory: you tried to ..."),
        RuntimeError("MPS backend out of memory (MPS allocated: 9.05 GB)"),
        MemoryError(),
    ],
    ids=["cuda", "cpu", "mps", "python"],
)
def test_running_out_of_memory_is_a_clear_error_and_the_next_request_works(
    generators: Generators, breakable: Any, error: Exception
) -> None:
    generator = breakable(error)
    with pytest.raises(OutOfMemoryError) as caught:
        generate(generator)
    assert "fewer or smaller" in caught.value.diagnostics()
    np.testing.assert_array_equal(generate(generator).images[0], generate(generators("sd")).images[0])


def test_a_failed_generation_holds_no_tensors(breakable: Any) -> None:
    generator = breakable(torch.OutOfMemoryError("CUDA out of memory"))
    before = live_tensors()
    with pytest.raises(OutOfMemoryError) as caught:
        generate(generator)
    assert caught.value.__cause__ is not None
    assert live_tensors() <= before


def test_values_that_are_not_finite_never_become_a_picture(breakable: Any) -> None:
    generator = breakable(None)
    with pytest.raises(GenerationError, match="not finite"):
        generate(generator)
    assert generate(generator).images[0].std() > 5


@pytest.mark.parametrize("error", [ValueError("broken"), CancelledError("stopped")])
def test_offloaded_parts_are_put_back_after_a_failure(breakable: Any, error: Exception) -> None:
    generator = breakable(error)
    calls: list[str] = []
    generator._loaded.pipeline.maybe_free_model_hooks = lambda: calls.append("freed")
    with pytest.raises(GenerationError):
        generate(generator)
    assert calls == ["freed"]


def test_a_foreign_error_is_wrapped_without_its_text(breakable: Any) -> None:
    generator = breakable(ValueError("bad `prompt`: a secret wish"))
    with pytest.raises(GenerationError, match="failed with ValueError") as caught:
        generate(generator)
    assert "secret" not in f"{caught.value}{caught.value.diagnostics()}"


def test_a_long_prompt_is_never_logged(generators: Generators, caplog: pytest.LogCaptureFixture, capfd: Any) -> None:
    with caplog.at_level(logging.DEBUG):
        generate(generators("sd"), prompt="a cat in a hiddenplace " * 20)
    out, err = capfd.readouterr()
    assert "hiddenplace" not in caplog.text + out + err


def test_loading_and_generating_print_nothing(folders: Folders, capfd: Any) -> None:
    generate(DiffusersGenerator(spec_of(folders("flux"))))
    assert capfd.readouterr() == ("", "")


def test_unloading_gives_the_model_back_and_the_next_request_loads_it_again(folders: Folders) -> None:
    generator = DiffusersGenerator(spec_of(folders("sd")))
    assert not generator.is_loaded
    first = generate(generator).images[0]
    assert generator.is_loaded
    generator.unload()
    assert not generator.is_loaded
    np.testing.assert_array_equal(generate(generator).images[0], first)


def test_memory_stays_steady_over_requests(generators: Generators) -> None:
    generator = generators("sd")
    for operation in Operation:
        generate(generator, **pictures_for(operation))
    before = live_tensors()
    for _ in range(5):
        for operation in Operation:
            generate(generator, **pictures_for(operation))
    assert live_tensors() <= before


@pytest.mark.parametrize("count", [0, 9])
def test_the_number_of_images_is_limited(generators: Generators, count: int) -> None:
    with pytest.raises(RequestError, match=f"{count} images .* 1 to 8"):
        generate(generators("sd"), count=count)


def test_seeds_wrap_at_the_end_of_their_range(generators: Generators) -> None:
    made = generate(generators("sd"), seed=2**63 - 1, count=2)
    assert made.seeds == (2**63 - 1, 0)


@every_model
def test_the_card_names_what_made_the_pixels(folders: Folders, generators: Generators, name: str) -> None:
    card = generators(name).load()
    assert (card.model_id, len(card.digest)) == (name, 64)
    assert card.pipeline.endswith("Pipeline")
    assert generate(generators(name)).model == card


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"source_image": picture()}, "source picture, which it would ignore"),
        ({"mask": rectangle_mask()}, "mask, which it would ignore"),
        ({"strength": 0.5}, "strength, which it would ignore"),
        ({"operation": Operation.IMAGE_TO_IMAGE}, "needs a source picture"),
        ({"operation": Operation.INPAINTING, "source_image": picture()}, "needs a mask"),
        (
            {"operation": Operation.IMAGE_TO_IMAGE, "source_image": picture(), "mask": rectangle_mask()},
            "inpainting takes masks",
        ),
    ],
)
def test_contradictory_requests_are_refused(generators: Generators, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        generate(generators("sd"), **fields)


@every_model
def test_a_wrong_size_names_the_multiple_and_the_nearest_sizes(generators: Generators, name: str) -> None:
    multiple = 16 if name == "mini" else 8
    with pytest.raises(RequestError, match=f"width is 50; this model needs a multiple of {multiple}") as caught:
        generate(generators(name), width=50, height=32)
    assert caught.value.diagnostics() == f"Use {50 - 50 % multiple} or {50 - 50 % multiple + multiple}."


def test_a_request_never_changes_the_models_own_scheduler(generators: Generators) -> None:
    generator = generators("sd")
    first = generate(generator)
    generate(generator, scheduler="euler_a")
    again = generate(generator)
    assert again.scheduler == first.scheduler == "DDIMScheduler"
    np.testing.assert_array_equal(again.images[0], first.images[0])


def test_the_cleared_request_is_what_is_generated(generators: Generators) -> None:
    prompt = cleared(width=48, height=64)
    made = generators("sd").generate(dataclasses.replace(prompt), hooks=QUIET)
    assert made.images[0].shape == (64, 48, 3)


class _Drawn:
    """A marker that remembers what it was asked for."""

    algorithm = "test.latent.1"

    def __init__(self) -> None:
        self.asked: list[tuple[str, tuple[int, ...], int]] = []

    def draw(self, image_id: ImageID, shape: tuple[int, ...], *, seed: int) -> NDArray[np.float32]:
        self.asked.append((image_id, shape, seed))
        return np.random.default_rng([int(image_id, 16), seed]).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("name", ["sd", "mini", "sdxl"])
def test_a_marker_draws_the_noise_of_each_picture(folders: Folders, name: str) -> None:
    marker = _Drawn()
    marked = DiffusersGenerator(spec_of(folders(name), batch_size=2), latent_marker=marker)
    made = generate(marked, count=3)
    assert made.latent_mark == marker.algorithm
    assert [(image_id, seed) for image_id, _, seed in marker.asked] == [(f"{i:016x}", 7 + i) for i in range(3)]
    again, plain = generate(marked, count=3), generate(DiffusersGenerator(spec_of(folders(name))), count=3)
    assert all(np.array_equal(a, b) for a, b in zip(made.images, again.images, strict=True))
    assert all((a != b).mean() > 0.1 for a, b in zip(made.images, plain.images, strict=True))
    assert plain.latent_mark is None


def test_what_starts_from_a_picture_or_has_no_unet_is_not_marked(folders: Folders) -> None:
    marker = _Drawn()
    edited = generate(
        DiffusersGenerator(spec_of(folders("sd")), latent_marker=marker), **pictures_for(Operation.IMAGE_TO_IMAGE)
    )
    flux = generate(DiffusersGenerator(spec_of(folders("flux")), latent_marker=marker))
    assert (edited.latent_mark, flux.latent_mark, marker.asked) == (None, None, [])


def test_a_lent_pipeline_is_the_loaded_one(folders: Folders) -> None:
    generator = DiffusersGenerator(spec_of(folders("sd")))
    assert generator.lend(lambda pipeline: int(pipeline.unet.config.in_channels)) == 4
    with pytest.raises(GenerationError, match="failed with ValueError"):
        generator.lend(lambda pipeline: int("x"))
