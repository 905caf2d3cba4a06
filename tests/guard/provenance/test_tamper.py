"""The tamper table: what is done to a signed file, and that it never reads as trusted (docs/provenance.md)."""

import io
import struct
import time
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from guard.credentials import CredentialState
from guard.media import encode
from guard.provenance.describe import HARD_BINDING_MISMATCH
from guard.provenance.read import C2PACredentialReader
from guard.provenance.sign import C2PACredentialSigner
from guard.records import ImageFormat
from tests.guard.provenance.support import (
    GENERATOR,
    Identity,
    encoded,
    essentials,
    facts,
    flip_after,
    flipped,
    picture,
    png_chunks,
    png_from,
    store_span,
)

FORMATS = list(ImageFormat)
DATA_HASH = "assertion.dataHash.mismatch"


@pytest.mark.parametrize("image_format", FORMATS)
def test_untouched_is_trusted_and_says_what_was_signed(
    ours: Identity, reader: C2PACredentialReader, image_format: ImageFormat
) -> None:
    report = reader.read(ours.signed(image_format))
    assert report.state is CredentialState.TRUSTED
    assert report.ai_origin is True
    assert report.soft_bindings[0].value == "0123456789abcdef"
    assert report.signer is not None
    assert report.signer.startswith("Signet development claim signer")
    assert report.issuer == "DEVELOPMENT - not for production"
    assert report.generator == "Signet 9.8.7"
    assert report.software_agents[0] == "tiny-model abc123"
    assert report.signed_at == "2026-11-22T12:00:00Z"
    assert "signingCredential.trusted" in report.codes
    assert "on the trust list" in report.explanation


@pytest.mark.parametrize("image_format", FORMATS)
def test_foreign_root_is_intact_but_untrusted(
    foreign: Identity, reader: C2PACredentialReader, image_format: ImageFormat
) -> None:
    report = reader.read(foreign.signed(image_format))
    assert report.state is CredentialState.VALID_UNTRUSTED
    assert report.codes == ("signingCredential.untrusted",)
    assert "not on the trust list" in report.explanation


@pytest.mark.parametrize("image_format", FORMATS)
def test_changed_pixel_byte(ours: Identity, reader: C2PACredentialReader, image_format: ImageFormat) -> None:
    signed = ours.signed(image_format)
    start, end = store_span(signed)
    at = (end + len(signed)) // 2 if len(signed) - end > start else start // 2
    report = reader.read(flipped(signed, at))
    assert report.state is CredentialState.INVALID
    assert report.codes == (DATA_HASH,)
    assert report.ai_origin is None
    assert "do not match this file" in report.explanation


@pytest.mark.parametrize("image_format", FORMATS)
def test_appended_bytes(ours: Identity, reader: C2PACredentialReader, image_format: ImageFormat) -> None:
    assert reader.read(ours.signed(image_format) + b"more").state in (
        CredentialState.INVALID,
        CredentialState.UNREADABLE,
    )


@pytest.mark.parametrize("image_format", FORMATS)
@pytest.mark.parametrize(
    ("marker", "code"),
    [
        (b"tiny-mod", "assertion.hashedURI.mismatch"),
        (b"trainedAlgorithmicMedi", "assertion.hashedURI.mismatch"),
        (b"Signet", "claimSignature.mismatch"),
    ],
    ids=["model name", "source type", "claim"],
)
def test_changed_statement(
    ours: Identity, reader: C2PACredentialReader, image_format: ImageFormat, marker: bytes, code: str
) -> None:
    signed = ours.signed(image_format)
    if marker == b"Signet":  # the first one is in the disclosure; the claim comes after the assertions
        at = signed.index(b"specVersion") + len("specVersion") + 2
        report = reader.read(flipped(signed, at))
    else:
        report = reader.read(flip_after(signed, marker))
    assert report.state is CredentialState.INVALID
    assert code in report.codes
    assert report.ai_origin is None
    assert "changed after signing" in report.explanation


