"""Time stamps: a real authority (openssl ts), and one that is down, hangs, lies, or belongs to somebody else."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.credentials import CredentialState, TimeStampOutcome
from guard.errors import ConfigError, SigningError
from guard.provenance.http_exchange import exchange
from guard.provenance.key_source import CallbackKeySource
from guard.provenance.read import C2PACredentialReader
from guard.provenance.sign import C2PACredentialSigner
from guard.provenance.time_stamp import MAX_BYTES, TimeStampPolicy, TimeStampSource, pki_status
from guard.provenance.trust import TrustAnchors
from guard.records import ImageFormat
from tests.guard.provenance.listeners import Listener, TimeStampAuthority
from tests.guard.provenance.support import GENERATOR, IMAGE_ID, Identity, encoded, facts

ROOT = Path(__file__).resolve().parents[3]
needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl program")
WITHOUT = TimeStampPolicy.SIGN_WITHOUT
REJECTION = bytes.fromhex("30053003020102")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TimeStampAuthority]:
    with TimeStampAuthority(tmp_path_factory.mktemp("tsa")) as made:
        yield made


@pytest.fixture
def stranger(tmp_path: Path) -> Iterator[TimeStampAuthority]:
    with TimeStampAuthority(tmp_path) as made:
        yield made


def signer_with(ours: Identity, source: TimeStampSource) -> C2PACredentialSigner:
    return C2PACredentialSigner(ours.keys.signer, claim_generator=GENERATOR, time_stamps=source)


def sign(ours: Identity, source: TimeStampSource) -> tuple[bytes, TimeStampOutcome]:
    signed = signer_with(ours, source).sign_bytes(facts(), encoded(ImageFormat.PNG), "image/png")
    return signed.data, signed.time_stamp


# --- it works --------------------------------------------------------------------------------------------------------


@needs_openssl
def test_a_stamp_of_the_listed_authority(ours: Identity, authority: TimeStampAuthority) -> None:
    source = TimeStampSource(authority.url, anchors_pem=authority.root_pem)
    data, outcome = sign(ours, source)
    assert outcome is TimeStampOutcome.STAMPED
    assert (source.stamped, source.signed_without, source.last_failure) == (1, 0, None)
    anchors = TrustAnchors(manifest_pem=ours.keys.anchors.manifest_pem, tsa_pem=authority.root_pem)
    report = C2PACredentialReader(anchors, pool=None).read(data)
    assert report.state is CredentialState.TRUSTED
    assert "timeStamp.trusted" in report.codes
    source.close()


@needs_openssl
def test_a_manifest_beside_its_file_is_stamped_too(ours: Identity, authority: TimeStampAuthority) -> None:
    source = TimeStampSource(authority.url, anchors_pem=authority.root_pem)
    png = encoded(ImageFormat.PNG)
    signed = signer_with(ours, source).sign_bytes(facts(), png, "image/png", sidecar=True)
    assert (signed.data, signed.time_stamp) == (png, TimeStampOutcome.STAMPED)
    source.close()


# --- it fails --------------------------------------------------------------------------------------------------------


FAILURES = {
    "down": None,
    "500": (500, b""),
    "garbage": (200, b"not a time stamp"),
    "empty": (200, b""),
    "rejection": (200, REJECTION),
    "granted and then garbage": (200, bytes.fromhex("30073003020100") + b"\x30\x00"),
    "too large": (200, bytes(MAX_BYTES + 1)),
}


@pytest.mark.parametrize("policy", TimeStampPolicy)
@pytest.mark.parametrize("failure", FAILURES)
def test_an_authority_that_fails(
    ours: Identity, failure: str, policy: TimeStampPolicy, caplog: pytest.LogCaptureFixture
) -> None:
    answer = FAILURES[failure]
    with Listener(*(answer or (404, b""))) as listener:
        url = listener.url if answer else "http://127.0.0.1:1/"
        source = TimeStampSource(url, policy=policy, deadline_s=5)
        if policy is TimeStampPolicy.REFUSE:
            with pytest.raises(SigningError, match="could not be signed with a time stamp") as caught:
                sign(ours, source)
            assert "SIGNET_TSA_POLICY" in caught.value.diagnostics()
        else:
            data, outcome = sign(ours, source)
            assert outcome is TimeStampOutcome.SIGNED_WITHOUT, "said so"
            assert f"{IMAGE_ID} was signed without a time stamp" in caplog.text
            assert ours.reader(None).read(data).state is CredentialState.TRUSTED
            assert (source.stamped, source.signed_without) == (0, 1)
        if failure != "granted and then garbage":  # the relay cannot tell; c2pa-rs does
            assert source.last_failure
        assert bool(listener.hits) is (answer is not None)
    source.close()


@pytest.mark.parametrize("policy", TimeStampPolicy)
def test_an_authority_that_hangs_costs_our_deadline_not_30_seconds(ours: Identity, policy: TimeStampPolicy) -> None:
    leave = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def hang() -> None:
            connection, _ = server.accept()
            with connection:
                leave.wait(40)

        thread = threading.Thread(target=hang, daemon=True)
        thread.start()
        source = TimeStampSource(f"http://127.0.0.1:{server.getsockname()[1]}/", policy=policy, deadline_s=0.5)
        began = time.monotonic()
        if policy is TimeStampPolicy.REFUSE:
            with pytest.raises(SigningError, match=r"within 0\.5 s"):
                sign(ours, source)
        else:
            assert sign(ours, source)[1] is TimeStampOutcome.SIGNED_WITHOUT
        assert time.monotonic() - began < 10
        began = time.monotonic()
        if policy is WITHOUT:
            assert sign(ours, source)[1] is TimeStampOutcome.SIGNED_WITHOUT, "without asking again at once"
            assert source.signed_without == 2
        leave.set()
        thread.join()
    source.close()


@needs_openssl
@pytest.mark.parametrize("policy", TimeStampPolicy)
def test_an_authority_of_another_root(
    ours: Identity, authority: TimeStampAuthority, stranger: TimeStampAuthority, policy: TimeStampPolicy
) -> None:
    source = TimeStampSource(stranger.url, policy=policy, anchors_pem=authority.root_pem)
    if policy is TimeStampPolicy.REFUSE:
        with pytest.raises(SigningError, match="none of the configured anchors"):
            sign(ours, source)
    else:
        data, outcome = sign(ours, source)
        assert outcome is TimeStampOutcome.SIGNED_WITHOUT
        both = TrustAnchors(manifest_pem=ours.keys.anchors.manifest_pem, tsa_pem=stranger.root_pem)
        codes = C2PACredentialReader(both, pool=None).read(data).codes
        assert not any(code.startswith("timeStamp") for code in codes), "the stranger's stamp is not in the file"
    source.close()


def test_a_key_that_fails_is_not_taken_for_the_authority(ours: Identity) -> None:
    def fail(data: bytes) -> bytes:
        raise ConnectionError

    keys = CallbackKeySource(
        certificate_chain_pem=ours.keys.signer.certificate_chain_pem, sign=fail, now=datetime.now(UTC)
    )
    source = TimeStampSource("http://127.0.0.1:1/", policy=WITHOUT)
    signer = C2PACredentialSigner(keys, claim_generator=GENERATOR, time_stamps=source)
    with pytest.raises(SigningError, match="signing key failed"):
        signer.sign_bytes(facts(), encoded(ImageFormat.PNG), "image/png")
    assert source.signed_without == 0
    source.close()


# --- the relay -------------------------------------------------------------------------------------------------------


def test_the_relay_serves_nobody_who_does_not_know_its_address() -> None:
    with Listener(200, b"x") as listener:
        source = TimeStampSource(listener.url)
        base = source.address().rsplit("/", 1)[0]
        for path in ("/", "/x", f"/{'A' * 32}"):
            answer = exchange(f"{base}{path}", method="POST", body=b"q", deadline_s=5, max_bytes=10_000)
            assert answer.status == 404
        assert listener.hits == []
        source.close()


@pytest.mark.parametrize("url", ["", "file:///etc/passwd", "ftp://x", "tsa.example", "http://"])
def test_the_address_must_be_http(url: str) -> None:
    with pytest.raises(ConfigError, match="http:// or https://"):
        TimeStampSource(url)


_BEHIND_A_PROXY = """
import sys
from pathlib import Path
from tests.guard.provenance.support import GENERATOR, IMAGE_ID, Identity, encoded, facts
from tests.guard.provenance.listeners import TimeStampAuthority
from guard.provenance.sign import C2PACredentialSigner
from guard.provenance.time_stamp import TimeStampSource
from guard.records import ImageFormat
folder = Path(sys.argv[1])
ours = Identity.make(folder / "keys")
with TimeStampAuthority(folder) as authority:
    source = TimeStampSource(authority.url, anchors_pem=authority.root_pem)
    signer = C2PACredentialSigner(ours.keys.signer, claim_generator=GENERATOR, time_stamps=source)
    print(signer.sign_bytes(facts(), encoded(ImageFormat.PNG), "image/png").time_stamp)
"""


@needs_openssl
def test_a_proxy_in_the_environment_is_not_asked_for_the_relay(tmp_path: Path) -> None:
    """The trap: c2pa-rs sends even a loopback request to http_proxy."""
    proxies = dict.fromkeys(("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"), "http://127.0.0.1:1")
    environment = os.environ | proxies | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", _BEHIND_A_PROXY, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60)
    assert done.stdout.strip() == "stamped", done.stderr


@pytest.mark.parametrize(
    ("reply", "status"),
    [(bytes.fromhex("30053003020100"), 0), (REJECTION, 2), (bytes.fromhex("3081053003020101"), 1)],
)
def test_the_status_of_a_reply(reply: bytes, status: int) -> None:
    assert pki_status(reply) == status


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_no_reply_breaks_the_parser(reply: bytes) -> None:
    with contextlib.suppress(ValueError):
        assert 0 <= pki_status(reply) <= 255
