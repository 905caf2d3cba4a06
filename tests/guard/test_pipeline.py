"""The flow: nothing leaves without two marks read back, everything is recorded, whatever breaks withholds."""

import secrets
import time
from dataclasses import replace

import numpy as np
import pytest

from guard.credentials import CredentialState, SoftBinding
from guard.errors import (
    ConfigError,
    GenerationError,
    LedgerError,
    OutOfMemoryError,
    RequestError,
    SigningError,
    StageError,
)
from guard.interfaces import GenerationHooks
from guard.kept_metadata import KeptMetadata
from guard.label.compositor import BadgeLabeller
from guard.picture_file import open_picture
from guard.pipeline import Gateway, released
from guard.records import (
    RGB8,
    AdmittedRequest,
    ClearedPrompt,
    Failure,
    Finding,
    Generation,
    GenerationRequest,
    ImageFormat,
    LabelMode,
    Operation,
    RecordedImage,
    Refusal,
)
from guard.stages import Deadlines, Stages
from tests.fakes import (
    CornerWatermarker,
    FixedClock,
    MemoryImages,
    MemoryLedger,
    PlainGenerator,
    ScriptedImageChecker,
    ScriptedPromptChecker,
    ThresholdPolicy,
    TrailerReader,
    TrailerSigner,
)

BAD = Finding(checker="fake", category="violence_gore", score=0.99, severity=7, reason="Shows violence.")
REQUEST = GenerationRequest(prompt="a red circle", seed=5)


@pytest.fixture
def stages() -> Stages:
    return Stages(
        prompt_checkers=[ScriptedPromptChecker()],
        image_checkers=[ScriptedImageChecker()],
        policy=ThresholdPolicy(),
        generators={"fake": PlainGenerator()},
        default_model="fake",
        labeller=BadgeLabeller(),
        watermarker=CornerWatermarker(),
        signer=TrailerSigner(),
        reader=TrailerReader(),
        ledger=MemoryLedger(),
        images=MemoryImages(),
        clock=FixedClock(),
    )


def gateway(stages: Stages, **deadlines: float) -> Gateway:
    return Gateway(stages, random_bytes=secrets.token_bytes, deadlines=Deadlines(**deadlines))


def only(stages: Stages, request: GenerationRequest = REQUEST, **deadlines: float):
    (outcome,) = gateway(stages, **deadlines).generate(request).outcomes
    return outcome


def test_a_released_image_carries_one_id_in_mark_manifest_ledger_and_store(stages: Stages) -> None:
    outcome = only(stages)
    assert isinstance(outcome, RecordedImage)
    image_id = outcome.image_id
    assert outcome.signed.marked.reading.image_id == image_id
    assert outcome.signed.credential.soft_bindings[0].value == image_id
    assert stages.ledger.registrations[image_id].sha256 == outcome.signed.sha256
    assert stages.images.held[image_id][0] == outcome.signed.data
    assert stages.ledger.bodies[0]["image_id"] == image_id
    assert REQUEST.prompt not in str(stages.ledger.bodies)


def test_a_batch_gives_one_outcome_for_each_id_in_order(stages: Stages) -> None:
    result = gateway(stages).generate(replace(REQUEST, count=3))
    assert [r.signed.marked.cleared.generated.seed for r in released(result)] == [5, 6, 7]
    assert len({r.image_id for r in released(result)}) == 3
    assert set(result.timings_s) == {"prompt", "generation", "image", "watermark", "provenance", "ledger"}


def test_records_say_what_each_stage_took_for_that_image_alone(stages: Stages) -> None:
    result = gateway(stages).generate(replace(REQUEST, count=3))
    recorded = [body["timings_ms"] for body in stages.ledger.bodies]
    assert all(list(took) == ["prompt", "generation", "image", "watermark", "provenance"] for took in recorded)
    assert sum(took["watermark"] for took in recorded) == pytest.approx(result.timings_s["watermark"] * 1000, abs=2)


class Shelf:
    """A quarantine that keeps what it is given, or breaks."""

    def __init__(self, error: Exception | None = None) -> None:
        self.held: list[tuple[Refusal, RGB8 | None]] = []
        self.error = error

    def hold(self, refusal: Refusal, *, admitted: AdmittedRequest, pixels: RGB8 | None) -> None:
        if self.error is not None:
            raise self.error
        self.held.append((refusal, pixels))


def test_refusals_go_to_the_quarantine_with_the_withheld_picture(stages: Stages) -> None:
    shelf = Shelf()
    stages = replace(stages, quarantine=shelf)
    on_image = only(replace(stages, image_checkers=[ScriptedImageChecker(findings=[BAD])]))
    only(replace(stages, prompt_checkers=[ScriptedPromptChecker(findings=[BAD])]))
    only(stages)
    (first, picture), (second, nothing) = shelf.held
    assert first.appeal_id == on_image.appeal_id
    assert picture.shape == (64, 64, 3)
    assert (second.stage, nothing) == ("prompt", None)


