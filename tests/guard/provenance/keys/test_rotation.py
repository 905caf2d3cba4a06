"""Keys over time: requests, installation, take-over by the clock, retirement; nothing signed becomes unverifiable."""

import json
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.credentials import CredentialState
from guard.errors import KeyMaterialError
from guard.provenance.certificates import SigningChain
from guard.provenance.dev_ca import init_development_keys
from guard.provenance.issuing import certificate_pem, issue_authority, issue_leaf, named
from guard.provenance.keys.csr import RequestSubject, build_request, new_private_key
from guard.provenance.keys.interfaces import KeyAccess
from guard.provenance.keys.mutual_tls import init_mutual_tls
from guard.provenance.keys.passphrase import passphrase_source
from guard.provenance.keys.pkcs11 import PKCS11Key
from guard.provenance.keys.reference import PKCS11Reference, parse_reference
from guard.provenance.keys.ring import SignerEntry, SignerState, days_covered, list_signers, load_ring
from guard.provenance.keys.rotation import (
    add_anchors,
    init_production_keys,
    install_certificate,
    request_certificate,
    retire,
    rotate_development,
)
from guard.provenance.keys.sealed import seal, unseal
from guard.provenance.keys_folder import KeyFolder, list_keys
from guard.provenance.read import C2PACredentialReader
from guard.provenance.sign import C2PACredentialSigner
from guard.records import ImageFormat
from tests.guard.provenance.keys.holders import Token, needs_softhsm
from tests.guard.provenance.support import GENERATOR, encoded, facts

NOW = datetime.now(UTC)
DAY = timedelta(days=1)
SUBJECT = RequestSubject(organisation="Example Org", common_name="Example pictures", country="DE")
PASSPHRASE = b"correct horse battery"
ACCESS = KeyAccess(passphrase=lambda: PASSPHRASE)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    init_development_keys(tmp_path / "keys", now=NOW)
    return tmp_path / "keys"


