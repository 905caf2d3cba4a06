"""Reading: closed network paths, chains of ingredients, trust lists, bounds, stored manifests, workers that die."""

import io
import shutil
import struct
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.error import HTTPError

import pytest

from guard.errors import ConfigError, DeadlineError, SigningError, WorkerError
from guard.isolation import WorkerPool
from guard.media import MAX_BYTES, encode
from guard.provenance import bounds
from guard.provenance.certificates import signing_chain
from guard.provenance.key_source import CallbackKeySource, PEMKeySource
from guard.provenance.manifest import ManifestKind, manifest_definition, parent_definition
from guard.provenance.native import NO_NETWORK, reading_context, reading_settings
from guard.provenance.read import C2PACredentialReader
from guard.provenance.self_test import remote_probe, run_self_test
from guard.provenance.sign import C2PACredentialSigner
from guard.provenance.source_types import IPTC
from guard.provenance.trust import TrustAnchors
from guard.records import CredentialReport, CredentialState, ImageFormat
from tests.guard.provenance.listeners import Listener, TimeStampAuthority
from tests.guard.provenance.support import (
    GENERATOR,
    Identity,
    encoded,
    facts,
    flip_after,
    flipped,
    picture,
    png_chunks,
    png_from,
)

NOW = datetime.now(UTC)
needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl program")


# --- the network stays closed ----------------------------------------------------------------------------------------


def test_a_remote_manifest_is_not_fetched(ours: Identity, reader: C2PACredentialReader) -> None:
    with Listener() as listener:
        probe = remote_probe(ours.keys, listener.url, now=NOW)
        assert listener.url.encode() in probe
        report = reader.read(probe)
        ours.edited(probe)
        assert listener.hits == []
    assert report.state is CredentialState.UNREADABLE
    assert report.codes == ("manifest.inaccessible",)
    assert "not fetched" in report.explanation


def test_the_listener_would_have_heard_it(ours: Identity) -> None:
    """The control of the test above: with c2pa-rs's own defaults the same file makes a request."""
    from c2pa import C2paError, Context, Reader

    with Listener() as listener:
        probe = remote_probe(ours.keys, listener.url, now=NOW)
        with pytest.raises(C2paError):
            Reader("image/png", io.BytesIO(probe), context=Context.from_dict({}))
        assert listener.hits == ["GET /x"]


@pytest.mark.parametrize(("section", "key"), [("verify", "remote_manifest_fetch"), ("core", "allowed_network_hosts")])
def test_each_of_two_switches_alone_closes_the_path(ours: Identity, section: str, key: str) -> None:
    """Either would do today; both are set, so that losing one in an upgrade opens nothing."""
    from c2pa import C2paError, Context, Reader

    with Listener() as listener:
        probe = remote_probe(ours.keys, listener.url, now=NOW)
        with pytest.raises(C2paError):
            Reader(
                "image/png", io.BytesIO(probe), context=Context.from_dict({section: {key: NO_NETWORK[section][key]}})
            )
        assert listener.hits == []


def test_every_network_switch_is_off() -> None:
    off = {"remote_manifest_fetch": False, "ocsp_fetch": False}
    assert NO_NETWORK["verify"] == off
    assert NO_NETWORK["core"]["allowed_network_hosts"] == []
    assert NO_NETWORK["core"]["decode_identity_assertions"] is False
    assert NO_NETWORK["core"]["allow_redirects"] is False


@pytest.mark.parametrize(
    ("section", "key"), [(section, key) for section, values in NO_NETWORK.items() for key in values]
)
def test_every_setting_is_known_to_this_version(section: str, key: str) -> None:
    """Unknown keys are ignored in silence, but a wrong type is only refused for a key that is known."""
    from c2pa import C2paError, Context

    Context.from_dict({section: {"no_such_key_anywhere": {"wrong": "type"}}}).close()
    with pytest.raises(C2paError):
        Context.from_dict({section: {key: {"wrong": "type"}}})


