"""Who signed a claim, and with what kind of certificate: c2pa-rs also trusts claims of time-stamp authorities."""

import io
import tracemalloc
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import brotli
import cbor2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.credentials import CredentialState
from guard.isolation import WorkerPool
from guard.provenance import issuing
from guard.provenance.claim_signer import MAX_DECOMPRESSED_BYTES, may_sign_claims, signer_certificate
from guard.provenance.manifest import ManifestKind, manifest_definition, parent_definition
from guard.provenance.native import reading_context, reading_settings
from guard.records import ImageFormat
from tests.guard.provenance.media_files import box
from tests.guard.provenance.support import Identity, encoded, facts

NOW = datetime.now(UTC)
LABEL = "urn:c2pa:00000000-0000-0000-0000-000000000000"
EMAIL, STAMPS, OCSP = (
    ExtendedKeyUsageOID.EMAIL_PROTECTION,
    ExtendedKeyUsageOID.TIME_STAMPING,
    ExtendedKeyUsageOID.OCSP_SIGNING,
)


def leaf_for(identity: Identity, purposes: Sequence[x509.ObjectIdentifier]) -> tuple[bytes, bytes]:
    """A chain and a key of an identity's authority, for given purposes."""
    ca = identity.keys.path / "ca"
    issuer = x509.load_pem_x509_certificate((ca / "intermediate.pem").read_bytes())
    issuer_key = serialization.load_pem_private_key((ca / "intermediate.key.pem").read_bytes(), None)
    assert isinstance(issuer_key, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    leaf = issuing._end_entity(
        issuing.named("leaf"),
        key.public_key(),
        issuer=issuer,
        issuer_key=issuer_key,
        not_before=NOW - timedelta(minutes=5),
        not_after=NOW + timedelta(days=1),
        purposes=list(purposes),
    ).sign(issuer_key, hashes.SHA256())
    return issuing.certificate_pem(leaf) + issuing.certificate_pem(issuer), issuing.private_pem(key)


def signed_with(
    identity: Identity, purposes: Sequence[x509.ObjectIdentifier], *, parent: bytes | None = None, **core: object
) -> bytes:
    """A picture signed by c2pa-python itself, without our checks of the chain."""
    from c2pa import Builder, C2paSignerInfo, Context, Signer

    chain, key = leaf_for(identity, purposes)
    kind = ManifestKind.EDITED if parent is not None else ManifestKind.GENERATED
    definition = manifest_definition(facts(kind), label=f"urn:c2pa:{uuid.uuid4()}")
    settings = {"verify": {"verify_after_sign": False}, "builder": {"thumbnail": {"enabled": False}}, "core": core}
    out = io.BytesIO()
    with (
        Signer.from_info(C2paSignerInfo(b"es256", chain, key, None)) as signer,
        Builder(definition, context=Context.from_dict(settings)) as builder,
    ):
        if parent is not None:
            builder.add_ingredient(parent_definition(facts(kind)), "image/png", io.BytesIO(parent))
        builder.sign(signer, "image/png", io.BytesIO(encoded(ImageFormat.PNG)), out)
    return out.getvalue()


@pytest.mark.parametrize("purpose", [STAMPS, OCSP], ids=["time stamps", "OCSP"])
def test_an_authoritys_certificate_signs_no_trusted_claim(
    ours: Identity, pool: WorkerPool, purpose: x509.ObjectIdentifier
) -> None:
    from c2pa import Reader

    data = signed_with(ours, [purpose])
    with Reader("image/png", io.BytesIO(data), context=reading_context(reading_settings(ours.keys.anchors))) as native:
        assert native.get_validation_state() == "Trusted", "the trap: c2pa-rs accepts the usage"
    report = ours.reader(pool).read(data)
    assert report.state is CredentialState.VALID_UNTRUSTED
    assert report.codes == ("signingCredential.untrusted",)
    assert report.trust_list is None


def test_nor_does_a_parent_that_was_signed_so(ours: Identity, pool: WorkerPool) -> None:
    report = ours.reader(pool).read(signed_with(ours, [EMAIL], parent=signed_with(ours, [STAMPS])))
    assert report.state is CredentialState.TRUSTED
    assert [part.state for part in report.ingredients] == [CredentialState.VALID_UNTRUSTED]


@pytest.mark.parametrize("purposes", [[ExtendedKeyUsageOID.SERVER_AUTH], [EMAIL, STAMPS]], ids=["server", "both"])
def test_other_usages_are_refused_by_c2pa_itself(ours: Identity, purposes: list[x509.ObjectIdentifier]) -> None:
    from c2pa import C2paError

    with pytest.raises(C2paError, match="certificate is invalid"):
        signed_with(ours, purposes)


@pytest.mark.parametrize(
    ("purpose", "state"), [(EMAIL, CredentialState.TRUSTED), (STAMPS, CredentialState.VALID_UNTRUSTED)]
)
def test_compressed_manifests_are_looked_into(
    ours: Identity, pool: WorkerPool, purpose: x509.ObjectIdentifier, state: CredentialState
) -> None:
    data = signed_with(ours, [purpose], prefer_compress_manifests=True)
    assert b"brob" in data
    assert ours.reader(pool).read(data).state is state


def test_the_signer_of_a_real_store_is_found(ours: Identity) -> None:
    signed = ours.signer.sign_bytes(facts(), encoded(ImageFormat.PNG), "image/png")
    leaf = x509.load_pem_x509_certificate(ours.keys.signer.certificate_chain_pem.encode())
    assert signer_certificate(signed.manifest, signed.manifest_label) == leaf
    assert may_sign_claims(signed.manifest, signed.manifest_label)
    assert not may_sign_claims(signed.manifest, "urn:c2pa:another")


# --- stores made by hand ---------------------------------------------------------------------------------------------


def superbox(label: bytes, *content: bytes) -> bytes:
    return box(b"jumb", box(b"jumd", bytes(16) + b"\x03" + label + b"\0") + b"".join(content))


def store_with(cose: bytes, *, times: int = 1) -> bytes:
    signature = superbox(b"c2pa.signature", box(b"cbor", cose))
    return superbox(b"c2pa", superbox(LABEL.encode(), *[signature] * times))


@pytest.fixture(scope="module")
def good(ours: Identity) -> bytes:
    pem, _ = leaf_for(ours, [EMAIL])
    return x509.load_pem_x509_certificate(pem).public_bytes(serialization.Encoding.DER)


@pytest.fixture(scope="module")
def bad(ours: Identity) -> bytes:
    pem, _ = leaf_for(ours, [STAMPS])
    return x509.load_pem_x509_certificate(pem).public_bytes(serialization.Encoding.DER)


def cose(protected: dict[Any, Any], unprotected: dict[Any, Any]) -> bytes:
    return cbor2.dumps(cbor2.CBORTag(18, [cbor2.dumps(protected), unprotected, None, bytes(64)]))


def test_every_place_of_the_chain_is_read(good: bytes, bad: bytes) -> None:
    for header in ({33: [good]}, {33: good}, {"x5chain": [good, bad]}, {1: -7, 33: [good], "sigTst2": {"a": [1.5]}}):
        assert may_sign_claims(store_with(cose(header, {})), LABEL)
        assert may_sign_claims(store_with(cose({1: -7}, header)), LABEL)


def test_two_signers_are_none(good: bytes, bad: bytes) -> None:
    """A good certificate beside the real one must not vouch for it."""
    assert not may_sign_claims(store_with(cose({33: [bad]}, {33: [good]})), LABEL)
    assert not may_sign_claims(store_with(cose({33: [good]}, {"x5chain": [bad]})), LABEL)
    assert not may_sign_claims(store_with(cose({33: [good]}, {}), times=2), LABEL)
    assert may_sign_claims(store_with(cose({33: [good]}, {33: [good]})), LABEL), "the same one twice is one"


def test_tricks_of_the_encoding_are_not_followed(good: bytes, bad: bytes) -> None:
    chunked = b"\x5f" + cbor2.dumps(bad[:9]) + cbor2.dumps(bad[9:]) + b"\xff"
    protected = b"\xa1\x18\x21\x81" + chunked
    assert not may_sign_claims(store_with(cbor2.dumps([protected, {}, None, b""])), LABEL)
    twice = b"\xa2\x18\x21" + cbor2.dumps(bad) + b"\x18\x21" + cbor2.dumps(good)
    assert not may_sign_claims(store_with(cbor2.dumps([twice, {}, None, b""])), LABEL)
    deep = b"\x81" * 50_000
    assert not may_sign_claims(store_with(deep), LABEL)
    assert not may_sign_claims(store_with(b"\x9b" + b"\xff" * 8), LABEL)


def compressed(manifest: bytes) -> bytes:
    return superbox(b"c2pa", superbox(LABEL.encode(), box(b"brob", brotli.compress(manifest, quality=1))))


def test_compressed_manifests_made_by_hand(good: bytes) -> None:
    signature = superbox(b"c2pa.signature", box(b"cbor", cose({33: [good]}, {})))
    manifest = superbox(LABEL.encode(), signature)
    assert may_sign_claims(compressed(manifest), LABEL)
    assert not may_sign_claims(compressed(superbox(b"urn:c2pa:another", signature)), LABEL)
    assert not may_sign_claims(compressed(manifest * 2), LABEL)
    again = superbox(LABEL.encode(), box(b"brob", brotli.compress(manifest, quality=1)))
    assert not may_sign_claims(compressed(again), LABEL), "once is enough"
    damaged = superbox(b"c2pa", superbox(LABEL.encode(), box(b"brob", b"\xff" * 100)))
    assert not may_sign_claims(damaged, LABEL)


def test_a_compressed_bomb_is_cut_off(good: bytes) -> None:
    signature = superbox(b"c2pa.signature", box(b"cbor", cose({33: [good]}, {})))
    bomb = compressed(superbox(LABEL.encode(), box(b"free", bytes(64_000_000)), signature))
    assert len(bomb) < 100_000
    tracemalloc.start()
    try:
        assert not may_sign_claims(bomb, LABEL)
        assert tracemalloc.get_traced_memory()[1] < 4 * MAX_DECOMPRESSED_BYTES
    finally:
        tracemalloc.stop()


@settings(deadline=None)
@given(st.binary(max_size=200), st.integers(0, 400))
def test_no_store_breaks_the_reader(junk: bytes, at: int) -> None:
    assert may_sign_claims(junk, LABEL) is False
    assert may_sign_claims(store_with(junk), LABEL) is False
    whole = store_with(cose({33: [b"\x30\x03\x02\x01\x00"]}, {}))
    assert may_sign_claims(whole[:at] + junk + whole[at + len(junk) :], LABEL) is False
