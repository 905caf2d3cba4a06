"""Previews stop what would be blocked anyway; nothing is released or refused that was not before."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from guard.early_check import NOTE, EarlyCheck
from guard.errors import CheckError
from guard.interfaces import GenerationHooks
from guard.pipeline import released
from guard.records import RGB8, Action, ClearedPrompt, Decision, Failure, Finding, Generation, Refusal
from guard.stages import Stages
from tests.fakes import PlainGenerator, ScriptedImageChecker
from tests.guard.test_pipeline import BAD, REQUEST, gateway, only, stages  # noqa: F401

PREVIEW = np.full((16, 16, 3), 9, np.uint8)
FINE = np.full((16, 16, 3), 200, np.uint8)


def decision(action: Action) -> Decision:
    return Decision(action=action, category="violence_gore", reason="Shows violence.")


def by_brightness(pixels: RGB8) -> Decision:
    return decision(Action.BLOCK if pixels.mean() < 100 else Action.ALLOW)


@dataclass
class Previewing(PlainGenerator):
    """Shows the same previews for each batch of two, and obeys or ignores the answer."""

    previews: Sequence[RGB8] = (PREVIEW, PREVIEW)
    obeys: bool = True
    answers: list[bool] = field(default_factory=list)

    def generate(self, prompt: ClearedPrompt, *, hooks: GenerationHooks) -> Generation:
        made = super().generate(prompt, hooks=replace(hooks, should_cancel=None))
        images = list(made.images)
        if hooks.on_preview is None:
            return made
        for first in range(0, len(images), len(self.previews)):
            self.answers.append(hooks.on_preview(first, self.previews))
            if self.answers[-1] and self.obeys:
                images[first : first + len(self.previews)] = self.previews
        return replace(made, images=tuple(images))


@dataclass
class DarkIsBad:
    """An image checker that objects to dark pictures."""

    id: str = "fake.dark"
    seen: list[RGB8] = field(default_factory=list)

    def check(self, pixels: RGB8) -> Sequence[Finding]:
        self.seen.append(pixels)
        return [BAD] if pixels.mean() < 100 else []


def previewing(base: Stages, generator: Previewing, at: tuple[float, ...] = (0.5,)) -> Stages:
    return replace(base, generators={"fake": generator}, image_checkers=[DarkIsBad()], preview_at=at)


def test_a_blocked_preview_ends_as_a_refusal_of_stage_image(stages: Stages) -> None:  # noqa: F811
    generator = Previewing(previews=[PREVIEW])
    outcome = only(previewing(stages, generator))
    assert isinstance(outcome, Refusal)
    assert (outcome.stage, outcome.decision.category) == ("image", "violence_gore")
    assert NOTE in outcome.decision.reason
    assert outcome.image_id is not None
    assert (stages.ledger.bodies[0]["kind"], stages.ledger.bodies[0]["stage"]) == ("refusal", "image")
    assert stages.images.held == {}


def test_what_was_stopped_is_refused_even_if_it_is_finished_regardless(stages: Stages) -> None:  # noqa: F811
    generator = Previewing(previews=[PREVIEW], obeys=False)
    assert isinstance(only(previewing(stages, generator)), Refusal)


def test_one_picture_that_may_pass_keeps_its_batch_going(stages: Stages) -> None:  # noqa: F811
    generator = Previewing(previews=[PREVIEW, FINE])
    result = gateway(previewing(stages, generator)).generate(replace(REQUEST, count=2))
    assert generator.answers == [False]
    assert len(released(result)) == 2  # the finished pictures are bright: they were judged themselves


def test_only_the_stopped_batch_is_refused(stages: Stages) -> None:  # noqa: F811
    class FirstOnly(Previewing):
        def generate(self, prompt: ClearedPrompt, *, hooks: GenerationHooks) -> Generation:
            made = PlainGenerator.generate(self, prompt, hooks=hooks)
            assert hooks.on_preview is not None
            assert hooks.on_preview(0, [PREVIEW])
            assert not hooks.on_preview(1, [FINE])
            return replace(made, images=(PREVIEW, *made.images[1:]))

    result = gateway(previewing(stages, FirstOnly())).generate(replace(REQUEST, count=2))
    assert [type(outcome).__name__ for outcome in result.outcomes] == ["Refusal", "RecordedImage"]


def test_without_shares_nothing_is_looked_at_early(stages: Stages) -> None:  # noqa: F811
    generator = Previewing(previews=[PREVIEW])
    assert len(released(gateway(previewing(stages, generator, at=())).generate(REQUEST))) == 1
    assert generator.answers == []


def test_a_checker_that_breaks_on_a_preview_fails_closed(stages: Stages) -> None:  # noqa: F811
    class Broken(DarkIsBad):
        def check(self, pixels: RGB8) -> Sequence[Finding]:
            raise CheckError("could not decide")

    base = replace(previewing(stages, Previewing(previews=[FINE])), image_checkers=[Broken()])
    outcome = only(base)
    assert isinstance(outcome, Failure)
    assert outcome.stage == "generation"


@pytest.mark.parametrize("dark", range(4))
def test_a_batch_is_given_up_only_when_all_of_it_would_be_blocked(dark: int) -> None:
    early = EarlyCheck(by_brightness, at=(0.5,))
    hooks = early.join(GenerationHooks())
    assert hooks.on_preview is not None
    given_up = hooks.on_preview(4, [PREVIEW] * dark + [FINE] * (3 - dark))
    assert given_up == (dark == 3)
    assert sorted(early.stopped) == ([4, 5, 6] if dark == 3 else [])


def test_what_a_person_is_to_review_is_finished() -> None:
    early = EarlyCheck(lambda _: decision(Action.REVIEW), at=(0.5,))
    hooks = early.join(GenerationHooks())
    assert hooks.on_preview is not None
    assert hooks.on_preview(0, [PREVIEW]) is False
    assert early.stopped == {}


def test_no_previews_stop_nothing() -> None:
    early = EarlyCheck(by_brightness, at=(0.5,))
    hooks = early.join(GenerationHooks())
    assert hooks.on_preview is not None
    assert hooks.on_preview(0, []) is False


@pytest.mark.filterwarnings("ignore")  # of diffusers, about numpy
def test_the_shipped_model_stops_halfway_when_its_preview_would_be_blocked(stages: Stages) -> None:  # noqa: F811
    from guard.generation.diffusers_backend import DiffusersGenerator
    from guard.generation.embedded import signet_mini_spec
    from guard.generation.model_spec import Device

    model = DiffusersGenerator(signet_mini_spec(device=Device.CPU))
    judge = ScriptedImageChecker(findings=[BAD])
    with_model = replace(
        stages, generators={model.id: model}, default_model=model.id, image_checkers=[judge], preview_at=(0.5,)
    )
    done: list[int] = []
    hooks = GenerationHooks(on_step=lambda step, _: done.append(step))
    (outcome,) = gateway(with_model).generate(replace(REQUEST, steps=8), hooks=hooks).outcomes
    assert isinstance(outcome, Refusal)
    assert NOTE in outcome.decision.reason
    assert done == [1, 2, 3, 4]
    assert [pixels.shape for pixels in judge.seen] == [(256, 256, 3)]
