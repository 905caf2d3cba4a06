"""The generation flow: numbered steps from a request to something that may leave.

::

    (0) admit       ids from the CSPRNG, policy digest, clock
    (1) prompt      every prompt checker on every text, every image checker on the inputs, then the policy
    (2) generation  one batch from the model; with previews, what would be blocked anyway is not finished
    (3) image       every image checker, then the policy; then the visible label, if asked for
    (4) watermark   embed the image id, encode, decode the encoded picture and read the id back; an edit that still
                    carries the mark of its registered source keeps that one, and names other makers' marks
    (5) provenance  sign the encoded bytes; verify the final bytes with our own trust list
    (6) ledger      store the bytes, append digests, verify the inclusion proof
    (7) respond     only a RecordedImage leaves

Each step takes the record of the step before it. A refusal and a failure are recorded too. Anything that breaks
withholds the picture: there is no path from an exception to a release.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from guard.admission import check_form
from guard.carried_marks import foreign_bindings
from guard.check_runner import CheckRunner
from guard.credentials import CredentialState
from guard.early_check import EarlyCheck
from guard.errors import (
    ConfigError,
    DeadlineError,
    GuardError,
    LedgerError,
    ReadBackError,
    RequestError,
    StageError,
)
from guard.fingerprint import fingerprints
from guard.interfaces import DecisionMaker, GenerationHooks, Registration
from guard.ledger.entry import Circumstances, failure_body, refusal_body, release_body
from guard.media import decode, sha256_hex
from guard.picture_file import write_with_metadata
from guard.records import (
    RGB8,
    AdmittedRequest,
    ClearedImage,
    ClearedPrompt,
    Decision,
    Failure,
    Finding,
    GeneratedImage,
    GenerationRequest,
    GenerationResult,
    ImageID,
    LabelMode,
    MarkedImage,
    Operation,
    Outcome,
    RecordedImage,
    Refusal,
    RequestID,
    SignedImage,
)
from guard.stages import Deadlines, Stages
from guard.stopwatch import Stopwatch

PASSING_LOG10_P = -9.0
"""A mark counts as read back only under this proven false-accept bound (design gate: 1e-9 per picture)."""


class Gateway:
    """Runs the flow; safe to share between threads as far as its stages are."""

    def __init__(
        self,
        stages: Stages,
        *,
        random_bytes: Callable[[int], bytes],
        deadlines: Deadlines | None = None,
        on_close: Callable[[], None] | None = None,
    ) -> None:
        """Check that nothing can be skipped for want of a checker.

        Args:
            stages: all stage implementations.
            random_bytes: a CSPRNG such as ``secrets.token_bytes``.
            deadlines: per-stage limits; defaults suit a CPU.
            on_close: closes what the stages were built from, where that is the gateway's own.

        Raises:
            ConfigError: no prompt checker, no image checker, or the default model is not among the generators.
        """
        if not stages.prompt_checkers or not stages.image_checkers:
            raise ConfigError(
                "The flow needs at least one prompt checker and one image checker; an empty list is refused."
            )
        if stages.default_model not in stages.generators:
            raise ConfigError(f"The default model {stages.default_model!r} is not among {sorted(stages.generators)}.")
        self._stages = stages
        self._random = random_bytes
        self._on_close = on_close
        self._deadlines = deadlines or Deadlines()
        self._checks = CheckRunner(deadline_s=self._deadlines.check_s)

    @property
    def stages(self) -> Stages:
        """Return the stages, for read-only use by routes and commands."""
        return self._stages

    def close(self) -> None:
        """Stop the threads that run checks, and close what is this gateway's own."""
        self._checks.close()
        if self._on_close is not None:
            self._on_close()

    def generate(self, request: GenerationRequest, *, hooks: GenerationHooks | None = None) -> GenerationResult:
        """Run the whole flow for one request.

        Returns:
            One outcome for each image, in order; a single one when the prompt was refused or generation failed.

        Raises:
            RequestError: the request is malformed; nothing was started and nothing is recorded.
            LedgerError: the refusal or failure itself could not be recorded.
        """
        watch = Stopwatch()
        admitted = self._admit(request)  # (0)
        outcomes = self._run(admitted, hooks or GenerationHooks(), watch)
        return GenerationResult(request_id=admitted.request_id, outcomes=tuple(outcomes), timings_s=watch.seconds)

    # --- the steps

    def _run(self, admitted: AdmittedRequest, hooks: GenerationHooks, watch: Stopwatch) -> list[Outcome]:
        stage = "prompt"
        early = EarlyCheck(partial(self._decide_on, admitted), at=self._stages.preview_at)
        try:
            with watch.stage(stage):
                cleared = self._check_prompt(admitted)  # (1)
            if isinstance(cleared, _Withheld):
                return [self._refuse(admitted, cleared, watch)]
            stage = "generation"
            with watch.stage(stage):
                images = self._generate(cleared, early.join(hooks))  # (2)
        except RequestError:
            raise
        except Exception as exc:  # becomes a recorded Failure: nothing was produced
            return [self._fail(admitted, stage, exc, watch)]
        own = iter([Stopwatch(watch) for _ in images])
        return [self._finish(image, next(own), stopped=early.stopped.get(at)) for at, image in enumerate(images)]

    def _finish(self, image: GeneratedImage, watch: Stopwatch, *, stopped: Decision | None) -> Outcome:
        """Steps (3) to (7) for one image, or its refusal where it was stopped at a preview.

        Its failure does not touch the other images of the batch.
        """
        admitted = image.cleared.admitted
        stage = "image"
        try:
            with watch.stage(stage):
                cleared = _Withheld(stage="image", decision=stopped) if stopped else self._check_image(image)  # (3)
            if isinstance(cleared, _Withheld):
                return self._refuse(admitted, cleared, watch, image=image)
            stage = "watermark"
            with watch.stage(stage):
                marked, encoded = self._mark(cleared)  # (4)
            stage = "provenance"
            with watch.stage(stage):
                signed = self._sign(marked, encoded)  # (5)
            stage = "ledger"
            with watch.stage(stage):
                return self._record(signed, watch)  # (6), (7)
        except Exception as exc:  # becomes a recorded Failure: the picture is withheld
            return self._fail(admitted, stage, exc, watch, image=image)

    def _admit(self, request: GenerationRequest) -> AdmittedRequest:
        """(0) Check the form, draw ids and a seed."""
        check_form(request, models=self._stages.generators, min_side=self._stages.watermarker.min_side)
        seed = request.seed if request.seed is not None else int.from_bytes(self._random(6), "big")
        return AdmittedRequest(
            request=request,
            request_id=RequestID(self._random(16).hex()),
            image_ids=tuple(ImageID(self._random(8).hex()) for _ in range(request.count)),
            seed=seed,
            policy_id=self._stages.policy.id,
            policy_digest=self._stages.policy.digest,
            admitted_at=self._stages.clock.now(),
        )

    def _check_prompt(self, admitted: AdmittedRequest) -> ClearedPrompt | _Withheld:
        """(1) Check every text and every input picture."""
        findings: list[Finding] = []
        for checker in self._stages.prompt_checkers:
            findings += self._checks.run(checker.id, lambda c=checker: c.check(admitted))  # type: ignore[misc]
        decision = self._policy(admitted).decide(findings, stage="prompt")
        if decision.releases and admitted.request.source_image is not None:
            on_input = self._decide_on(admitted, admitted.request.source_image)
            if not on_input.releases:
                return _Withheld(stage="source_image", decision=on_input)
        if not decision.releases:
            return _Withheld(stage="prompt", decision=decision)
        return ClearedPrompt(admitted=admitted, decision=decision)

    def _generate(self, cleared: ClearedPrompt, hooks: GenerationHooks) -> list[GeneratedImage]:
        """(2) Run the model once for the whole batch, under the deadline."""
        admitted = cleared.admitted
        generator = self._stages.generators[admitted.request.model or self._stages.default_model]
        started = time.monotonic()
        overran = False

        def should_cancel() -> bool:
            nonlocal overran
            overran = time.monotonic() - started > self._deadlines.generation_s
            return overran or (hooks.should_cancel is not None and hooks.should_cancel())

        try:
            made = generator.generate(cleared, hooks=replace(hooks, should_cancel=should_cancel))
        except StageError as exc:
            if overran:
                raise DeadlineError(f"Generation ran past {self._deadlines.generation_s:.0f} s.") from exc
            raise
        if len(made.images) != len(admitted.image_ids) or len(made.seeds) != len(admitted.image_ids):
            raise StageError(f"The model returned {len(made.images)} images for {len(admitted.image_ids)} ids.")
        triples = zip(admitted.image_ids, made.images, made.seeds, strict=True)
        return [
            GeneratedImage(cleared=cleared, image_id=image_id, pixels=pixels, seed=seed, generation=made)
            for image_id, pixels, seed in triples
        ]

    def _check_image(self, image: GeneratedImage) -> ClearedImage | _Withheld:
        """(3) Check the picture, then composite the label."""
        decision = self._decide_on(image.cleared.admitted, image.pixels)
        if not decision.releases:
            return _Withheld(stage="image", decision=decision)
        label = image.cleared.admitted.request.label
        pixels = image.pixels if label is LabelMode.NONE else self._stages.labeller.apply(image.pixels, mode=label)
        return ClearedImage(generated=image, pixels=pixels, label=label, decision=decision)

    def _mark(self, cleared: ClearedImage) -> tuple[MarkedImage, bytes]:
        """(4) Embed the id, encode, and read it back from the encoded picture; never a mark over a mark of ours."""
        carried = self._carried(cleared)
        if carried is not None:
            kept, encoded = self._encoded(cleared, cleared.pixels)
            if kept.reading.image_id == carried and kept.reading.log10_p <= PASSING_LOG10_P:
                return kept, encoded
        image_id = cleared.generated.image_id
        pixels = self._stages.watermarker.embed(cleared.pixels, image_id)
        if pixels.shape != cleared.pixels.shape or pixels.dtype != cleared.pixels.dtype:
            raise ReadBackError(f"The marked picture has shape {pixels.shape}, expected {cleared.pixels.shape}.")
        marked, encoded = self._encoded(cleared, pixels)
        reading = marked.reading
        if reading.image_id != image_id or not reading.log10_p <= PASSING_LOG10_P:
            raise ReadBackError(
                f"The watermark did not read back: expected the image's id under p = 1e{PASSING_LOG10_P:.0f}, "
                f"got {'another id' if reading.image_id else 'no id'} at log10 p = {reading.log10_p:.1f}."
            )
        return marked, encoded

    def _carried(self, cleared: ClearedImage) -> ImageID | None:
        """Return the id of our mark that an edited picture still carries from its source, if it is registered here."""
        if cleared.generated.cleared.admitted.request.operation is Operation.TEXT_TO_IMAGE:
            return None
        found = self._stages.watermarker.detect(cleared.pixels).image_id
        known = found is not None and self._stages.ledger.registration(found) is not None
        return found if known else None

    def _encoded(self, cleared: ClearedImage, pixels: RGB8) -> tuple[MarkedImage, bytes]:
        """Encode with what goes on of the source's metadata, decode as a viewer would, and read the marks."""
        request = cleared.generated.cleared.admitted.request
        encoded = write_with_metadata(pixels, request.source_metadata.of_a_new_picture(), request.image_format)
        as_seen = decode(encoded).rgb
        edited = request.operation is not Operation.TEXT_TO_IMAGE
        return MarkedImage(
            cleared=cleared,
            pixels=as_seen,
            reading=self._stages.watermarker.detect(as_seen),
            foreign=foreign_bindings(as_seen, self._stages.foreign_marks) if edited else (),
        ), encoded

    def _sign(self, marked: MarkedImage, encoded: bytes) -> SignedImage:
        """(5) Sign, then verify the final bytes as a stranger would, with our own trust list."""
        media_type = marked.cleared.generated.cleared.admitted.request.image_format.media_type
        signed = self._stages.signer.sign(marked, encoded=encoded, media_type=media_type)
        report = self._stages.reader.read(signed.data)
        if report.state is not CredentialState.TRUSTED:
            raise ReadBackError(
                f"The manifest reads back as {report.state}, expected trusted ({', '.join(report.codes) or 'none'})."
            )
        bound = {binding.value for binding in report.soft_bindings}
        mark_bound = marked.reading.image_id in bound
        if report.manifest_label != signed.manifest_label or not mark_bound or report.ai_origin is not True:
            raise ReadBackError("The manifest that reads back is not the one that was written for this image.")
        return SignedImage(
            marked=marked,
            data=signed.data,
            sha256=sha256_hex(signed.data),
            media_type=media_type,
            manifest=signed.manifest,
            manifest_label=signed.manifest_label,
            time_stamp=signed.time_stamp,
            credential=report,
            fingerprints=fingerprints(marked.pixels),
        )

    def _record(self, signed: SignedImage, watch: Stopwatch) -> RecordedImage:
        """(6) Store the bytes first, then append: no record ever lacks its image."""
        generated = signed.marked.cleared.generated
        self._stages.images.put(generated.image_id, signed.data, media_type=signed.media_type)
        registration = Registration(
            image_id=generated.image_id,
            sha256=signed.sha256,
            media_type=signed.media_type,
            manifest=signed.manifest,
            manifest_label=signed.manifest_label,
            fingerprints=signed.fingerprints,
            tenant=generated.cleared.admitted.request.tenant,
        )
        body = release_body(signed, at=self._stages.clock.now(), timings_s=watch.seconds)
        receipt = self._stages.ledger.append(body, registration=registration)
        return RecordedImage(signed=signed, receipt=receipt)

    # --- ends

    def _refuse(
        self, admitted: AdmittedRequest, why: _Withheld, watch: Stopwatch, *, image: GeneratedImage | None = None
    ) -> Refusal:
        refusal = Refusal(
            request_id=admitted.request_id,
            image_id=image.image_id if image else None,
            stage=why.stage,
            decision=why.decision,
            appeal_id=self._random(8).hex(),
        )
        if self._stages.quarantine is not None:
            examined = admitted.request.source_image if why.stage == "source_image" else None
            pixels = image.pixels if image else examined  # what no checker saw is not kept: it may concern minors
            self._stages.quarantine.hold(refusal, admitted=admitted, pixels=pixels)
        body = refusal_body(refusal, self._circumstances(admitted, watch, image))
        return replace(refusal, receipt=self._stages.ledger.append(body))

    def _fail(
        self,
        admitted: AdmittedRequest,
        stage: str,
        exc: Exception,
        watch: Stopwatch,
        *,
        image: GeneratedImage | None = None,
    ) -> Failure:
        known = exc if isinstance(exc, GuardError) else None
        failure = Failure(
            request_id=admitted.request_id,
            image_id=image.image_id if image else None,
            stage=stage,
            code=known.code if known else StageError.code,
            message=str(known) if known else f"The {stage} stage failed unexpectedly ({type(exc).__name__}).",
            next_step=known.diagnostics() if known else StageError.next_step,
        )
        try:
            receipt = self._stages.ledger.append(failure_body(failure, self._circumstances(admitted, watch, image)))
        except LedgerError:
            if isinstance(exc, LedgerError):  # the ledger is what failed: say so, release nothing
                return failure
            raise
        return replace(failure, receipt=receipt)

    def _circumstances(
        self, admitted: AdmittedRequest, watch: Stopwatch, image: GeneratedImage | None
    ) -> Circumstances:
        return Circumstances(
            admitted=admitted,
            at=self._stages.clock.now(),
            model=image.generation.model if image else None,
            timings_s=watch.seconds,
        )

    def _policy(self, admitted: AdmittedRequest) -> DecisionMaker:
        """Return the policy as it holds for this caller."""
        return self._stages.policy.for_caller(tenant=admitted.request.tenant, locale=admitted.request.locale)

    def _decide_on(self, admitted: AdmittedRequest, pixels: RGB8) -> Decision:
        """Run every image checker, then the policy."""
        findings: list[Finding] = []
        for checker in self._stages.image_checkers:
            findings += self._checks.run(checker.id, lambda c=checker: c.check(pixels))  # type: ignore[misc]
        return self._policy(admitted).decide(findings, stage="image")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Withheld:
    """What the policy does not let pass, and at which stage."""

    stage: str
    decision: Decision


def released(result: GenerationResult) -> list[RecordedImage]:
    """Return only what may leave, in image order."""
    return [outcome for outcome in result.outcomes if isinstance(outcome, RecordedImage)]
