"""Signing: containers, parents, faults of keys and time-stamp authorities, threads and forks."""

import io
import json
import os
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from guard.credentials import CredentialReport, CredentialState
from guard.errors import BusyError, MediaError, SigningError
from guard.interfaces import CredentialReader
from guard.media import decode
from guard.provenance.crjson import read_crjson
from guard.provenance.key_source import CallbackKeySource
from guard.provenance.manifest import PROMPT_LABEL, ManifestKind
from guard.provenance.native import reading_settings
from guard.provenance.read import C2PACredentialReader
from guard.provenance.sign import C2PACredentialSigner
from guard.records import Action as PolicyAction
from guard.records import (
    AdmittedRequest,
    ClearedImage,
    ClearedPrompt,
    Decision,
    GeneratedImage,
    Generation,
    GenerationRequest,
    ImageFormat,
    ImageID,
    LabelMode,
    MarkedImage,
    MarkReading,
    ModelCard,
    Operation,
    RequestID,
)
from tests.guard.provenance.rubric import violations
from tests.guard.provenance.support import (
    ALGORITHM,
    GENERATOR,
    IMAGE_ID,
    Identity,
    encoded,
    facts,
    flip_after,
    flipped,
    picture,
    png_chunks,
    png_from,
)

ROOT = Path(__file__).resolve().parents[3]


def marked(request: GenerationRequest, label: LabelMode = LabelMode.NONE) -> MarkedImage:
    """A record of the flow as the pipeline would hand it over."""
    allow = Decision(action=PolicyAction.ALLOW, category=None, reason="nothing found")
    admitted = AdmittedRequest(
        request=request,
        request_id=RequestID("0" * 32),
        image_ids=(ImageID(IMAGE_ID),),
        seed=1,
        policy_id="default",
        policy_digest="0" * 64,
        admitted_at=datetime(2026, 11, 22, 9, 8, 7, tzinfo=UTC),
    )
    card = ModelCard(
        model_id="example/tiny", name="Tiny", revision="r1", pipeline="P", digest="0" * 64, licence="Apache-2.0"
    )
    generation = Generation(images=(picture(),), seeds=(1,), model=card, steps=1, guidance=0.0, scheduler="s")
    prompt = ClearedPrompt(admitted=admitted, decision=allow)
    image = GeneratedImage(cleared=prompt, image_id=ImageID(IMAGE_ID), pixels=picture(), seed=1, generation=generation)
    cleared = ClearedImage(generated=image, pixels=picture(), label=label, decision=allow)
    reading = MarkReading(algorithm=ALGORITHM, image_id=ImageID(IMAGE_ID), log10_p=-30.0)
    return MarkedImage(cleared=cleared, pixels=picture(), reading=reading)


@pytest.mark.parametrize("image_format", ImageFormat)
def test_a_record_of_the_flow_is_signed_with_what_it_says(
    ours: Identity, reader: C2PACredentialReader, image_format: ImageFormat
) -> None:
    secret = "a very private prompt"
    image = marked(GenerationRequest(prompt=secret, negative_prompt=secret), LabelMode.GENERATED)
    signed = ours.signer.sign(image, encoded=encoded(image_format), media_type=image_format.media_type)
    report = reader.read(signed.data)
    assert report.state is CredentialState.TRUSTED
    assert report.manifest_label == signed.manifest_label
    assert report.signed_at == "2026-11-22T09:08:07Z"
    assert report.software_agents == ("Tiny r1", "Signet 9.8.7")
    assert [(b.algorithm, b.value) for b in report.soft_bindings[:1]] == [(ALGORITHM, IMAGE_ID)]
    assert [b.algorithm for b in report.soft_bindings[1:]] == ["io.iscc.v0"]
    assert secret.encode() not in signed.data
    np.testing.assert_array_equal(decode(signed.data).rgb, decode(encoded(image_format)).rgb)