def test_self_test_passes_here(ours: Identity, reader: C2PACredentialReader) -> None:
    result = run_self_test(ours.signer, reader, now=NOW)
    assert (result.own, result.foreign, result.connections) == (
        CredentialState.TRUSTED,
        CredentialState.VALID_UNTRUSTED,
        0,
    )


def test_self_test_refuses_a_reader_that_trusts_nobody_or_somebody_else(
    ours: Identity, foreign: Identity, pool: WorkerPool
) -> None:
    with pytest.raises(ConfigError, match="reads as valid_untrusted; expected trusted"):
        run_self_test(ours.signer, C2PACredentialReader(TrustAnchors(), pool=pool), now=NOW)
    with pytest.raises(ConfigError, match="configured key"):
        run_self_test(ours.signer, foreign.reader(pool), now=NOW)


class FetchingReader:
    """A reader as a future c2pa-rs with renamed settings would be: it fetches."""

    def __init__(self, inner: C2PACredentialReader) -> None:
        self._inner = inner

    def read(self, data: bytes) -> CredentialReport:
        at = data.find(b"http://127.0.0.1:")
        if at >= 0:
            url = data[at : data.index(b".c2pa", at) + 5].decode()
            with pytest.raises(HTTPError) as caught:
                urllib.request.urlopen(url)  # noqa: S310 - our own loopback listener
            caught.value.close()
        return self._inner.read(data)


class TrustingReader:
    """A reader that trusts everybody."""

    def __init__(self, inner: C2PACredentialReader) -> None:
        self._inner = inner

    def read(self, data: bytes) -> CredentialReport:
        return replace(self._inner.read(data), state=CredentialState.TRUSTED)


def test_self_test_notices_an_open_network_and_open_trust(ours: Identity, reader: C2PACredentialReader) -> None:
    with pytest.raises(ConfigError, match="opened 1 connections"):
        run_self_test(ours.signer, FetchingReader(reader), now=NOW)
    with pytest.raises(ConfigError, match="unknown root reads as trusted"):
        run_self_test(ours.signer, TrustingReader(reader), now=NOW)


# --- chains ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "state", "code"),
    [
        (lambda data: data, CredentialState.TRUSTED, None),
        (lambda data: flipped(data, -40), CredentialState.INVALID, "assertion.dataHash.mismatch"),
        (lambda data: flip_after(data, b"tiny-mod"), CredentialState.INVALID, "assertion.hashedURI.mismatch"),
        (lambda data: encoded(ImageFormat.PNG), CredentialState.NONE, None),
    ],
    ids=["sound", "changed pixels", "changed statement", "no credentials"],
)
def test_each_ingredient_has_its_own_state(
    ours: Identity,
    reader: C2PACredentialReader,
    change: Callable[[bytes], bytes],
    state: CredentialState,
    code: str | None,
) -> None:
    report = reader.read(ours.edited(change(ours.signed())))
    assert report.state is CredentialState.TRUSTED, "c2pa-rs: the outer manifest holds whatever its parent is"
    (parent,) = report.ingredients
    assert parent.state is state
    assert parent.codes == ((code,) if code else ())
    assert ("signet.ingredient.invalid" in report.codes) is (state is CredentialState.INVALID)


def imported(identity: Identity, parent: bytes) -> CredentialReport:
    signed = identity.signer.sign_bytes(
        facts(ManifestKind.IMPORTED), encoded(ImageFormat.PNG), "image/png", parent=parent
    )
    return identity.reader(None).read(signed.data)


@pytest.mark.parametrize(
    ("source_type", "change", "origin"),
    [
        ("trainedAlgorithmicMedia", None, True),
        ("compositeSynthetic", None, True),
        ("digitalCapture", None, False),
        ("algorithmicMedia", None, False),
        ("trainedAlgorithmicMedia", "pixels", True),
        ("digitalCapture", "pixels", None),
        ("trainedAlgorithmicMedia", "statement", None),
    ],
)
def test_ai_origin_is_found_in_the_parent(
    ours: Identity, source_type: str, change: str | None, origin: bool | None
) -> None:
    parent = ours.signed(source_type=IPTC + source_type)
    if change == "pixels":
        parent = flipped(parent, -40)
    elif change == "statement":
        parent = flip_after(parent, b"tiny-mod")
    report = imported(ours, parent)
    assert report.state is CredentialState.TRUSTED
    assert report.ai_origin is origin
    assert report.source_types == (IPTC + source_type,)


