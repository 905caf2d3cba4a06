"""Trust lists and time stamps: who vouches for whom, and for how long."""

import io
import shutil
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from guard.credentials import CredentialState
from guard.isolation import WorkerPool
from guard.provenance.certificates import signing_chain
from guard.provenance.key_source import CallbackKeySource, PEMKeySource
from guard.provenance.manifest import ManifestKind
from guard.provenance.native import reading_context, reading_settings
from guard.provenance.read import C2PACredentialReader
from guard.provenance.sign import C2PACredentialSigner
from guard.provenance.time_stamp import TimeStampSource
from guard.provenance.trust import NamedAnchors, TrustAnchors, TrustKind
from guard.records import ImageFormat
from tests.guard.provenance.listeners import TimeStampAuthority
from tests.guard.provenance.support import (
    GENERATOR,
    Identity,
    encoded,
    facts,
)

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl program")


# --- trust lists and time stamps -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TimeStampAuthority]:
    with TimeStampAuthority(tmp_path_factory.mktemp("tsa")) as made:
        yield made


def test_a_root_for_time_stamps_does_not_make_a_claim_trusted(
    ours: Identity, authority: TimeStampAuthority, pool: WorkerPool
) -> None:
    chain = signing_chain(authority.claim_pem, now=datetime.now(UTC))
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


def signed_under_the_tsa_root(
    authority: TimeStampAuthority, *, believing: TrustAnchors | None = None, parent: bytes | None = None
) -> bytes:
    """A picture signed under the TSA's root; ``believing`` is what its signer trusts and so records of the parent."""
    from c2pa import Builder, C2paSignerInfo, Context, Signer

    from guard.provenance.issuing import private_pem
    from guard.provenance.manifest import manifest_definition, parent_definition

    kind = ManifestKind.EDITED if parent is not None else ManifestKind.GENERATED
    definition = manifest_definition(facts(kind), label=f"urn:c2pa:{uuid.uuid4()}")
    settings = {"trust": (believing or TrustAnchors()).settings(), "builder": {"thumbnail": {"enabled": False}}}
    out = io.BytesIO()
    info = C2paSignerInfo(b"es256", authority.claim_pem.encode(), private_pem(authority.claim_key), None)
    with Signer.from_info(info) as signer, Builder(definition, context=Context.from_dict(settings)) as builder:
        if parent is not None:
            builder.add_ingredient(parent_definition(facts(kind)), "image/png", io.BytesIO(parent))
        builder.sign(signer, "image/png", io.BytesIO(encoded(ImageFormat.PNG)), out)
    return out.getvalue()


def with_parent(ours: Identity, parent: bytes, believing: TrustAnchors) -> bytes:
    """A picture signed by us whose signer recorded the parent as it saw it with ``believing``."""
    from c2pa import Builder, Context

    from guard.provenance.manifest import manifest_definition, parent_definition

    stated = facts(ManifestKind.EDITED)
    settings = {"trust": believing.settings(), "builder": {"thumbnail": {"enabled": False}}}
    out = io.BytesIO()
    definition = manifest_definition(stated, label=f"urn:c2pa:{uuid.uuid4()}")
    with Builder(definition, context=Context.from_dict(settings)) as builder:
        builder.add_ingredient(parent_definition(stated), "image/png", io.BytesIO(parent))
        builder.sign(ours.signer._signers.get(None), "image/png", io.BytesIO(encoded(ImageFormat.PNG)), out)
    return out.getvalue()