@pytest.mark.parametrize("image_format", FORMATS)
def test_changed_signature(ours: Identity, reader: C2PACredentialReader, image_format: ImageFormat) -> None:
    signed = ours.signed(image_format)
    _, end = store_span(signed)
    report = reader.read(flipped(signed, end - 20))  # the COSE signature ends the store
    assert report.state is CredentialState.INVALID
    assert "claimSignature.mismatch" in report.codes


@pytest.mark.parametrize("image_format", FORMATS)
def test_stripped_by_saving_again_says_nothing(
    ours: Identity, reader: C2PACredentialReader, image_format: ImageFormat
) -> None:
    with Image.open(io.BytesIO(ours.signed(image_format))) as image:
        out = io.BytesIO()
        image.save(out, image_format.value)
    report = reader.read(out.getvalue())
    assert report.state is CredentialState.NONE
    assert report.ai_origin is None
    assert "says nothing about how the picture was made" in report.explanation


@pytest.mark.parametrize("image_format", FORMATS)
@pytest.mark.parametrize("share", [0.2, 0.5, 0.9, 0.999])
def test_truncated(ours: Identity, reader: C2PACredentialReader, image_format: ImageFormat, share: float) -> None:
    signed = ours.signed(image_format)
    assert reader.read(signed[: int(len(signed) * share)]).state in (
        CredentialState.NONE,
        CredentialState.INVALID,
        CredentialState.UNREADABLE,
    )


def test_manifest_moved_to_another_picture(ours: Identity, reader: C2PACredentialReader) -> None:
    signed = png_chunks(ours.signed())
    store = next(chunk for chunk in signed if chunk[0] == b"caBX")
    other = png_chunks(encode(picture()[::-1].copy(), ImageFormat.PNG))
    report = reader.read(png_from([other[0], store, *other[1:]]))
    assert report.state is CredentialState.INVALID
    assert report.codes == (DATA_HASH,)
    assert report.ai_origin is None, "another picture's origin must not stick to this one"


def test_one_pixel_changed_and_manifest_put_back(ours: Identity, reader: C2PACredentialReader) -> None:
    pixels = picture().copy()
    pixels[60, 60, 1] ^= 1
    signed, again = png_chunks(ours.signed()), png_chunks(encode(pixels, ImageFormat.PNG))
    store = next(chunk for chunk in signed if chunk[0] == b"caBX")
    assert reader.read(png_from([again[0], store, *again[1:]])).codes == (DATA_HASH,)


def test_text_chunk_inserted(ours: Identity, reader: C2PACredentialReader) -> None:
    chunks = png_chunks(ours.signed())
    chunks.insert(-1, (b"tEXt", b"Comment\x00not signed"))
    report = reader.read(png_from(chunks))
    assert report.state is CredentialState.INVALID
    assert report.codes == (DATA_HASH,)


def test_two_stores_are_unreadable(ours: Identity, reader: C2PACredentialReader) -> None:
    chunks = png_chunks(ours.signed())
    store = next(chunk for chunk in chunks if chunk[0] == b"caBX")
    report = reader.read(png_from([*chunks[:-1], store, chunks[-1]]))
    assert report.state is CredentialState.UNREADABLE
    assert report.codes == ("signet.unreadable.manifest",)


def test_removed_store_says_nothing(ours: Identity, reader: C2PACredentialReader) -> None:
    chunks = [chunk for chunk in png_chunks(ours.signed()) if chunk[0] != b"caBX"]
    assert reader.read(png_from(chunks)).state is CredentialState.NONE


def test_signed_again_as_created_by_a_stranger(ours: Identity, foreign: Identity, reader: C2PACredentialReader) -> None:
    """The earlier manifest is gone without a trace (c2pa-rs replaces it); what is left is the stranger's word."""
    signed = ours.signed()
    again = foreign.signer.sign_bytes(facts(model_name="another"), signed, "image/png")
    report = reader.read(again.data)
    assert report.state is CredentialState.VALID_UNTRUSTED
    assert report.manifest_label == again.manifest_label
    assert report.ingredients == ()
    assert report.signer != reader.read(signed).signer