def test_ai_origin_is_found_two_generations_up(ours: Identity, foreign: Identity) -> None:
    grandparent = foreign.signed()
    parent = foreign.signer.sign_bytes(
        facts(ManifestKind.IMPORTED), encoded(ImageFormat.JPEG), "image/jpeg", parent=grandparent
    ).data
    report = imported(ours, parent)
    assert report.ai_origin is True
    assert report.ingredients[0].state is CredentialState.VALID_UNTRUSTED


def test_what_an_outer_signer_recorded_does_not_make_a_parent_trusted(ours: Identity, foreign: Identity) -> None:
    """A stranger's tool that trusts its own root records "trusted"; our re-validation says otherwise."""
    from c2pa import Builder, Context

    believing = Context.from_dict(
        {
            "trust": {"trust_anchors": foreign.keys.anchors.manifest_pem},
            "builder": {"thumbnail": {"enabled": False}},
        }
    )
    stated, out = facts(ManifestKind.EDITED), io.BytesIO()
    label = "urn:c2pa:0f5ecbf3-5b3a-4a57-9f0f-6f4f8a9b9d01"
    with Builder(manifest_definition(stated, label=label), context=believing) as builder:
        builder.add_ingredient(parent_definition(stated), "image/png", io.BytesIO(foreign.signed()))
        builder.sign(ours.signer._native_signer(), "image/png", io.BytesIO(encoded(ImageFormat.PNG)), out)
    report = ours.reader(None).read(out.getvalue())
    assert report.ingredients[0].state is CredentialState.VALID_UNTRUSTED
    assert report.state is CredentialState.VALID_UNTRUSTED, "never more than c2pa-rs itself says"
    assert foreign.reader(None).read(out.getvalue()).ingredients[0].state is CredentialState.TRUSTED


# --- trust lists and time stamps -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TimeStampAuthority]:
    with TimeStampAuthority(tmp_path_factory.mktemp("tsa")) as made:
        yield made


def test_a_root_for_time_stamps_does_not_make_a_claim_trusted(
    ours: Identity, authority: TimeStampAuthority, pool: WorkerPool
) -> None:
    chain = signing_chain(authority.claim_pem, now=NOW)
    signer = C2PACredentialSigner(PEMKeySource(key=authority.claim_key, chain=chain), claim_generator=GENERATOR)
    png = encoded(ImageFormat.PNG)
    signed = signer.sign_bytes(facts(), png, "image/png").data
    anchors = TrustAnchors(manifest_pem=ours.keys.anchors.manifest_pem, tsa_pem=authority.root_pem)

    from c2pa import Reader

    with Reader("image/png", io.BytesIO(signed), context=reading_context(reading_settings(anchors))) as native:
        assert native.get_validation_state() == "Trusted", "the trap: c2pa-rs does not look at trust_kind"
    report = C2PACredentialReader(anchors, pool=pool).read(signed)
    assert report.state is CredentialState.VALID_UNTRUSTED
    assert report.codes == ("signingCredential.untrusted",)

    edited = signer.sign_bytes(facts(ManifestKind.EDITED), png, "image/png", parent=ours.signed()).data
    report = C2PACredentialReader(anchors, pool=pool).read(edited)
    assert report.state is CredentialState.VALID_UNTRUSTED, "also when an ingredient was vouched for by the right list"


@pytest.mark.slow
@needs_openssl
def test_a_trusted_time_stamp_outlives_the_certificate(
    ours: Identity, authority: TimeStampAuthority, pool: WorkerPool
) -> None:
    anchors = TrustAnchors(manifest_pem=ours.keys.anchors.manifest_pem, tsa_pem=authority.root_pem)
    brief = ours.short_lived(timedelta(seconds=5))
    signer = C2PACredentialSigner(brief, claim_generator=GENERATOR, tsa_url=authority.url)
    signed = signer.sign_bytes(facts(), encoded(ImageFormat.PNG), "image/png").data
    assert authority.hits
    time.sleep(6.2)
    report = C2PACredentialReader(anchors, pool=pool).read(signed)
    assert report.state is CredentialState.TRUSTED
    assert "timeStamp.trusted" in report.codes
    assert ours.reader(pool).read(signed).state is CredentialState.INVALID, "without the TSA's root it has expired"


