"""Trust lists and time stamps: who vouches for whom, and for how long."""

import io
import shutil
import time
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
from guard.provenance.trust import TrustAnchors
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