@pytest.mark.parametrize("operation", [Operation.IMAGE_TO_IMAGE, Operation.INPAINTING])
@pytest.mark.parametrize("with_bytes", [True, False], ids=["file", "pixels only"])
def test_edits_carry_their_source(
    ours: Identity, reader: C2PACredentialReader, operation: Operation, with_bytes: bool
) -> None:
    source = ours.signed(ImageFormat.JPEG)
    request = GenerationRequest(
        prompt="p", operation=operation, source_image=picture(), source_bytes=source if with_bytes else None
    )
    signed = ours.signer.sign(marked(request), encoded=encoded(ImageFormat.PNG), media_type="image/png")
    report = reader.read(signed.data)
    assert report.state is CredentialState.TRUSTED
    assert report.ai_origin is True
    assert report.source_types[0].endswith("compositeWithTrainedAlgorithmicMedia")
    (parent,) = report.ingredients
    assert parent.relationship == "parentOf"
    assert parent.state is (CredentialState.TRUSTED if with_bytes else CredentialState.NONE)


def test_a_source_that_no_worker_can_read_in_time_is_not_parsed_in_this_process(
    ours: Identity, reader: C2PACredentialReader
) -> None:
    source = ours.signer.sign_bytes(facts(), encoded(ImageFormat.PNG), "image/png").data
    request = GenerationRequest(
        prompt="p", operation=Operation.IMAGE_TO_IMAGE, source_image=picture(), source_bytes=source
    )

    class Stopped:
        def __init__(self, code: str | None) -> None:
            self.code = code

        def read(self, _: bytes) -> CredentialReport:
            if self.code is None:
                raise BusyError("nobody could look at it")
            return CredentialReport(state=CredentialState.UNREADABLE, codes=(self.code,))

    def states(stranger: CredentialReader) -> list[CredentialState]:
        signer = C2PACredentialSigner(ours.keys.signer, claim_generator=GENERATOR, stranger=stranger)
        signed = signer.sign(marked(request), encoded=encoded(ImageFormat.PNG), media_type="image/png")
        return [part.state for part in reader.read(signed.data).ingredients]

    assert states(reader) == [CredentialState.TRUSTED]
    for code in ("signet.limit.time", "signet.unreadable.parser_failed", None):
        assert states(Stopped(code)) == [CredentialState.NONE]
    signer = C2PACredentialSigner(ours.keys.signer, claim_generator=GENERATOR, stranger=Stopped("signet.limit.time"))
    edited = signer.sign_bytes(facts(ManifestKind.EDITED), encoded(ImageFormat.PNG), "image/png", parent=source)
    assert [part.state for part in reader.read(edited.data).ingredients] == [CredentialState.NONE]


def test_manifest_is_small_and_holds_no_thumbnail(ours: Identity) -> None:
    png = encoded(ImageFormat.PNG)
    signed = ours.signer.sign_bytes(facts(), png, "image/png")
    assert len(signed.data) - len(png) < 6000
    assert signed.manifest in signed.data
    assert b"thumbnail" not in signed.manifest


def test_two_signatures_of_one_picture_have_two_labels(ours: Identity) -> None:
    first, second = (ours.signer.sign_bytes(facts(), encoded(ImageFormat.PNG), "image/png") for _ in range(2))
    assert first.manifest_label.startswith("urn:c2pa:")
    assert first.manifest_label != second.manifest_label


def test_an_import_keeps_earlier_credentials_and_claims_no_making(
    ours: Identity, foreign: Identity, reader: C2PACredentialReader
) -> None:
    theirs = foreign.signed()
    signed = ours.signer.sign_bytes(facts(ManifestKind.IMPORTED), encoded(ImageFormat.PNG), "image/png", parent=theirs)
    report = reader.read(signed.data)
    assert report.state is CredentialState.TRUSTED
    assert report.ingredients[0].state is CredentialState.VALID_UNTRUSTED
    assert report.ai_origin is True, "the parent states it, and its signature holds"
    plain = ours.signer.sign_bytes(
        facts(ManifestKind.IMPORTED), encoded(ImageFormat.PNG), "image/png", parent=encoded(ImageFormat.JPEG)
    )
    assert reader.read(plain.data).ai_origin is None