@needs_openssl
def test_a_trusted_time_stamp_gives_the_time(ours: Identity, authority: TimeStampAuthority, pool: WorkerPool) -> None:
    anchors = TrustAnchors(manifest_pem=ours.keys.anchors.manifest_pem, tsa_pem=authority.root_pem)
    for keys in (ours.keys.signer, by_callback(ours.keys.signer)):
        signer = C2PACredentialSigner(keys, claim_generator=GENERATOR, tsa_url=authority.url)
        signed = signer.sign_bytes(facts(), encoded(ImageFormat.PNG), "image/png").data
        report = C2PACredentialReader(anchors, pool=pool).read(signed)
        assert report.state is CredentialState.TRUSTED
        assert "timeStamp.trusted" in report.codes
        assert report.signed_at is not None
        assert abs((datetime.fromisoformat(report.signed_at) - datetime.now(UTC)).total_seconds()) < 60
        report = ours.reader(pool).read(signed)
        assert report.state is CredentialState.TRUSTED, "an unknown authority does not spoil a signature that holds"
        assert report.signed_at == "2026-11-22T12:00:00Z", "but its time is not taken over the claimed one"


def by_callback(source: PEMKeySource) -> CallbackKeySource:
    return CallbackKeySource(certificate_chain_pem=source.certificate_chain_pem, sign=source.sign, now=NOW)


@pytest.mark.parametrize(("status", "body"), [(500, b""), (200, b"garbage")])
def test_a_failing_time_stamp_authority_fails_the_signature(ours: Identity, status: int, body: bytes) -> None:
    with Listener(status, body) as listener:
        signer = C2PACredentialSigner(ours.keys.signer, claim_generator=GENERATOR, tsa_url=listener.url)
        with pytest.raises(SigningError, match="could not be written") as caught:
            signer.sign_bytes(facts(), encoded(ImageFormat.PNG), "image/png")
        assert listener.hits
    assert "time-stamp" in caught.value.diagnostics()


def test_without_anchors_nobody_is_trusted(ours: Identity, pool: WorkerPool) -> None:
    assert C2PACredentialReader(TrustAnchors(), pool=pool).read(ours.signed()).state is CredentialState.VALID_UNTRUSTED


# --- bounds ----------------------------------------------------------------------------------------------------------


def png_with_chunks(count: int) -> bytes:
    """A PNG of exactly ``count`` chunks."""
    chunks = png_chunks(encoded(ImageFormat.PNG))
    return png_from([*chunks[:-1], *[(b"tEXt", b"k\x00v")] * (count - len(chunks)), chunks[-1]])


def webp_with_chunks(count: int) -> bytes:
    body = encoded(ImageFormat.WEBP)[12:]
    filler = b"JUNK" + struct.pack("<I", 2) + b"xx"
    whole = b"WEBP" + body + filler * (count - 1)
    return b"RIFF" + struct.pack("<I", len(whole)) + whole


def jpeg_with_segments(count: int) -> bytes:
    jpeg = encoded(ImageFormat.JPEG)
    return jpeg[:2] + (b"\xff\xfe" + struct.pack(">H", 3) + b"c") * count + jpeg[2:]


MANY_BOXES = b"jumb" * (bounds.MAX_JUMBF_BOXES + 1)


def with_store(image_format: ImageFormat) -> bytes:
    """A file whose manifest chunk holds one box too many."""
    plain = encoded(image_format)
    if image_format is ImageFormat.PNG:
        chunks = png_chunks(plain)
        return png_from([chunks[0], (b"caBX", MANY_BOXES), *chunks[1:]])
    if image_format is ImageFormat.WEBP:
        return plain + b"C2PA" + struct.pack("<I", len(MANY_BOXES)) + MANY_BOXES
    return plain[:2] + b"\xff\xeb" + struct.pack(">H", len(MANY_BOXES) + 2) + MANY_BOXES + plain[2:]