def test_a_refused_source_image_is_what_the_quarantine_keeps(stages: Stages) -> None:
    shelf = Shelf()
    source = np.full((64, 64, 3), 9, np.uint8)
    stages = replace(stages, quarantine=shelf, image_checkers=[ScriptedImageChecker(findings=[BAD])])
    only(stages, replace(REQUEST, operation=Operation.IMAGE_TO_IMAGE, source_image=source, strength=0.5))
    np.testing.assert_array_equal(shelf.held[0][1], source)


def test_a_source_image_that_no_checker_saw_is_not_kept(stages: Stages) -> None:
    shelf = Shelf()
    source = np.full((64, 64, 3), 9, np.uint8)
    stages = replace(stages, quarantine=shelf, prompt_checkers=[ScriptedPromptChecker(findings=[BAD])])
    only(stages, replace(REQUEST, operation=Operation.IMAGE_TO_IMAGE, source_image=source, strength=0.5))
    assert [(held.stage, pixels) for held, pixels in shelf.held] == [("prompt", None)]


def test_a_quarantine_that_breaks_releases_nothing_and_is_recorded(stages: Stages) -> None:
    stages = replace(
        stages, quarantine=Shelf(StageError("full")), image_checkers=[ScriptedImageChecker(findings=[BAD])]
    )
    outcome = only(stages)
    assert isinstance(outcome, Failure)
    assert stages.ledger.bodies[0]["kind"] == "failure"
    assert stages.images.held == {}


def test_withheld_images_are_recorded_with_the_model_that_made_them(stages: Stages) -> None:
    only(replace(stages, image_checkers=[ScriptedImageChecker(findings=[BAD])]))
    only(replace(stages, watermarker=CornerWatermarker(embeds=False)))
    only(replace(stages, prompt_checkers=[ScriptedPromptChecker(findings=[BAD])]))
    on_image, failed, on_prompt = stages.ledger.bodies
    assert on_image["model"]["model_id"] == failed["model"]["model_id"] == "fake"
    assert list(failed["timings_ms"]) == ["prompt", "generation", "image", "watermark"]
    assert on_prompt["model"] is None


def test_unsafe_prompt_is_refused_before_the_model_runs_and_recorded(stages: Stages) -> None:
    stages = replace(stages, prompt_checkers=[ScriptedPromptChecker(findings=[BAD])])
    outcome = only(stages)
    assert isinstance(outcome, Refusal)
    assert (outcome.stage, outcome.decision.category) == ("prompt", "violence_gore")
    assert stages.generators["fake"].calls == 0
    assert stages.ledger.bodies[0]["kind"] == "refusal"
    assert outcome.receipt is not None
    assert len(outcome.appeal_id) == 16


def test_unsafe_image_is_withheld_and_recorded(stages: Stages) -> None:
    stages = replace(stages, image_checkers=[ScriptedImageChecker(findings=[BAD])])
    outcome = only(stages)
    assert isinstance(outcome, Refusal)
    assert outcome.stage == "image"
    assert stages.images.held == {}


def test_input_picture_is_checked_before_the_model_runs(stages: Stages) -> None:
    stages = replace(stages, image_checkers=[ScriptedImageChecker(findings=[BAD])])
    source = np.zeros((64, 64, 3), np.uint8)
    outcome = only(stages, replace(REQUEST, operation=Operation.IMAGE_TO_IMAGE, source_image=source))
    assert isinstance(outcome, Refusal)
    assert outcome.stage == "source_image"
    assert stages.generators["fake"].calls == 0


@pytest.mark.parametrize(
    ("broken", "stage"),
    [
        ({"prompt_checkers": [ScriptedPromptChecker(error=RuntimeError("x"))]}, "prompt"),
        ({"prompt_checkers": [ScriptedPromptChecker(findings=[replace(BAD, score=float("nan"))])]}, "prompt"),
        ({"image_checkers": [ScriptedImageChecker(error=RuntimeError("x"))]}, "image"),
        ({"image_checkers": [ScriptedImageChecker(findings=[replace(BAD, score=1.5)])]}, "image"),
        ({"generators": {"fake": PlainGenerator(error=GenerationError("x"))}}, "generation"),
        ({"generators": {"fake": PlainGenerator(error=ZeroDivisionError())}}, "generation"),
        ({"generators": {"fake": PlainGenerator(short_by=1)}}, "generation"),
        ({"watermarker": CornerWatermarker(embeds=False)}, "watermark"),
        ({"watermarker": CornerWatermarker(log10_p=-8.9)}, "watermark"),
        ({"watermarker": CornerWatermarker(log10_p=float("nan"))}, "watermark"),
        ({"signer": TrailerSigner(error=SigningError("x"))}, "provenance"),
        ({"signer": TrailerSigner(tamper=lambda data: data.partition(b"--fake")[0])}, "provenance"),
        ({"signer": TrailerSigner(tamper=lambda data: data[:200] + b"!" + data[201:])}, "provenance"),
        ({"reader": TrailerReader(state=CredentialState.VALID_UNTRUSTED)}, "provenance"),
        ({"images": MemoryImages(error=LedgerError("disk full"))}, "ledger"),
    ],
)
def test_whatever_breaks_withholds_the_image_and_is_recorded(stages: Stages, broken: dict, stage: str) -> None:
    stages = replace(stages, **broken)
    outcome = only(stages)
    assert isinstance(outcome, Failure)
    assert outcome.stage == stage
    assert outcome.next_step
    assert stages.ledger.bodies[-1]["kind"] == "failure"
    assert not stages.ledger.registrations