def bmp() -> bytes:
    out = io.BytesIO()
    Image.fromarray(picture()).save(out, "BMP")
    return out.getvalue()


def two_stores(ours: Identity) -> bytes:
    chunks = png_chunks(ours.signed())
    return png_from([*chunks[:-1], next(c for c in chunks if c[0] == b"caBX"), chunks[-1]])


def many_chunks(_: Identity) -> bytes:
    chunks = png_chunks(encoded(ImageFormat.PNG))
    return png_from([*chunks[:-1], *[(b"tEXt", b"k\x00v")] * 10_001, chunks[-1]])


@pytest.mark.parametrize(
    ("make", "state"),
    [
        (lambda ours: bmp(), CredentialState.NONE),
        (two_stores, CredentialState.NONE),
        (many_chunks, CredentialState.NONE),
        (lambda ours: flipped(ours.signed(), -40), CredentialState.INVALID),
        (lambda ours: flip_after(ours.signed(), b"tiny-mod"), CredentialState.INVALID),
    ],
    ids=["bmp", "two stores", "too many chunks", "changed pixels", "changed statement"],
)
def test_awkward_parents_never_stop_an_edit_and_never_pass_as_sound(
    ours: Identity, reader: C2PACredentialReader, make: object, state: CredentialState
) -> None:
    report = reader.read(ours.edited(make(ours)))  # type: ignore[operator]
    assert report.state is CredentialState.TRUSTED
    assert report.ingredients[0].state is state
    broken = state is CredentialState.INVALID
    assert ("signet.ingredient.invalid" in report.codes) is broken
    assert ("credentials that do not validate" in report.explanation) is broken


def test_a_parent_that_is_no_picture_is_refused(ours: Identity) -> None:
    with pytest.raises(MediaError):
        ours.edited(b"no picture")


@pytest.mark.parametrize("kind", ManifestKind)
def test_kind_and_parent_must_agree(ours: Identity, kind: ManifestKind) -> None:
    parent = encoded(ImageFormat.PNG) if kind is ManifestKind.GENERATED else None
    with pytest.raises(SigningError, match="parent"):
        ours.signer.sign_bytes(facts(kind), encoded(ImageFormat.PNG), "image/png", parent=parent)


@pytest.mark.parametrize("media_type", ["image/jpeg", "image/jpg", "image/webp", "text/plain"])
def test_bytes_of_another_type_are_refused(ours: Identity, media_type: str) -> None:
    with pytest.raises(SigningError, match=r"The bytes are image/png; expected"):
        ours.signer.sign_bytes(facts(), encoded(ImageFormat.PNG), media_type)


def test_damaged_bytes_are_refused(ours: Identity) -> None:
    with pytest.raises(SigningError, match="could not be written"):
        ours.signer.sign_bytes(facts(), encoded(ImageFormat.PNG)[:60], "image/png")


def test_text_chunks_survive_signing_which_is_why_encode_writes_none(ours: Identity) -> None:
    """Keeps the warning in ``sign_bytes`` true; guard.media.encode is what protects the flow."""
    note = PngImagePlugin.PngInfo()
    note.add_text("parameters", "a prompt")
    out = io.BytesIO()
    Image.fromarray(picture()).save(out, "PNG", pnginfo=note)
    assert b"a prompt" in ours.signer.sign_bytes(facts(), out.getvalue(), "image/png").data
    assert b"tEXt" not in encoded(ImageFormat.PNG)


def test_an_expired_key_is_told_at_signing(ours: Identity) -> None:
    signer = C2PACredentialSigner(ours.short_lived(timedelta(seconds=1)), claim_generator=GENERATOR)
    time.sleep(2.2)
    with pytest.raises(SigningError, match="could not be written"):
        signer.sign_bytes(facts(), encoded(ImageFormat.PNG), "image/png")