@pytest.mark.parametrize("image_format", ImageFormat)
def test_boxes_are_counted_where_the_manifest_is(ours: Identity, image_format: ImageFormat) -> None:
    signed = ours.signer.sign_bytes(facts(), encoded(image_format), image_format.media_type)
    _, boxes = bounds.count_structure(signed.data)
    assert boxes == signed.manifest.count(b"jumb") == bounds.count_structure(signed.manifest)[1]
    assert boxes > 8


@pytest.mark.parametrize("make", [png_with_chunks, webp_with_chunks])
def test_chunks_are_counted_exactly(make: Callable[[int], bytes]) -> None:
    assert bounds.count_structure(make(777)) == (777, 0)
    assert bounds.find_excess(make(bounds.MAX_CHUNKS)) is None
    excess = bounds.find_excess(make(bounds.MAX_CHUNKS + 1))
    assert excess is not None
    assert excess.code == "signet.limit.chunks"


def test_jpeg_segments_are_counted_up_to_the_scan() -> None:
    plain = bounds.count_structure(encoded(ImageFormat.JPEG))[0]
    assert 3 <= plain <= 12
    assert bounds.count_structure(jpeg_with_segments(100)) == (plain + 100, 0)
    assert bounds.find_excess(jpeg_with_segments(bounds.MAX_CHUNKS + 1)) is not None


def test_files_at_the_bound_are_read_in_time(reader: C2PACredentialReader) -> None:
    began = time.monotonic()
    assert reader.read(png_with_chunks(bounds.MAX_CHUNKS)).state is CredentialState.NONE
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (png_with_chunks(bounds.MAX_CHUNKS + 1), "signet.limit.chunks"),
        (with_store(ImageFormat.PNG), "signet.limit.assertions"),
        (with_store(ImageFormat.WEBP), "signet.limit.assertions"),
        (with_store(ImageFormat.JPEG), "signet.limit.assertions"),
        (MANY_BOXES, "signet.limit.assertions"),
        (bytes(MAX_BYTES + 1), "signet.limit.bytes"),
    ],
    ids=["chunks", "png store", "webp store", "jpeg store", "bare store", "bytes"],
)
def test_files_over_a_bound_never_reach_the_parser(ours: Identity, data: bytes, code: str) -> None:
    pool = BrokenPool(AssertionError("must not be asked"))
    report = C2PACredentialReader(ours.keys.anchors, pool=pool).read(data)
    assert report.state is CredentialState.UNREADABLE
    assert report.codes == (code,)
    assert "not examined" in report.explanation


def test_many_assertions_are_stopped_before_they_cost_seconds(ours: Identity, reader: C2PACredentialReader) -> None:
    """The real thing: a signed file whose assertions make validation quadratic."""
    from c2pa import Builder, Context

    definition: dict[str, Any] = {
        "claim_generator_info": [{"name": "x", "version": "1"}],
        "assertions": [
            {
                "label": "c2pa.actions.v2",
                "data": {
                    "actions": [
                        {"action": "c2pa.created", "digitalSourceType": "http://c2pa.org/digitalsourcetype/empty"}
                    ]
                },
            },
            *({"label": f"org.example.a{i}", "data": {"v": i}} for i in range(bounds.MAX_JUMBF_BOXES)),
        ],
    }
    out = io.BytesIO()
    context = Context.from_dict({"builder": {"thumbnail": {"enabled": False}}, "verify": {"verify_after_sign": False}})
    with Builder(definition, context=context) as builder:
        builder.sign(ours.signer._native_signer(), "image/png", io.BytesIO(encoded(ImageFormat.PNG)), out)
    began = time.monotonic()
    assert reader.read(out.getvalue()).codes == ("signet.limit.assertions",)
    assert time.monotonic() - began < 0.1
    assert reader.read(ours.edited(out.getvalue())).ingredients[0].state is CredentialState.NONE, "nor as a parent"