def test_expired_leaf_without_time_stamp(ours: Identity, reader: C2PACredentialReader) -> None:
    brief = ours.short_lived(timedelta(seconds=3))
    signer = C2PACredentialSigner(brief, claim_generator=GENERATOR)
    signed = signer.sign_bytes(facts(), encoded(ImageFormat.PNG), "image/png").data
    assert reader.read(signed).state is CredentialState.TRUSTED
    time.sleep(4.2)  # validity ends with the last full second
    report = reader.read(signed)
    assert report.state is CredentialState.INVALID
    assert "signingCredential.expired" in report.codes
    assert "had expired" in report.explanation


@pytest.mark.parametrize(
    ("data", "state"),
    [
        (b"", CredentialState.UNREADABLE),
        (b"just text, no picture", CredentialState.UNREADABLE),
        (bytes(range(256)) * 20, CredentialState.UNREADABLE),
        (encoded(ImageFormat.PNG), CredentialState.NONE),
        (encoded(ImageFormat.JPEG), CredentialState.NONE),
        (encoded(ImageFormat.WEBP), CredentialState.NONE),
    ],
    ids=["empty", "text", "binary", "png", "jpeg", "webp"],
)
def test_files_without_credentials(reader: C2PACredentialReader, data: bytes, state: CredentialState) -> None:
    report = reader.read(data)
    assert report.state is state
    assert report.ai_origin is None
    assert report.explanation


def test_bmp_has_no_place_for_credentials(reader: C2PACredentialReader) -> None:
    out = io.BytesIO()
    Image.fromarray(picture()).save(out, "BMP")
    assert reader.read(out.getvalue()).state is CredentialState.NONE


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7), image_format=st.sampled_from(FORMATS))
def test_no_flip_outside_the_store_stays_valid(
    ours: Identity, reader: C2PACredentialReader, place: float, bit: int, image_format: ImageFormat
) -> None:
    signed = _SIGNED.setdefault(image_format, ours.signed(image_format))
    start, end = store_span(signed)
    outside = start + len(signed) - end
    at = int(place * outside)
    report = reader.read(flipped(signed, at if at < start else at - start + end, bit))
    assert report.state not in (CredentialState.TRUSTED, CredentialState.VALID_UNTRUSTED)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7), image_format=st.sampled_from(FORMATS))
def test_a_flip_inside_the_store_changes_the_state_or_nothing_that_is_said(
    ours: Identity, reader: C2PACredentialReader, place: float, bit: int, image_format: ImageFormat
) -> None:
    signed = _SIGNED.setdefault(image_format, ours.signed(image_format))
    start, end = store_span(signed)
    report = reader.read(flipped(signed, start + int(place * (end - start)), bit))
    if report.state is CredentialState.TRUSTED:  # COSE padding, box lengths and labels are not signed (measured)
        assert essentials(report) == essentials(reader.read(signed))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    junk=st.binary(min_size=0, max_size=400), header=st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0"])
)
def test_junk_never_raises_and_never_holds(reader: C2PACredentialReader, junk: bytes, header: bytes) -> None:
    assert reader.read(header + junk).state in (CredentialState.NONE, CredentialState.UNREADABLE)


def test_the_store_is_where_these_tests_look_for_it(ours: Identity) -> None:
    for image_format in FORMATS:
        signed = ours.signed(image_format)
        start, end = store_span(signed)
        assert 3000 < end - start < 8000
        assert struct.unpack(">I", signed[start : start + 4]) == (end - start,)
    assert DATA_HASH in HARD_BINDING_MISMATCH


_SIGNED: dict[ImageFormat, bytes] = {}
