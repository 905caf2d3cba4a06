"""Signing existing files: marked, signed, recorded; no false history, no mark over a mark, nothing released unread."""

import io
import secrets
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from guard.assembly import foreign_mark_readers
from guard.credentials import CredentialState, SoftBinding
from guard.errors import (
    MediaTooLargeError,
    ReadBackError,
    RequestError,
    UndecodableMediaError,
    UnsupportedMediaError,
)
from guard.iscc import image_code, soft_binding
from guard.ledger.verify import verify_ledger
from guard.media import MAX_BYTES, decode, encode, sha256_hex
from guard.provenance.manifest import ManifestKind
from guard.records import RGB8, ImageFormat, LabelMode, MarkReading
from guard.signing.flow import UNNAMED_MODEL, FileSigner
from guard.signing.request import SigningRequest
from guard.watermark.codec import ALGORITHM
from guard.watermark.invisible_watermark import KNOWN_PAYLOADS
from tests.fakes import TrailerReader
from tests.guard.provenance.support import Identity
from tests.guard.signing.bench import Bench, file, photo
from tests.guard.watermark.test_foreign import write

WAV = (
    b"RIFF" + (36 + 2000).to_bytes(4, "little") + b"WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0"
    b"data" + (2000).to_bytes(4, "little") + bytes(2000)
)
XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" Iptc4xmpExt:DigitalSourceType='
    b'"http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"/></rdf:RDF></x:xmpmeta>'
)


@pytest.mark.parametrize("image_format", ImageFormat)
def test_a_signed_picture_is_marked_trusted_and_registered(bench: Bench, image_format: ImageFormat) -> None:
    signed = bench.sign(file("coffee", image_format), ManifestKind.GENERATED, model_name="tiny", tenant="acme")
    assert signed.media_type == image_format.media_type
    report = bench.reader.read(signed.data)
    assert (report.state, report.ai_origin) == (CredentialState.TRUSTED, True)
    mark, fingerprint = report.soft_bindings
    assert mark == SoftBinding(algorithm=ALGORITHM, value=signed.image_id)
    assert fingerprint == soft_binding(image_code(decode(signed.data).rgb))
    assert bench.marker.detect(decode(signed.data).rgb).image_id == signed.image_id
    row = bench.ledger.registration(signed.image_id)
    assert row is not None
    assert (row.sha256, row.manifest_label, row.tenant) == (sha256_hex(signed.data), signed.manifest_label, "acme")
    proof = bench.ledger.proof(signed.image_id)
    assert proof is not None
    assert (proof.body["kind"], proof.body["operation"]) == ("signing", "generated")
    assert proof.body["model"]["name"] == "tiny"


def test_an_imported_picture_is_its_own_ingredient_and_claims_nothing(bench: Bench) -> None:
    report = bench.reader.read(bench.sign(file("chelsea")).data)
    assert [(part.relationship, part.state) for part in report.ingredients] == [("parentOf", CredentialState.NONE)]
    assert (report.ai_origin, report.source_types) == (None, ())


def test_credentials_of_the_file_are_kept_as_an_ingredient(bench: Bench, foreign: Identity) -> None:
    theirs = foreign.signed()
    report = bench.reader.read(bench.sign(theirs, mark=False).data)
    (parent,) = report.ingredients
    assert (parent.relationship, parent.state) == ("parentOf", CredentialState.VALID_UNTRUSTED)
    assert report.ai_origin is True, "what the ingredient states is not lost"


def test_an_edit_names_its_source(bench: Bench, foreign: Identity) -> None:
    signed = bench.sign(file("rocket"), ManifestKind.EDITED, parent=foreign.signed(), model_name="editor")
    report = bench.reader.read(signed.data)
    assert [part.state for part in report.ingredients] == [CredentialState.VALID_UNTRUSTED]
    assert report.source_types[0].endswith("compositeWithTrainedAlgorithmicMedia")