# --- workers that fail -----------------------------------------------------------------------------------------------


class BrokenPool(WorkerPool):
    """A pool whose calls fail in a scripted way."""

    def __init__(self, error: Exception) -> None:
        super().__init__(size=1)
        self._error = error

    def run(self, function: object, /, *args: object, deadline_s: float, **kwargs: object) -> Any:  # type: ignore[override]
        raise self._error


def test_a_parser_that_dies_of_a_file_is_a_report(ours: Identity) -> None:
    reader = C2PACredentialReader(ours.keys.anchors, pool=BrokenPool(WorkerError("died")))
    report = reader.read(ours.signed())
    assert (report.state, report.codes) == (CredentialState.UNREADABLE, ("signet.unreadable.parser_failed",))


def test_a_slow_file_meets_its_deadline_and_the_next_one_is_read(ours: Identity) -> None:
    with WorkerPool(size=1, preload=("c2pa", "guard.provenance.read")) as pool:
        pool.warm()
        slow = png_with_chunks(bounds.MAX_CHUNKS)
        with pytest.raises(DeadlineError, match=r"0\.02 s"):
            C2PACredentialReader(ours.keys.anchors, pool=pool, deadline_s=0.02).read(slow)
        assert ours.reader(pool).read(ours.signed()).state is CredentialState.TRUSTED


def test_with_and_without_a_worker_the_report_is_the_same(ours: Identity, foreign: Identity, pool: WorkerPool) -> None:
    for data in (ours.signed(), foreign.signed(), ours.edited(foreign.signed()), encoded(ImageFormat.WEBP), b"junk"):
        assert ours.reader(pool).read(data) == ours.reader(None).read(data)


# --- stored manifests ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("image_format", ImageFormat)
def test_a_stored_manifest_speaks_for_a_stripped_and_altered_copy(
    ours: Identity, reader: C2PACredentialReader, image_format: ImageFormat
) -> None:
    signed = ours.signer.sign_bytes(facts(), encoded(image_format), image_format.media_type)
    copy = encode(picture()[::2, ::2].copy(), ImageFormat.JPEG, quality=70)
    assert reader.read(copy).state is CredentialState.NONE
    stored = reader.read_stored_manifest(signed.manifest, copy)
    assert stored.matches_asset is False
    assert stored.report.state is CredentialState.TRUSTED
    assert stored.report.codes == ("assertion.dataHash.mismatch",)
    assert stored.report.ai_origin is True
    assert stored.report.manifest_label == signed.manifest_label
    assert "other bytes than this copy" in stored.report.explanation


def test_a_stored_manifest_matches_the_signed_file(ours: Identity, reader: C2PACredentialReader) -> None:
    signed = ours.signer.sign_bytes(facts(), encoded(ImageFormat.PNG), "image/png")
    stored = reader.read_stored_manifest(signed.manifest, signed.data)
    assert stored.matches_asset is True
    assert stored.report.state is CredentialState.TRUSTED


def test_a_stored_manifest_of_a_stranger_or_with_changes_is_not_trusted(
    ours: Identity, foreign: Identity, reader: C2PACredentialReader
) -> None:
    copy = encode(picture()[::-1].copy(), ImageFormat.PNG)
    theirs = foreign.signer.sign_bytes(facts(), encoded(ImageFormat.PNG), "image/png").manifest
    assert reader.read_stored_manifest(theirs, copy).report.state is CredentialState.VALID_UNTRUSTED
    mine = ours.signer.sign_bytes(facts(), encoded(ImageFormat.PNG), "image/png").manifest
    for changed in (flip_after(mine, b"tiny-mod"), flipped(mine, -20)):
        stored = reader.read_stored_manifest(changed, copy)
        assert stored.report.state is CredentialState.INVALID
        assert stored.matches_asset is False
        assert stored.report.ai_origin is None
    for broken in (mine[:200], b"no manifest", b""):
        stored = reader.read_stored_manifest(broken, copy)
        assert stored.report.state in (CredentialState.UNREADABLE, CredentialState.NONE)
        assert stored.matches_asset is False