@pytest.mark.parametrize("recorded_as", ["untrusted", "trusted"])
def test_a_root_for_time_stamps_does_not_make_an_ingredient_trusted(
    ours: Identity, authority: TimeStampAuthority, pool: WorkerPool, recorded_as: str
) -> None:
    """The trap: c2pa-rs does not keep kinds apart for ingredients either, and an outer signer may record anything."""
    parent = signed_under_the_tsa_root(authority)
    anchors = TrustAnchors(manifest_pem=ours.keys.anchors.manifest_pem, tsa_pem=authority.root_pem)
    believing = TrustAnchors(manifest_pem=authority.root_pem) if recorded_as == "trusted" else TrustAnchors()
    edited = with_parent(ours, parent, believing)
    report = C2PACredentialReader(anchors, pool=pool).read(edited)
    assert report.state is CredentialState.TRUSTED
    assert [part.state for part in report.ingredients] == [CredentialState.VALID_UNTRUSTED]
    assert report.ingredients[0].codes == ("signingCredential.untrusted",)
    listed = TrustAnchors(manifest_pem=ours.keys.anchors.manifest_pem + authority.root_pem, tsa_pem=authority.root_pem)
    report = C2PACredentialReader(listed, pool=pool).read(edited)
    assert [part.state for part in report.ingredients] == [CredentialState.TRUSTED], "a root may be on both lists"


@pytest.mark.parametrize("recorded_as", ["untrusted", "trusted"])
def test_a_listed_parent_stays_trusted_beside_anchors_for_time_stamps(
    ours: Identity, foreign: Identity, authority: TimeStampAuthority, pool: WorkerPool, recorded_as: str
) -> None:
    believing = foreign.keys.anchors if recorded_as == "trusted" else TrustAnchors()
    edited = with_parent(ours, foreign.signed(), believing)
    both = ours.keys.anchors.plus(foreign.keys.anchors).plus(TrustAnchors(tsa_pem=authority.root_pem))
    report = C2PACredentialReader(both, pool=pool).read(edited)
    assert [part.state for part in report.ingredients] == [CredentialState.TRUSTED]


def test_the_verdict_names_the_list(ours: Identity, foreign: Identity, pool: WorkerPool) -> None:
    named = NamedAnchors(name="c2pa", kind=TrustKind.MANIFEST, pem=foreign.keys.anchors.manifest_pem)
    reader = C2PACredentialReader(ours.keys.anchors.plus(TrustAnchors(named=(named,))), pool=pool)
    by_list, own = reader.read(foreign.signed()), reader.read(ours.signed())
    assert (by_list.state, by_list.trust_list) == (CredentialState.TRUSTED, "c2pa")
    assert "who is on the trust list c2pa." in by_list.explanation
    assert (own.state, own.trust_list) == (CredentialState.TRUSTED, "")
    assert ours.reader(pool).read(foreign.signed()).trust_list is None


def test_a_named_list_for_time_stamps_vouches_for_no_signer(
    ours: Identity, authority: TimeStampAuthority, pool: WorkerPool
) -> None:
    named = NamedAnchors(name="c2pa-tsa", kind=TrustKind.TSA, pem=authority.root_pem)
    reader = C2PACredentialReader(ours.keys.anchors.plus(TrustAnchors(named=(named,))), pool=pool)
    report = reader.read(signed_under_the_tsa_root(authority))
    assert (report.state, report.trust_list) == (CredentialState.VALID_UNTRUSTED, None)


@pytest.mark.slow
@needs_openssl
def test_a_trusted_time_stamp_outlives_the_certificate(
    ours: Identity, authority: TimeStampAuthority, pool: WorkerPool
) -> None:
    anchors = TrustAnchors(manifest_pem=ours.keys.anchors.manifest_pem, tsa_pem=authority.root_pem)
    brief = ours.short_lived(timedelta(seconds=5))
    signer = C2PACredentialSigner(brief, claim_generator=GENERATOR, time_stamps=TimeStampSource(authority.url))
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
        signer = C2PACredentialSigner(keys, claim_generator=GENERATOR, time_stamps=TimeStampSource(authority.url))
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
    return CallbackKeySource(
        certificate_chain_pem=source.certificate_chain_pem, sign=source.sign, now=datetime.now(UTC)
    )


def test_without_anchors_nobody_is_trusted(ours: Identity, pool: WorkerPool) -> None:
    assert C2PACredentialReader(TrustAnchors(), pool=pool).read(ours.signed()).state is CredentialState.VALID_UNTRUSTED