def test_threads_share_one_signer(ours: Identity, reader: C2PACredentialReader) -> None:
    keys = CallbackKeySource(
        certificate_chain_pem=ours.keys.signer.certificate_chain_pem, sign=ours.keys.signer.sign, now=datetime.now(UTC)
    )
    for signer in (ours.signer, C2PACredentialSigner(keys, claim_generator=GENERATOR)):

        def one(number: int, signer: C2PACredentialSigner = signer) -> tuple[str, bytes]:
            stated = replace(facts(), image_id=f"{number:016x}")
            return stated.image_id, signer.sign_bytes(stated, encoded(ImageFormat.JPEG), "image/jpeg").data

        with ThreadPoolExecutor(8) as threads:
            for image_id, data in threads.map(one, range(24)):
                report = reader.read(data)
                assert report.state is CredentialState.TRUSTED
                assert report.soft_bindings[0].value == image_id


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_can_sign_and_read(ours: Identity, tmp_path: Path) -> None:
    script = tmp_path / "forks.py"
    script.write_text(
        textwrap.dedent(f"""
        import os, sys
        from datetime import datetime, UTC
        from pathlib import Path
        from guard.provenance.keys_folder import KeyFolder
        from guard.provenance.read import C2PACredentialReader
        from guard.provenance.sign import C2PACredentialSigner
        from guard.credentials import CredentialState
        from guard.records import ImageFormat
        from tests.guard.provenance.support import GENERATOR, encoded, facts
        keys = KeyFolder.load(Path({str(ours.keys.path)!r}), now=datetime.now(UTC))
        signer = C2PACredentialSigner(keys.signer, claim_generator=GENERATOR)
        reader = C2PACredentialReader(keys.anchors, pool=None)
        def good():
            data = signer.sign_bytes(facts(), encoded(ImageFormat.PNG), "image/png").data
            return reader.read(data).state is CredentialState.TRUSTED
        assert good()
        child = os.fork()
        if child == 0:
            os._exit(0 if good() else 1)
        _, status = os.waitpid(child, 0)
        assert good()
        sys.exit(os.waitstatus_to_exitcode(status))
        """)
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, env=environment, timeout=60)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("operation", "said"),
    [(Operation.IMAGE_TO_IMAGE, "image-to-image"), (Operation.INPAINTING, "in-painting")],
)
def test_the_manifest_says_which_edit_it_was(ours: Identity, operation: Operation, said: str) -> None:
    request = GenerationRequest(prompt="p", operation=operation, source_image=picture())
    signed = ours.signer.sign(marked(request), encoded=encoded(ImageFormat.PNG), media_type="image/png")
    assert said.encode() in signed.manifest


def test_prompts_go_in_when_the_operator_says_so(ours: Identity, reader: C2PACredentialReader) -> None:
    generator = replace(GENERATOR, prompts=True)
    signer = C2PACredentialSigner(ours.keys.signer, claim_generator=generator)
    request = GenerationRequest(prompt="a lighthouse", negative_prompt="fog")
    signed = signer.sign(marked(request), encoded=encoded(ImageFormat.PNG), media_type="image/png")
    assert reader.read(signed.data).state is CredentialState.TRUSTED
    assert PROMPT_LABEL.encode() in signed.manifest
    assert b"a lighthouse" in signed.manifest
    assert b"fog" in signed.manifest


def test_thumbnails_go_in_when_the_operator_says_so(ours: Identity) -> None:
    made = {}
    for thumbnails in (False, True):
        signer = C2PACredentialSigner(ours.keys.signer, claim_generator=replace(GENERATOR, thumbnails=thumbnails))
        data = signer.sign_bytes(facts(), encoded(ImageFormat.PNG), "image/png").data
        text = read_crjson(data, reading_settings(ours.keys.anchors))
        assert text is not None
        made[thumbnails] = json.loads(text)["manifests"][0]
    assert [any("thumbnail" in label for label in made[on]["assertions"]) for on in (False, True)] == [False, True]
    assert violations(made[True]) == {}