def test_nothing_leaves_when_the_ledger_fails(stages: Stages) -> None:
    outcome = only(replace(stages, ledger=MemoryLedger(error=LedgerError("disk full"))))
    assert isinstance(outcome, Failure)
    assert outcome.code == "ledger_failed"
    assert outcome.receipt is None


def test_a_refusal_that_cannot_be_recorded_is_not_a_silent_one(stages: Stages) -> None:
    stages = replace(
        stages,
        prompt_checkers=[ScriptedPromptChecker(findings=[BAD])],
        ledger=MemoryLedger(error=LedgerError("disk full")),
    )
    assert isinstance(only(stages), Failure)


def test_a_check_that_hangs_is_a_failure(stages: Stages) -> None:
    class Hanging(ScriptedPromptChecker):
        def check(self, request):
            time.sleep(0.5)
            return []

    outcome = only(replace(stages, prompt_checkers=[Hanging()]), check_s=0.05)
    assert isinstance(outcome, Failure)
    assert "no answer" in outcome.message


def test_generation_past_its_deadline_stops(stages: Stages) -> None:
    outcome = only(stages, generation_s=-1.0)
    assert isinstance(outcome, Failure)
    assert outcome.code == "deadline_exceeded"


def test_cancelling_releases_nothing(stages: Stages) -> None:
    result = gateway(stages).generate(REQUEST, hooks=GenerationHooks(should_cancel=lambda: True))
    (outcome,) = result.outcomes
    assert isinstance(outcome, Failure)
    assert outcome.code == "cancelled"


def test_progress_is_reported(stages: Stages) -> None:
    seen: list[tuple[int, int]] = []
    gateway(stages).generate(REQUEST, hooks=GenerationHooks(on_step=lambda done, total: seen.append((done, total))))
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_out_of_memory_keeps_the_gateway_usable(stages: Stages) -> None:
    generator = PlainGenerator(error=OutOfMemoryError("out of memory"))
    running = gateway(replace(stages, generators={"fake": generator}))
    (first,) = running.generate(REQUEST).outcomes
    generator.error = None
    (second,) = running.generate(REQUEST).outcomes
    assert isinstance(first, Failure)
    assert first.code == "out_of_memory"
    assert isinstance(second, RecordedImage)


def test_one_bad_image_does_not_cost_the_batch(stages: Stages) -> None:
    class FirstOnly(ScriptedImageChecker):
        def check(self, pixels):
            self.seen.append(pixels)
            return [BAD] if len(self.seen) == 1 else []

    result = gateway(replace(stages, image_checkers=[FirstOnly()])).generate(replace(REQUEST, count=2))
    assert [type(outcome) for outcome in result.outcomes] == [Refusal, RecordedImage]


def test_label_is_composited_before_the_mark(stages: Stages) -> None:
    outcome = only(stages, replace(REQUEST, label=LabelMode.GENERATED))
    assert isinstance(outcome, RecordedImage)
    cleared = outcome.signed.marked.cleared
    assert (cleared.pixels != cleared.generated.pixels).any()
    assert outcome.signed.marked.reading.image_id == outcome.image_id


@pytest.mark.parametrize("missing", ["prompt_checkers", "image_checkers"])
def test_a_flow_without_checkers_cannot_be_built(stages: Stages, missing: str) -> None:
    with pytest.raises(ConfigError, match="at least one"):
        gateway(replace(stages, **{missing: []}))


def test_an_unknown_default_model_is_refused(stages: Stages) -> None:
    with pytest.raises(ConfigError, match="default model"):
        gateway(replace(stages, default_model="other"))


def test_malformed_requests_raise_and_record_nothing(stages: Stages) -> None:
    with pytest.raises(RequestError, match="prompt is empty"):
        gateway(stages).generate(replace(REQUEST, prompt="   "))
    assert stages.ledger.bodies == []