def test_an_unnamed_model_is_called_so(bench: Bench) -> None:
    report = bench.reader.read(bench.sign(file("rocket"), ManifestKind.GENERATED).data)
    assert any(agent.startswith(UNNAMED_MODEL) for agent in report.software_agents)


def test_a_marked_picture_is_not_marked_twice(bench: Bench) -> None:
    first = bench.sign(file("coffee"), ManifestKind.GENERATED)
    second = bench.sign(first.data)
    assert second.reading is None
    assert second.carried == SoftBinding(algorithm=ALGORITHM, value=first.image_id)
    assert np.array_equal(decode(second.data).rgb, decode(first.data).rgb), "not a pixel was touched"
    assert bench.reader.read(second.data).soft_bindings[0] == second.carried


def test_a_foreign_mark_is_not_covered(bench: Bench) -> None:
    theirs = SoftBinding(algorithm="example/mark", value="77")

    class Reader:
        scheme, payload = "example mark", "77"

        def read(self, pixels: RGB8) -> "Reader":
            return self

    signer = FileSigner(bench.parts(foreign_marks=(Reader(),)), random_bytes=secrets.token_bytes)
    signed = signer.sign(SigningRequest(data=file()))
    assert (signed.reading, signed.carried) == (None, theirs)
    assert bench.marker.detect(decode(signed.data).rgb).image_id is None
    made = signer.sign(SigningRequest(data=file(), kind=ManifestKind.GENERATED))
    assert (made.reading, made.carried) == (None, theirs), "a pipeline's own mark does not make a picture old"


def with_xmp() -> bytes:
    chunks = PngImagePlugin.PngInfo()
    chunks.add_itxt("XML:com.adobe.xmp", XMP.decode())
    buffer = io.BytesIO()
    Image.fromarray(photo()).save(buffer, "PNG", pnginfo=chunks)
    return buffer.getvalue()


@pytest.mark.parametrize("history", ["mark", "credentials", "xmp"])
def test_created_is_never_said_over_a_history(bench: Bench, foreign: Identity, history: str) -> None:
    data = {
        "mark": lambda: bench.sign(file("coffee")).data,
        "credentials": foreign.signed,
        "xmp": with_xmp,
    }[history]()
    size = bench.ledger.size()
    with pytest.raises(RequestError, match="displace its history"):
        bench.sign(data, ManifestKind.GENERATED, mark=history == "mark")
    assert bench.ledger.size() == size


def test_metadata_of_the_input_is_kept(bench: Bench) -> None:
    signed = bench.sign(with_xmp())
    assert signed.reading is not None
    assert b"trainedAlgorithmicMedia" in Image.open(io.BytesIO(signed.data)).info["xmp"]


def test_a_second_parent_would_displace_the_files_own_history(bench: Bench, foreign: Identity) -> None:
    with pytest.raises(RequestError, match="of its own"):
        bench.sign(foreign.signed(), ManifestKind.EDITED, parent=file("rocket"), mark=False)


def test_a_generated_picture_has_no_parent(bench: Bench) -> None:
    with pytest.raises(RequestError, match="no parent"):
        bench.sign(file(), ManifestKind.GENERATED, parent=file("rocket"))


def test_the_label_is_composited_before_mark_and_signature(bench: Bench) -> None:
    signed = bench.sign(file("coffee"), label=LabelMode.BASIC)
    corner = decode(signed.data).rgb[8:40, -40:-8].astype(int)
    assert np.abs(corner - photo("coffee")[8:40, -40:-8]).mean() > 20
    assert bench.reader.read(signed.data).state is CredentialState.TRUSTED


def test_conversion_follows_the_wanted_type(bench: Bench) -> None:
    signed = bench.sign(file("coffee"), media_type="image/webp")
    assert (signed.media_type, decode(signed.data).media_type) == ("image/webp", "image/webp")