class Authority:
    """A certificate authority outside: gets requests, returns chains."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        name = named("Example authority", organisation="Example CA")
        self.root = issue_authority(
            name, self.key, issuer=name, issuer_key=self.key, path_length=1, now=NOW - DAY, days=3650
        )

    @property
    def root_pem(self) -> str:
        return certificate_pem(self.root).decode()

    def issue(self, request: bytes, *, begins: datetime = NOW - timedelta(minutes=1), days: int = 90) -> str:
        asked = x509.load_pem_x509_csr(request)
        assert asked.is_signature_valid or isinstance(asked.public_key(), rsa.RSAPublicKey)
        public = asked.public_key()
        leaf = issue_leaf(
            public,  # type: ignore[arg-type]
            common_name="Example pictures",
            issuer=self.root,
            issuer_key=self.key,
            not_before=begins,
            not_after=begins + timedelta(days=days),
        )
        return certificate_pem(leaf).decode()


# --- requests --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ["es256", "es384", "es512", "ed25519", "ps256"])
def test_a_request_says_whom_and_for_what(algorithm: str) -> None:
    key = new_private_key(algorithm)
    request = x509.load_pem_x509_csr(build_request(SUBJECT, key=key))
    assert request.subject.rfc4514_string() == "CN=Example pictures,O=Example Org,C=DE"
    usage = request.extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage.digital_signature
    assert not usage.key_cert_sign
    purposes = request.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert "1.3.6.1.4.1.62558.2.1" in {p.dotted_string for p in purposes}
    if isinstance(key, rsa.RSAPrivateKey):
        pss = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
        key.public_key().verify(request.signature, request.tbs_certrequest_bytes, pss, hashes.SHA256())
    else:
        assert request.is_signature_valid


@needs_softhsm
@pytest.mark.parametrize("algorithm", ["es256", "es384", "es512", "ed25519", "ps256"])
def test_a_key_in_a_token_signs_its_own_request(token: Token, algorithm: str) -> None:
    reference = parse_reference(token.reference(f"algorithm-{algorithm}"))
    assert isinstance(reference, PKCS11Reference)
    handle = PKCS11Key(reference, access=ACCESS)
    request = x509.load_pem_x509_csr(build_request(SUBJECT, key=handle))
    public = request.public_key()
    assert public == handle.public_key()
    if isinstance(public, rsa.RSAPublicKey):
        pss = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
        public.verify(request.signature, request.tbs_certrequest_bytes, pss, hashes.SHA256())
    else:
        assert request.is_signature_valid


@pytest.mark.parametrize(
    "change", [{"organisation": ""}, {"common_name": "x" * 65}, {"country": "Germany"}, {"common_name": "a\nb"}]
)
def test_subjects_that_no_authority_would_take(change: dict[str, str]) -> None:
    fields = {"organisation": "O", "common_name": "C", "country": ""} | change
    with pytest.raises(KeyMaterialError):
        build_request(RequestSubject(**fields), key=new_private_key("es256"))


def test_an_unknown_algorithm_is_told() -> None:
    with pytest.raises(KeyMaterialError, match="es256, es384"):
        new_private_key("es256k")


# --- a production folder from nothing ---------------------------------------------------------------------------------


def production(tmp_path: Path) -> tuple[Path, bytes]:
    folder = tmp_path / "production"
    _, request = init_production_keys(folder, subject=SUBJECT, algorithm="es256", passphrase=PASSPHRASE, now=NOW)
    return folder, request


def test_production_from_request_to_trusted_picture(tmp_path: Path) -> None:
    folder, request = production(tmp_path)
    for name in ("signer/key.pem", "ledger/private.pem"):
        text = (folder / name).read_bytes()
        assert text.startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----"), "never on disk in clear"
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600
    master = (folder / "watermark/master.key").read_bytes()
    assert master.startswith(b"signet-sealed-1:")
    assert stat.S_IMODE((folder / "watermark/master.key").stat().st_mode) == 0o600
    with pytest.raises(KeyMaterialError, match="signer is pending"):
        KeyFolder.load(folder, now=NOW, access=ACCESS)
    assert [info.state for info in list_keys(folder, now=NOW) if info.role == "claim signer"] == ["pending"]

    authority = Authority()
    entry = install_certificate(
        folder, authority.issue(request), anchors_pem=authority.root_pem, access=ACCESS, now=NOW
    )
    assert (entry.id, entry.state) == ("signer", SignerState.ACTIVE)
    keys = KeyFolder.load(folder, now=NOW, access=ACCESS)
    signed = C2PACredentialSigner(keys.ring, claim_generator=GENERATOR).sign_bytes(
        facts(), encoded(ImageFormat.PNG), "image/png"
    )
    report = C2PACredentialReader(keys.anchors, pool=None).read(signed.data)
    assert report.state is CredentialState.TRUSTED
    assert keys.development is False
    assert len(keys.watermark_master_key) == 32
    assert keys.watermark_master_key == KeyFolder.load(folder, now=NOW, access=ACCESS).watermark_master_key
    with pytest.raises(KeyMaterialError, match="wrong passphrase"):
        KeyFolder.load(folder, now=NOW, access=KeyAccess(passphrase=lambda: b"another passphrase"))


def test_sealed_secrets() -> None:
    line = seal(b"secret", PASSPHRASE)
    assert b"secret" not in line
    assert seal(b"secret", PASSPHRASE) != line, "a fresh salt and nonce each time"
    assert unseal(line, PASSPHRASE, name="x") == b"secret"
    flipped = line[:-6] + bytes([line[-6] ^ 1]) + line[-5:]
    for damaged in (flipped, line[:30], b"signet-sealed-1:", b"signet-sealed-1:%%%", b""):
        with pytest.raises(KeyMaterialError, match="x cannot be unlocked"):
            unseal(damaged, PASSPHRASE, name="x")
    with pytest.raises(KeyMaterialError, match="cannot be unlocked"):
        unseal(line, b"wrong", name="x")


def test_a_sealed_watermark_key_without_a_passphrase_is_told(folder: Path) -> None:
    file = folder / "watermark/master.key"
    plain = KeyFolder.load(folder, now=NOW).watermark_master_key
    file.write_bytes(seal(plain.hex().encode(), PASSPHRASE))
    with pytest.raises(KeyMaterialError, match="no passphrase is configured"):
        KeyFolder.load(folder, now=NOW)
    assert KeyFolder.load(folder, now=NOW, access=ACCESS).watermark_master_key == plain


def test_a_short_passphrase_is_refused_and_nothing_is_made(tmp_path: Path) -> None:
    with pytest.raises(KeyMaterialError, match="12 bytes or more; got 5"):
        init_production_keys(tmp_path / "k", subject=SUBJECT, algorithm="es256", passphrase=b"short", now=NOW)
    assert not (tmp_path / "k").exists()


def test_the_certificate_of_another_request_is_told(tmp_path: Path) -> None:
    folder, _ = production(tmp_path)
    authority = Authority()
    stranger = authority.issue(build_request(SUBJECT, key=new_private_key("es256")))
    with pytest.raises(KeyMaterialError, match="fits none of the 1 pending requests"):
        install_certificate(folder, stranger, anchors_pem=None, access=ACCESS, now=NOW)
    assert not (folder / "signer/chain.pem").exists()


@pytest.mark.parametrize(
    "chain", ["", "no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"]
)
def test_what_is_no_certificate_is_told(tmp_path: Path, chain: str) -> None:
    folder, _ = production(tmp_path)
    with pytest.raises(KeyMaterialError, match="not a PEM certificate chain"):
        install_certificate(folder, chain, anchors_pem=None, access=ACCESS, now=NOW)


def test_an_expired_certificate_is_not_installed(tmp_path: Path) -> None:
    folder, request = production(tmp_path)
    old = Authority().issue(request, begins=NOW - 10 * DAY, days=5)
    with pytest.raises(KeyMaterialError, match="expired on"):
        install_certificate(folder, old, anchors_pem=None, access=ACCESS, now=NOW)


def test_a_second_production_key_needs_the_passphrase(tmp_path: Path) -> None:
    folder, _ = production(tmp_path)
    with pytest.raises(KeyMaterialError, match="passphrase of 12 bytes"):
        request_certificate(folder, subject=SUBJECT, algorithm="es384", reference=None, access=KeyAccess(), now=NOW)
    entry_id, request = request_certificate(
        folder, subject=SUBJECT, algorithm="es384", reference=None, access=ACCESS, now=NOW
    )
    assert b"ENCRYPTED" in (folder / "signers" / entry_id / "key.pem").read_bytes()
    assert x509.load_pem_x509_csr(request).is_signature_valid


# --- overlap ---------------------------------------------------------------------------------------------------------


def test_the_newest_active_key_signs_and_the_old_one_stays_usable(folder: Path) -> None:
    first = KeyFolder.load(folder, now=NOW)
    entry = rotate_development(folder, starts=NOW + timedelta(seconds=1), now=NOW)
    later = NOW + timedelta(seconds=5)
    second = KeyFolder.load(folder, now=later)
    assert second.signer.certificate_chain_pem != first.signer.certificate_chain_pem
    assert second.ring.get(entry.id) is second.signer
    assert second.ring.get("signer").certificate_chain_pem == first.signer.certificate_chain_pem
    for keys in (first.signer, second.signer):  # both verify with the one anchor
        signed = C2PACredentialSigner(keys, claim_generator=GENERATOR).sign_bytes(
            facts(), encoded(ImageFormat.PNG), "image/png"
        )
        assert C2PACredentialReader(second.anchors, pool=None).read(signed.data).state is CredentialState.TRUSTED


def test_a_key_takes_over_by_the_clock_without_a_restart(folder: Path) -> None:
    rotate_development(folder, starts=NOW + DAY, now=NOW)
    time = [NOW]
    ring = load_ring(folder, now=NOW, clock=lambda: time[0], access=KeyAccess(), development=True)
    before = ring.current()
    time[0] = NOW + DAY + timedelta(seconds=1)
    after = ring.current()
    assert before.certificate_chain_pem != after.certificate_chain_pem
    time[0] = NOW + 365 * DAY + timedelta(hours=1)
    assert ring.current() is after, "the first one has expired"
    time[0] = NOW + 370 * DAY
    with pytest.raises(KeyMaterialError, match="signer is expired"):
        ring.current()


def test_one_signer_follows_the_ring(folder: Path) -> None:
    """The native signer is kept per key: a signature after the take-over carries the new certificate."""
    time = [NOW - timedelta(minutes=1)]
    entry = rotate_development(folder, starts=NOW, now=NOW - timedelta(minutes=1))
    assert entry.chain is not None
    ring = load_ring(folder, now=time[0], clock=lambda: time[0], access=KeyAccess(), development=True)
    signer = C2PACredentialSigner(ring, claim_generator=GENERATOR)
    reader = C2PACredentialReader(KeyFolder.load(folder, now=NOW).anchors, pool=None)
    names = []
    for moment in (NOW - timedelta(minutes=1), NOW + timedelta(seconds=1), NOW - timedelta(minutes=1)):
        time[0] = moment
        signed = signer.sign_bytes(facts(), encoded(ImageFormat.PNG), "image/png")
        names.append(reader.read(signed.data).signer)
    assert names[0] == names[2] != names[1] == entry.chain.subject


def test_two_rotations_at_one_moment_the_later_one_signs(folder: Path) -> None:
    rotate_development(folder, starts=NOW, now=NOW)
    second = rotate_development(folder, starts=NOW, now=NOW + timedelta(microseconds=5))
    ring = KeyFolder.load(folder, now=NOW + timedelta(seconds=1)).ring
    assert ring.current() is ring.get(second.id)


def test_a_key_that_is_added_later_signs_though_its_certificate_is_older(folder: Path) -> None:
    """The key of a signing service that has run for months is taken into use today."""
    entry_id, request = request_certificate(
        folder, subject=SUBJECT, algorithm="es256", reference=None, access=KeyAccess(), now=NOW
    )
    chain = Authority().issue(request, begins=NOW - 30 * DAY)
    install_certificate(folder, chain, anchors_pem=None, access=KeyAccess(), now=NOW)
    ring = KeyFolder.load(folder, now=NOW).ring
    assert ring.current() is ring.get(entry_id)


def test_a_running_process_notices_what_is_added_and_retired(folder: Path) -> None:
    time = [NOW]
    ring = load_ring(folder, now=NOW, clock=lambda: time[0], access=KeyAccess(), development=True)
    first = ring.current()
    assert ring.current() is first, "nothing is opened anew without a change"
    entry = rotate_development(folder, starts=NOW, now=NOW)
    time[0] = NOW + timedelta(seconds=5)
    second = ring.current()
    assert second.certificate_chain_pem != first.certificate_chain_pem
    assert ring.get(entry.id) is second
    retire(folder, "signer", destroy_key=True, now=NOW)
    assert [e.id for e in ring.entries if ring.current()] == [entry.id]
    with pytest.raises(KeyMaterialError, match="not active"):
        ring.get("signer")
    assert ring.problem is None


def test_a_change_that_cannot_be_used_stops_nothing(folder: Path) -> None:
    ring = load_ring(folder, now=NOW, clock=lambda: NOW, access=KeyAccess(), development=True)
    first = ring.current()
    (folder / "signers/20260101t000000000000-aaaa").mkdir(parents=True)
    assert ring.current() is first
    assert "neither key.pem nor key.uri" in str(ring.problem)
    (folder / "signers/20260101t000000000000-aaaa").rmdir()
    assert ring.current().certificate_chain_pem == first.certificate_chain_pem
    assert ring.problem is None


def test_threads_see_one_change_once(folder: Path) -> None:
    ring = load_ring(folder, now=NOW, clock=lambda: NOW + timedelta(seconds=5), access=KeyAccess(), development=True)
    rotate_development(folder, starts=NOW, now=NOW)
    with ThreadPoolExecutor(8) as pool:
        keys = list(pool.map(lambda _: ring.current(), range(64)))
    assert len({id(key) for key in keys[-8:]}) == 1


def test_a_signing_service_is_not_asked_for_a_request(folder: Path, tmp_path: Path) -> None:
    files = init_mutual_tls(tmp_path / "tls", hosts=("localhost",), front_ends=("gw",), now=NOW).folder
    access = KeyAccess(
        ca_file=files / "ca.pem",
        certificate_file=files / "front-end-gw.pem",
        key_file=files / "front-end-gw.key.pem",
    )
    with pytest.raises(KeyMaterialError, match="signs claims and nothing else"):
        request_certificate(
            folder, subject=SUBJECT, algorithm="", reference="https://localhost:1/signer", access=access, now=NOW
        )


# --- retirement ------------------------------------------------------------------------------------------------------


def test_what_a_retired_key_signed_stays_trusted_even_when_the_key_is_gone(folder: Path) -> None:
    old = KeyFolder.load(folder, now=NOW)
    signed = C2PACredentialSigner(old.ring, claim_generator=GENERATOR).sign_bytes(
        facts(), encoded(ImageFormat.PNG), "image/png"
    )
    rotate_development(folder, starts=NOW, now=NOW)
    entry = retire(folder, "signer", destroy_key=True, now=NOW)
    assert entry.state is SignerState.RETIRED
    assert not (folder / "signer/key.pem").exists()
    assert (folder / "signer/chain.pem").exists()
    new = KeyFolder.load(folder, now=NOW)
    assert [e.id for e in new.ring.entries] != ["signer"]
    assert C2PACredentialReader(new.anchors, pool=None).read(signed.data).state is CredentialState.TRUSTED
    states = {info.id: info.state for info in list_keys(folder, now=NOW) if info.role == "claim signer"}
    assert states["signer"] == "retired"


def test_the_last_active_key_is_not_retired(folder: Path) -> None:
    with pytest.raises(KeyMaterialError, match="only active signing key"):
        retire(folder, "signer", destroy_key=True, now=NOW)
    assert (folder / "signer/key.pem").exists()


def test_an_unknown_key_is_told(folder: Path) -> None:
    with pytest.raises(KeyMaterialError, match="there are signer"):
        retire(folder, "../../etc", destroy_key=False, now=NOW)


def test_a_production_folder_is_not_rotated_by_ourselves(tmp_path: Path) -> None:
    folder, _ = production(tmp_path)
    with pytest.raises(KeyMaterialError, match="production folder") as caught:
        rotate_development(folder, starts=NOW, now=NOW)
    assert "keys csr" in caught.value.diagnostics()


# --- a key in a token, from reference to rotation ---------------------------------------------------------------------


@needs_softhsm
def test_a_folder_whose_key_is_in_a_token(folder: Path, token: Token) -> None:
    reference = token.reference("claims")
    entry_id, request = request_certificate(
        folder, subject=SUBJECT, algorithm="", reference=reference, access=ACCESS, now=NOW
    )
    assert (folder / "signers" / entry_id / "key.uri").read_text().strip() == reference
    authority = Authority()
    entry = install_certificate(
        folder, authority.issue(request), anchors_pem=authority.root_pem, access=ACCESS, now=NOW
    )
    assert (entry.place, entry.state) == ("pkcs11", SignerState.ACTIVE)
    keys = KeyFolder.load(folder, now=NOW)
    signed = C2PACredentialSigner(keys.ring, claim_generator=GENERATOR).sign_bytes(
        facts(), encoded(ImageFormat.JPEG), "image/jpeg"
    )
    report = C2PACredentialReader(keys.anchors, pool=None).read(signed.data)
    assert (report.state, report.signer) == (CredentialState.TRUSTED, "Example pictures")


# --- what covers the future ------------------------------------------------------------------------------------------


def entry_for(begins: float, ends: float, state: SignerState = SignerState.ACTIVE) -> SignerEntry:
    chain = SigningChain(
        pem="",
        algorithm="es256",
        signature_bytes=64,
        subject="x",
        not_before=NOW + begins * DAY,
        not_after=NOW + ends * DAY,
    )
    return SignerEntry(id="x", folder=Path(), state=state, place="file", chain=chain)


@pytest.mark.parametrize(
    ("entries", "days"),
    [
        ([(-1, 10)], 10),
        ([(-1, 10), (5, 100)], 100),
        ([(-1, 10), (11, 100)], 10),
        ([(-1, 10), (-2, 300)], 300),
        ([(-10, -3)], -3),
        ([(1, 100)], -1),
        ([], -1),
    ],
    ids=["one", "overlap", "gap", "two", "expired", "not yet", "none"],
)
def test_days_covered(entries: list[tuple[float, float]], days: int) -> None:
    assert days_covered([entry_for(*entry) for entry in entries], now=NOW) == days


def test_retired_and_pending_keys_cover_nothing() -> None:
    assert days_covered([entry_for(-1, 10), entry_for(-1, 99, SignerState.RETIRED)], now=NOW) == 10


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(-50, 50), st.integers(1, 100)), max_size=6))
def test_more_keys_never_cover_less(spans: list[tuple[int, int]]) -> None:
    entries = [entry_for(begin, begin + length) for begin, length in spans]
    covered = [days_covered(entries[:count], now=NOW) for count in range(1, len(entries) + 1)]
    assert all(a <= b or a < 0 for a, b in pairwise(covered))


# --- damage ----------------------------------------------------------------------------------------------------------


def test_a_folder_without_key_or_reference_is_told(folder: Path) -> None:
    (folder / "signers/20260101t000000-aaaa").mkdir(parents=True)
    with pytest.raises(KeyMaterialError, match=r"neither key.pem nor key.uri"):
        list_signers(folder, now=NOW)


def test_a_reference_that_cannot_be_used_stops_the_start(folder: Path) -> None:
    rotate_development(folder, starts=NOW, now=NOW)
    (place,) = (folder / "signers").iterdir()
    (place / "key.pem").unlink()
    (place / "key.uri").write_text("ftp://nowhere")
    with pytest.raises(KeyMaterialError, match="one of pkcs11:"):
        KeyFolder.load(folder, now=NOW + timedelta(seconds=1))


def test_anchors_are_added_once(folder: Path) -> None:
    file, authority = folder / "trust/manifest.pem", Authority()
    assert [add_anchors(file, authority.root_pem) for _ in range(2)] == [1, 0]
    assert len(x509.load_pem_x509_certificates(file.read_bytes())) == 2
    with pytest.raises(KeyMaterialError, match="cannot be added"):
        add_anchors(file, "no certificates")
    assert len(x509.load_pem_x509_certificates(file.read_bytes())) == 2


# --- passphrases -----------------------------------------------------------------------------------------------------


def test_a_passphrase_from_a_descriptor_is_read_once(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.write(writing, b"from the pipe\nanything else\n")
    os.close(writing)
    source = passphrase_source(file=None, descriptor=reading)
    assert source is not None
    assert [source(), source()] == [b"from the pipe"] * 2
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(reading)


def test_a_passphrase_from_a_file_is_its_first_line(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.touch(0o600)
    file.write_bytes(b"from the file\r\nmore\n")
    source = passphrase_source(file=file, descriptor=None)
    assert source is not None
    assert source() == b"from the file"
    file.write_bytes(b"\n")
    with pytest.raises(KeyMaterialError, match="no passphrase"):
        source()
    file.chmod(0o644)
    with pytest.raises(KeyMaterialError, match="open to other users"):
        source()


def test_passphrases_that_are_not_there_are_told(tmp_path: Path) -> None:
    assert passphrase_source(file=None, descriptor=None) is None
    with pytest.raises(KeyMaterialError, match="configured twice"):
        passphrase_source(file=tmp_path, descriptor=3)
    closed = passphrase_source(file=None, descriptor=987)
    assert closed is not None
    with pytest.raises(KeyMaterialError, match="file descriptor 987"):
        closed()


def test_the_whole_folder_unlocks_from_a_descriptor(folder: Path) -> None:
    described = json.loads((folder / "keys.json").read_text())
    (folder / "keys.json").write_text(json.dumps(described | {"environment": "production"}))
    for name in ("signer/key.pem", "ledger/private.pem"):
        key = serialization.load_pem_private_key((folder / name).read_bytes(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey)
        encryption = serialization.BestAvailableEncryption(PASSPHRASE)
        (folder / name).write_bytes(
            key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
        )
    reading, writing = os.pipe()
    os.write(writing, PASSPHRASE + b"\n")
    os.close(writing)
    keys = KeyFolder.load(
        folder, now=NOW, access=KeyAccess(passphrase=passphrase_source(file=None, descriptor=reading))
    )
    assert keys.signer.sign(b"\x84\x6aSignature1")