class Echo(PlainGenerator):
    """Gives the source picture back: an edit that changes nothing."""

    def generate(self, prompt: ClearedPrompt, *, hooks: GenerationHooks) -> Generation:
        made = super().generate(prompt, hooks=hooks)
        return replace(made, images=(prompt.admitted.request.source_image,))


def edit_of(pixels: RGB8) -> GenerationRequest:
    return replace(REQUEST, operation=Operation.IMAGE_TO_IMAGE, source_image=pixels, strength=0.1)


def test_an_edit_of_our_own_picture_keeps_its_mark_instead_of_getting_a_second_one(stages: Stages) -> None:
    first = only(stages)
    stages = replace(stages, generators={"fake": Echo()})
    second = only(stages, edit_of(first.signed.marked.pixels))
    assert isinstance(second, RecordedImage)
    assert second.image_id != first.image_id
    assert second.signed.marked.reading.image_id == first.image_id
    np.testing.assert_array_equal(second.signed.marked.pixels, first.signed.marked.pixels)
    assert stages.ledger.registrations[second.image_id].sha256 == second.signed.sha256


def test_a_mark_that_is_not_registered_here_is_not_kept(stages: Stages) -> None:
    first = only(stages)
    stages.ledger.registrations.clear()
    second = only(replace(stages, generators={"fake": Echo()}), edit_of(first.signed.marked.pixels))
    assert second.signed.marked.reading.image_id == second.image_id != first.image_id


def test_a_text_prompt_never_takes_over_a_mark(stages: Stages) -> None:
    first = only(stages)
    again = only(stages)
    assert again.signed.marked.reading.image_id == again.image_id != first.image_id


class TheirMark:
    """Finds the mark of others in every picture, and counts how often it is asked."""

    scheme, payload = "example mark", "77"

    def __init__(self) -> None:
        self.asked = 0

    def read(self, pixels: RGB8) -> "TheirMark":
        self.asked += 1
        return self


def test_marks_of_others_are_named_in_what_is_made_of_a_picture(stages: Stages) -> None:
    reader = TheirMark()
    stages = replace(stages, generators={"fake": Echo()}, foreign_marks=(reader,))
    source = np.full((256, 256, 3), 90, np.uint8)
    made = only(stages, edit_of(source))
    theirs = SoftBinding(algorithm="example/mark", value="77")
    assert made.signed.marked.foreign == (theirs,)
    assert made.signed.marked.reading.image_id == made.image_id, "ours is written beside it"
    assert stages.ledger.bodies[-1]["foreign_marks"] == [{"algorithm": "example/mark", "value": "77"}]


def test_what_a_model_makes_of_words_is_not_searched_for_marks_of_others(stages: Stages) -> None:
    reader = TheirMark()
    made = only(replace(stages, foreign_marks=(reader,)))
    assert (made.signed.marked.foreign, reader.asked) == ((), 0)


def test_labels_and_rights_of_a_source_go_on_with_the_result(stages: Stages) -> None:
    kept = KeptMetadata(xmp=b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><!-- TC260:AIGC (c) A. Person --></x:xmpmeta>')
    stages = replace(stages, generators={"fake": Echo()})
    asked = replace(edit_of(np.full((256, 256, 3), 90, np.uint8)), source_metadata=kept)
    found = open_picture(only(stages, asked).signed.data).kept
    assert found.xmp == kept.xmp


def test_metadata_that_does_not_fit_is_told_before_the_model_runs(stages: Stages) -> None:
    asked = replace(
        edit_of(np.full((256, 256, 3), 90, np.uint8)),
        source_metadata=KeptMetadata(xmp=b"x" * 70_000),
        image_format=ImageFormat.JPEG,
    )
    with pytest.raises(RequestError, match="does not fit"):
        only(stages, asked)
    assert stages.ledger.bodies == []


def test_the_policy_decides_as_it_holds_for_the_caller(stages: Stages) -> None:
    asked: list[tuple[str, str]] = []

    class ForSchools(ThresholdPolicy):
        def for_caller(self, *, tenant: str, locale: str) -> ThresholdPolicy:
            asked.append((tenant, locale))
            return ThresholdPolicy()

        def decide(self, findings, *, stage):
            raise AssertionError("asked without the caller")

    made = only(replace(stages, policy=ForSchools()), replace(REQUEST, tenant="school", locale="de-AT"))
    assert isinstance(made, RecordedImage)
    assert set(asked) == {("school", "de-AT")}
    assert stages.ledger.bodies[-1]["locale"] == "de-AT"


def test_a_locale_is_a_language_tag(stages: Stages) -> None:
    with pytest.raises(RequestError, match="language tag"):
        only(stages, replace(REQUEST, locale="de AT; drop"))