def test_other_media_are_signed_without_a_mark_on_request(bench: Bench) -> None:
    with pytest.raises(UndecodableMediaError, match="cannot be marked") as caught:
        bench.sign(WAV)
    assert "--no-mark" in caught.value.diagnostics()
    signed = bench.sign(WAV, mark=False)
    assert (signed.media_type, signed.credential.state) == ("audio/wav", CredentialState.TRUSTED)
    proof = bench.ledger.proof(signed.image_id)
    assert proof is not None
    assert (proof.body["image"]["width"], proof.body["registration_sha256"]) == (None, None)
    with pytest.raises(RequestError, match="cannot be converted"):
        bench.sign(WAV, mark=False, media_type="image/png")


@pytest.mark.parametrize(("data", "mark"), [(WAV, False), (file("coffee"), True)], ids=["sound", "picture"])
def test_a_sidecar_leaves_the_file_without_a_manifest(bench: Bench, data: bytes, mark: bool) -> None:
    signed = bench.sign(data, mark=mark, sidecar=True)
    assert (signed.data == data) is not mark
    assert bench.reader.read(signed.data).state is CredentialState.NONE
    stored = bench.reader.read_stored_manifest(signed.manifest, signed.data)
    assert (stored.report.state, stored.matches_asset) == (CredentialState.TRUSTED, True)
    assert stored.report.manifest_label == signed.manifest_label
    assert not bench.reader.read_stored_manifest(signed.manifest, signed.data + b"x").matches_asset


def test_what_cannot_carry_credentials_says_so(bench: Bench) -> None:
    with pytest.raises(UnsupportedMediaError, match="cannot carry content credentials"):
        bench.sign(b"plain text, no picture", mark=False)
    with pytest.raises(MediaTooLargeError):
        bench.sign(bytes(MAX_BYTES + 1))


def test_a_mark_that_does_not_read_back_withholds_the_file(bench: Bench) -> None:
    class Forgetful:
        algorithm = ALGORITHM

        def embed(self, pixels: RGB8, image_id: str) -> RGB8:
            return pixels

        def detect(self, pixels: RGB8) -> MarkReading:
            return MarkReading(algorithm=ALGORITHM, image_id=None, log10_p=0.0)

    size = bench.ledger.size()
    signer = FileSigner(bench.parts(watermarker=Forgetful()), random_bytes=secrets.token_bytes)
    with pytest.raises(ReadBackError, match="did not read back"):
        signer.sign(SigningRequest(data=file()))
    assert bench.ledger.size() == size


def test_a_manifest_that_does_not_read_back_as_ours_withholds_the_file(bench: Bench, foreign: Identity) -> None:
    size = bench.ledger.size()
    for parts in (bench.parts(signer=foreign.signer), replace(bench.parts(), reader=TrailerReader())):
        with pytest.raises(ReadBackError, match="expected trusted"):
            FileSigner(parts, random_bytes=secrets.token_bytes).sign(SigningRequest(data=file()))
    assert bench.ledger.size() == size


def test_the_ledger_of_signings_audits_clean(bench: Bench) -> None:
    bench.sign(file("rocket"))
    bench.sign(WAV, mark=False)
    report = verify_ledger(bench.path / "ledger.sqlite3", public_key=bench.identity.keys.ledger_public_key)
    assert report.problems == ()


def test_what_diffusers_marks_by_default_is_known_to_an_installation(bench: Bench) -> None:
    theirs = write(photo("rocket", 512), KNOWN_PAYLOADS[2].bits, svd=False)
    signer = FileSigner(bench.parts(foreign_marks=foreign_mark_readers()), random_bytes=secrets.token_bytes)
    signed = signer.sign(SigningRequest(data=encode(theirs, ImageFormat.PNG), kind=ManifestKind.GENERATED))
    assert signed.reading is None
    assert signed.carried == SoftBinding(algorithm="invisible-watermark/dwtDct", value="b3ec907bb19e")
    assert signed.credential.state is CredentialState.TRUSTED
