"""Keys in a real token (SoftHSM 2): every algorithm, several threads, forks, and everything that can be wrong."""

import multiprocessing
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from guard.credentials import CredentialState
from guard.errors import KeyMaterialError, SigningError
from guard.provenance.certificates import algorithm_of, signing_chain
from guard.provenance.key_source import CallbackKeySource
from guard.provenance.keys.interfaces import KeyAccess
from guard.provenance.keys.pkcs11 import PKCS11Key
from guard.provenance.keys.reference import PKCS11Reference, parse_reference
from guard.provenance.sign import C2PACredentialSigner
from guard.records import ImageFormat
from tests.guard.provenance.keys.holders import KEYS, Token, needs_softhsm
from tests.guard.provenance.support import GENERATOR, Identity, encoded, facts

ACCESS = KeyAccess(deadline_s=5)
pytestmark = needs_softhsm


def reference_of(token: Token, name: str) -> PKCS11Reference:
    parsed = parse_reference(token.reference(name))
    assert isinstance(parsed, PKCS11Reference)
    return parsed


@pytest.fixture(scope="module")
def key(token: Token) -> PKCS11Key:
    return PKCS11Key(reference_of(token, "claims"), access=ACCESS)


@pytest.mark.parametrize("algorithm", KEYS)
def test_every_algorithm_signs_what_its_public_key_verifies(token: Token, algorithm: str) -> None:
    key = PKCS11Key(reference_of(token, f"algorithm-{algorithm}"), access=ACCESS)
    public = key.public_key()
    name, length = algorithm_of(public)
    assert name == algorithm
    signature = key.sign(b"data")
    assert len(signature) == length
    check_raw(public, algorithm, signature, b"data")


def check_raw(public: object, algorithm: str, signature: bytes, data: bytes) -> None:
    from guard.provenance import certificates

    certificates._verify(public, algorithm, signature, data)


def test_a_picture_signed_in_the_token_is_trusted(ours: Identity, key: PKCS11Key) -> None:
    public = key.public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey)
    chain = ours.chain_for(public)
    source = CallbackKeySource(certificate_chain_pem=chain, sign=key.sign, now=datetime.now(UTC))
    signed = C2PACredentialSigner(source, claim_generator=GENERATOR).sign_bytes(
        facts(), encoded(ImageFormat.PNG), "image/png"
    )
    assert ours.reader(None).read(signed.data).state is CredentialState.TRUSTED


def test_many_threads_share_one_key(key: PKCS11Key) -> None:
    public = key.public_key()
    with ThreadPoolExecutor(8) as pool:
        signatures = list(pool.map(lambda i: (i, key.sign(b"%d" % i)), range(64)))
    for i, signature in signatures:
        check_raw(public, "es256", signature, b"%d" % i)


def test_two_keys_of_one_token(token: Token, key: PKCS11Key) -> None:
    second = PKCS11Key(reference_of(token, "second"), access=ACCESS)
    assert key.sign(b"x")
    assert len(second.sign(b"x")) == 96
    second.close()  # logs the whole process out of the token
    assert key.sign(b"x"), "and the first key logs in again"


def _sign_in_child(key: PKCS11Key, out: "multiprocessing.connection.Connection") -> None:
    out.send_bytes(key.sign(b"from the child"))


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork.*:DeprecationWarning")
def test_a_key_opened_before_a_fork_works_after_it(key: PKCS11Key) -> None:
    key.sign(b"open the session")
    ours, theirs = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=_sign_in_child, args=(key, theirs))
    process.start()
    assert ours.poll(20)
    check_raw(key.public_key(), "es256", ours.recv_bytes(), b"from the child")
    process.join(10)
    assert process.exitcode == 0
    assert key.sign(b"the parent goes on")


def test_a_wrong_pin_is_told_without_it(tokens: dict[str, Token], tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.pin"
    wrong.touch(0o600)
    wrong.write_text("999999")
    with pytest.raises(SigningError, match="PinIncorrect") as caught:
        PKCS11Key(replace(reference_of(tokens["locked"], "claims"), pin_file=wrong), access=ACCESS).sign(b"x")
    assert "999999" not in str(caught.value) + caught.value.diagnostics()


def test_the_pin_may_be_the_configured_passphrase(tokens: dict[str, Token]) -> None:
    reference = replace(reference_of(tokens["by-passphrase"], "claims"), pin_file=None)
    assert PKCS11Key(reference, access=KeyAccess(passphrase=lambda: b"648219\n")).sign(b"x")


def test_an_open_pin_file_is_refused(token: Token, tmp_path: Path) -> None:
    pin = tmp_path / "open.pin"
    pin.write_text("1234")
    pin.chmod(0o644)
    with pytest.raises(KeyMaterialError, match="open to other users"):
        PKCS11Key(replace(reference_of(token, "claims"), pin_file=pin), access=ACCESS).sign(b"x")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"label": "no such key"}, "0 private keys"),
        ({"token": "no such token"}, "0 tokens fit 'no such token'"),
        ({"module": Path("/no/such/library.so")}, "cannot be loaded"),
    ],
)
def test_what_is_not_there_is_told(token: Token, key: PKCS11Key, change: dict[str, object], message: str) -> None:
    with pytest.raises(KeyMaterialError, match=message):
        PKCS11Key(replace(reference_of(token, "claims"), **change), access=ACCESS).sign(b"x")  # type: ignore[arg-type]


def test_two_keys_under_one_name_are_refused(token: Token) -> None:
    with pytest.raises(KeyMaterialError, match="2 private keys"):
        PKCS11Key(reference_of(token, "twice"), access=ACCESS).sign(b"x")


def test_a_token_that_hangs_fails_the_others_in_time(key: PKCS11Key) -> None:
    slow = PKCS11Key(key._reference, access=KeyAccess(deadline_s=0.2))
    entered, leave = threading.Event(), threading.Event()

    def hang(session: object) -> bytes:
        entered.set()
        leave.wait(10)
        return b""

    thread = threading.Thread(target=lambda: slow._locked(hang))
    thread.start()
    assert entered.wait(10)
    with pytest.raises(SigningError, match=r"busy for 0\.2 s"):
        slow.sign(b"x")
    leave.set()
    thread.join()
    assert slow.sign(b"x")


def test_the_chain_of_another_key_is_told(ours: Identity, key: PKCS11Key) -> None:
    chain = signing_chain(ours.keys.signer.certificate_chain_pem, now=datetime.now(UTC))
    source = CallbackKeySource(certificate_chain_pem=chain.pem, sign=key.sign, now=datetime.now(UTC))
    with pytest.raises(KeyMaterialError, match="does not verify with the certificate"):
        source.sign(b"x")
