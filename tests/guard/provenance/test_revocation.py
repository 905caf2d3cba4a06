"""OCSP: off by default, asked only of listed hosts about trusted signers; a real signed answer decides."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID

from guard.credentials import CredentialState
from guard.errors import ConfigError
from guard.isolation import WorkerPool
from guard.provenance import issuing
from guard.provenance.certificates import signing_chain
from guard.provenance.key_source import PEMKeySource
from guard.provenance.read import C2PACredentialReader
from guard.provenance.revocation import parse_hosts
from guard.provenance.sign import C2PACredentialSigner
from guard.provenance.trust import TrustAnchors
from guard.records import ImageFormat
from tests.guard.provenance.listeners import Listener
from tests.guard.provenance.support import GENERATOR, Identity, encoded, facts

NOW = datetime.now(UTC)
GOOD, REVOKED = ocsp.OCSPCertStatus.GOOD, ocsp.OCSPCertStatus.REVOKED


class Responder(Listener):
    """An OCSP responder of an identity's intermediate authority, with a delegated certificate."""

    def __init__(self, identity: Identity) -> None:
        super().__init__()
        self.status: ocsp.OCSPCertStatus | None = GOOD
        self.leave = threading.Event()
        ca = identity.keys.path / "ca"
        self.issuer = x509.load_pem_x509_certificate((ca / "intermediate.pem").read_bytes())
        issuer_key = serialization.load_pem_private_key((ca / "intermediate.key.pem").read_bytes(), None)
        assert isinstance(issuer_key, ec.EllipticCurvePrivateKey)
        self.key, signing_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
        responder = self._leaf(self.key, issuer_key, ExtendedKeyUsageOID.OCSP_SIGNING)
        self.certificate = responder.add_extension(x509.OCSPNoCheck(), critical=False).sign(issuer_key, hashes.SHA256())
        where = x509.AccessDescription(AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(self.url))
        leaf = self._leaf(signing_key, issuer_key, ExtendedKeyUsageOID.EMAIL_PROTECTION)
        self.leaf = leaf.add_extension(x509.AuthorityInformationAccess([where]), critical=False).sign(
            issuer_key, hashes.SHA256()
        )
        pem = (issuing.certificate_pem(self.leaf) + issuing.certificate_pem(self.issuer)).decode()
        keys = PEMKeySource(key=signing_key, chain=signing_chain(pem, now=NOW))
        signer = C2PACredentialSigner(keys, claim_generator=GENERATOR)
        self.signed = signer.sign_bytes(facts(), encoded(ImageFormat.PNG), "image/png").data
        self.host = self.url.removeprefix("http://").removesuffix("/x")

    def _leaf(
        self, key: ec.EllipticCurvePrivateKey, issuer_key: ec.EllipticCurvePrivateKey, purpose: x509.ObjectIdentifier
    ) -> x509.CertificateBuilder:
        return issuing._end_entity(
            issuing.named("leaf"),
            key.public_key(),
            issuer=self.issuer,
            issuer_key=issuer_key,
            not_before=NOW - timedelta(minutes=30),
            not_after=NOW + timedelta(days=1),
            purposes=[purpose],
        )

    def answer(self, sent: bytes) -> tuple[int, bytes]:
        if self.status is None:
            self.leave.wait(20)
            return 500, b""
        revoked = self.status is REVOKED
        builder = ocsp.OCSPResponseBuilder().add_response(
            cert=self.leaf,
            issuer=self.issuer,
            algorithm=hashes.SHA1(),  # noqa: S303 - what RFC 6960 clients ask with
            cert_status=self.status,
            this_update=NOW - timedelta(minutes=10),
            next_update=NOW + timedelta(days=1),
            revocation_time=NOW - timedelta(minutes=20) if revoked else None,
            revocation_reason=x509.ReasonFlags.key_compromise if revoked else None,
        )
        builder = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, self.certificate)
        response = builder.certificates([self.certificate, self.issuer]).sign(self.key, hashes.SHA256())
        return 200, response.public_bytes(serialization.Encoding.DER)


@pytest.fixture
def responder(ours: Identity) -> Iterator[Responder]:
    with Responder(ours) as made:
        yield made
        made.leave.set()


def test_by_default_nobody_is_asked(ours: Identity, responder: Responder, reader: C2PACredentialReader) -> None:
    report = reader.read(responder.signed)
    assert report.state is CredentialState.TRUSTED
    assert not any("ocsp" in code for code in report.codes)
    assert responder.hits == []


def test_a_listed_host_is_asked_and_confirms(ours: Identity, responder: Responder, pool: WorkerPool) -> None:
    reader = C2PACredentialReader(ours.keys.anchors, pool=pool, deadline_s=20, ocsp_hosts=(responder.host,))
    report = reader.read(responder.signed)
    assert report.state is CredentialState.TRUSTED
    assert "signingCredential.ocsp.notRevoked" in report.codes
    assert len(responder.hits) == 1


def test_a_withdrawn_certificate_is_told_without_accusing(
    ours: Identity, responder: Responder, pool: WorkerPool
) -> None:
    responder.status = REVOKED
    reader = C2PACredentialReader(ours.keys.anchors, pool=pool, deadline_s=20, ocsp_hosts=(responder.host,))
    report = reader.read(responder.signed)
    assert report.state is CredentialState.INVALID
    assert "signingCredential.ocsp.revoked" in report.codes
    assert "was withdrawn by its issuer" in report.explanation


@pytest.mark.parametrize("hosts", [("ocsp.example.org",), ("127.0.0.1",)], ids=["another host", "another port"])
def test_a_host_that_is_not_listed_is_never_asked(
    ours: Identity, responder: Responder, pool: WorkerPool, hosts: tuple[str, ...]
) -> None:
    reader = C2PACredentialReader(ours.keys.anchors, pool=pool, deadline_s=20, ocsp_hosts=hosts)
    report = reader.read(responder.signed)
    assert responder.hits == []
    assert report.state is CredentialState.TRUSTED
    assert "signingCredential.ocsp.inaccessible" in report.codes


def test_a_signer_who_is_not_trusted_makes_us_ask_nobody(responder: Responder, pool: WorkerPool) -> None:
    """Otherwise anybody could make this machine connect, within the listed hosts, by an upload."""
    reader = C2PACredentialReader(TrustAnchors(), pool=pool, deadline_s=20, ocsp_hosts=(responder.host,))
    assert reader.read(responder.signed).state is CredentialState.VALID_UNTRUSTED
    assert responder.hits == []


def test_a_responder_that_hangs_costs_the_deadline_and_no_verdict(
    ours: Identity, responder: Responder, pool: WorkerPool
) -> None:
    responder.status = None
    reader = C2PACredentialReader(ours.keys.anchors, pool=pool, deadline_s=1.5, ocsp_hosts=(responder.host,))
    report = reader.read(responder.signed)
    assert report.state is CredentialState.TRUSTED
    assert report.codes[-1] == "signingCredential.ocsp.inaccessible"


@pytest.mark.parametrize(
    ("text", "hosts"),
    [("", ()), (" ocsp.example.org , c2pa.example:8080", ("ocsp.example.org", "c2pa.example:8080"))],
)
def test_hosts_are_listed(text: str, hosts: tuple[str, ...]) -> None:
    assert parse_hosts(text) == hosts


@pytest.mark.parametrize("text", ["*", "*.example.org", "http://example.org", "a/b", "a..b", "[::1]", "a b"])
def test_anything_else_than_hosts_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="SIGNET_OCSP_HOSTS"):
        parse_hosts(text)
