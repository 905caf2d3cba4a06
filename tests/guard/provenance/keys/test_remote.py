"""Signing service and its client over real mutual TLS; also killed in the middle of a request."""

import base64
import contextlib
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from guard.credentials import CredentialState
from guard.errors import KeyMaterialError, SigningError
from guard.provenance.http_exchange import exchange
from guard.provenance.issuing import private_pem
from guard.provenance.key_source import CallbackKeySource
from guard.provenance.keys.interfaces import KeyAccess
from guard.provenance.keys.mutual_tls import CA, SERVICE, SERVICE_KEY, MutualTLSFiles, init_mutual_tls
from guard.provenance.keys.reference import ServiceReference
from guard.provenance.keys.remote import RemoteKey, client_context
from guard.provenance.keys.signing_service import (
    MAX_BUSY,
    MAX_CONNECTIONS,
    MAX_REQUEST_BYTES,
    ServiceTLS,
    SigningRecord,
    SigningService,
)
from guard.provenance.sign import C2PACredentialSigner
from guard.records import ImageFormat
from tests.guard.provenance.support import GENERATOR, Identity, encoded, facts

NOW = datetime.now(UTC)
STRUCTURE = b"\x84\x6aSignature1" + bytes(100)
"""As much of a COSE signature structure as the service looks at."""


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> MutualTLSFiles:
    return init_mutual_tls(
        tmp_path_factory.mktemp("tls") / "tls",
        hosts=("localhost", "127.0.0.1"),
        front_ends=("gateway", "guest"),
        now=NOW,
    )


def access_for(files: MutualTLSFiles, name: str = "gateway", *, deadline_s: float = 10) -> KeyAccess:
    certificate = files.front_ends[name]
    return KeyAccess(
        deadline_s=deadline_s,
        ca_file=files.folder / CA,
        certificate_file=certificate,
        key_file=certificate.with_name(f"front-end-{name}.key.pem"),
    )


def service_tls(files: MutualTLSFiles) -> ServiceTLS:
    folder = files.folder
    return ServiceTLS(certificate_file=folder / SERVICE, key_file=folder / SERVICE_KEY, clients_ca_file=folder / CA)


@dataclass
class Running:
    service: SigningService
    records: list[SigningRecord]
    access: KeyAccess
    url: str = field(init=False)

    def __post_init__(self) -> None:
        self.url = f"https://localhost:{self.service.port}"

    def key(self, *, access: KeyAccess | None = None, key_id: str = "claims") -> RemoteKey:
        return RemoteKey(ServiceReference(url=self.url, key_id=key_id), access=access or self.access)

    def post(self, body: bytes, path: str = "/v1/keys/claims/sign") -> tuple[int, str]:
        answer = exchange(
            self.url + path, method="POST", body=body, deadline_s=10, max_bytes=10_000, tls=client_context(self.access)
        )
        return answer.status, json.loads(answer.body).get("error", "")


@pytest.fixture
def running(ours: Identity, tls: MutualTLSFiles) -> Iterator[Running]:
    records: list[SigningRecord] = []
    service = SigningService(
        ("127.0.0.1", 0),
        tls=service_tls(tls),
        keys={"claims": lambda: ours.keys.signer},
        clients=frozenset({"gateway"}),
        on_record=records.append,
    )
    thread = threading.Thread(target=service.serve_forever, daemon=True)
    thread.start()
    yield Running(service, records, access_for(tls))
    service.close()
    thread.join()


def source_of(key: RemoteKey) -> CallbackKeySource:
    return CallbackKeySource(certificate_chain_pem=key.certificate_chain(), sign=key.sign, now=datetime.now(UTC))


# --- it works --------------------------------------------------------------------------------------------------------


def test_a_picture_is_signed_by_a_key_that_this_process_never_sees(ours: Identity, running: Running) -> None:
    signer = C2PACredentialSigner(source_of(running.key()), claim_generator=GENERATOR)
    signed = signer.sign_bytes(facts(), encoded(ImageFormat.PNG), "image/png")
    assert ours.reader(None).read(signed.data).state is CredentialState.TRUSTED
    assert [(r.client, r.key_id, r.status) for r in running.records] == [("gateway", "claims", 200)] * 2
    assert [bool(r.data_sha256) for r in running.records] == [False, True]


def test_the_public_key_is_that_of_the_certificate(ours: Identity, running: Running) -> None:
    from cryptography import x509

    leaf = x509.load_pem_x509_certificate(ours.keys.signer.certificate_chain_pem.encode())
    assert running.key().public_key() == leaf.public_key()


# --- each end knows the other ----------------------------------------------------------------------------------------


def test_a_front_end_that_is_not_on_the_list_gets_nothing(running: Running, tls: MutualTLSFiles) -> None:
    with pytest.raises(SigningError, match=r"refused \(403\).*guest"):
        running.key(access=access_for(tls, "guest")).sign(STRUCTURE)
    assert (running.records[-1].client, running.records[-1].status) == ("guest", 403)


def test_a_front_end_of_another_authority_is_not_let_in(running: Running, tls: MutualTLSFiles, tmp_path: Path) -> None:
    stranger = init_mutual_tls(tmp_path / "tls", hosts=("localhost",), front_ends=("gateway",), now=NOW)
    access = replace(access_for(stranger), ca_file=tls.folder / CA)
    with pytest.raises(SigningError, match="did not accept this front end"):
        running.key(access=access).sign(STRUCTURE)
    assert [r.status for r in running.records] in ([], [0])


def test_without_a_certificate_nobody_is_let_in(running: Running, tls: MutualTLSFiles) -> None:
    context = ssl.create_default_context(cafile=str(tls.folder / CA))
    with pytest.raises(OSError, match=r"(?i)certificate required|reset|closed"):
        exchange(f"{running.url}/v1/keys/claims", deadline_s=10, max_bytes=10_000, tls=context)


def test_a_service_of_another_authority_is_not_believed(running: Running, tls: MutualTLSFiles, tmp_path: Path) -> None:
    stranger = init_mutual_tls(tmp_path / "tls", hosts=("localhost",), front_ends=("gateway",), now=NOW)
    access = replace(access_for(tls), ca_file=stranger.folder / CA)
    with pytest.raises(SigningError, match="showed a certificate that is not accepted"):
        running.key(access=access).sign(STRUCTURE)


def test_a_service_under_another_name_is_not_believed(running: Running, tls: MutualTLSFiles, tmp_path: Path) -> None:
    other = init_mutual_tls(tmp_path / "tls", hosts=("signer.example",), front_ends=("gateway",), now=NOW)
    service = SigningService(
        ("127.0.0.1", 0),
        tls=service_tls(other),
        keys={},
        clients=frozenset(),
        on_record=lambda record: None,
    )
    thread = threading.Thread(target=service.serve_forever, daemon=True)
    thread.start()
    try:
        key = RemoteKey(
            ServiceReference(url=f"https://localhost:{service.port}", key_id="claims"), access=access_for(other)
        )
        with pytest.raises(SigningError, match=r"not accepted.*localhost"):
            key.sign(STRUCTURE)
    finally:
        service.close()
        thread.join()


def test_incomplete_files_are_told(tls: MutualTLSFiles, tmp_path: Path) -> None:
    with pytest.raises(KeyMaterialError, match="not all of its files"):
        client_context(replace(access_for(tls), key_file=None))
    with pytest.raises(KeyMaterialError, match="cannot be used"):
        client_context(replace(access_for(tls), key_file=tmp_path / "missing"))


def test_an_encrypted_key_for_tls_is_unlocked_or_told_but_never_asked_for(
    running: Running, tls: MutualTLSFiles, tmp_path: Path
) -> None:
    access = access_for(tls)
    assert access.key_file is not None
    locked = tmp_path / "locked.pem"
    key = serialization.load_pem_private_key(access.key_file.read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    locked.write_bytes(private_pem(key, passphrase=b"correct horse"))
    with pytest.raises(KeyMaterialError, match="cannot be used"):
        client_context(replace(access, key_file=locked))
    unlocked = replace(access, key_file=locked, passphrase=lambda: b"correct horse")
    assert running.key(access=unlocked).sign(STRUCTURE)


def test_connections_that_never_speak_do_not_keep_others_out(running: Running) -> None:
    idle = [socket.create_connection(("127.0.0.1", running.service.port)) for _ in range(MAX_CONNECTIONS // 2)]
    try:
        assert running.key().sign(STRUCTURE)
    finally:
        for connection in idle:
            connection.close()


def test_too_many_connections_are_closed_at_once(running: Running) -> None:
    idle = [socket.create_connection(("127.0.0.1", running.service.port)) for _ in range(MAX_CONNECTIONS + 20)]
    try:
        closed = 0
        for connection in idle[-20:]:
            connection.settimeout(2)
            with contextlib.suppress(TimeoutError):
                closed += connection.recv(1) == b""
        assert closed == 20
    finally:
        for connection in idle:
            connection.close()
    for _ in range(100):
        try:
            assert running.key().sign(STRUCTURE)
            break
        except SigningError:
            time.sleep(0.05)
    else:
        pytest.fail("the service did not recover")


# --- what it refuses to sign -----------------------------------------------------------------------------------------


def body_of(data: bytes, version: object = 1) -> bytes:
    return json.dumps({"version": version, "data": base64.b64encode(data).decode()}).encode()


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (body_of(b"an invoice"), 422, "not a COSE signature structure"),
        (body_of(STRUCTURE, version=2), 400, "protocol version 1"),
        (b"{}", 400, "expected JSON"),
        (b"[]", 400, "expected JSON"),
        (b"\xff", 400, "expected JSON"),
        (b'{"version": 1, "data": "%%"}', 400, "expected JSON"),
        (bytes(MAX_REQUEST_BYTES + 1), 413, "more than"),
    ],
    ids=["not COSE", "version", "no fields", "list", "bytes", "base64", "size"],
)
def test_anything_but_a_claim_is_refused(running: Running, body: bytes, status: int, reason: str) -> None:
    got, said = running.post(body)
    assert got == status
    assert reason in said
    assert not any(r.status == 200 for r in running.records)


@pytest.mark.parametrize("path", ["/v1/keys/other/sign", "/v1/keys/claims", "/", "/v1/keys/claims/export"])
def test_unknown_addresses_are_refused(running: Running, path: str) -> None:
    assert running.post(body_of(STRUCTURE), path)[0] == 404


def test_a_key_that_fails_is_told_to_the_operator_alone(tls: MutualTLSFiles) -> None:
    records: list[SigningRecord] = []

    def broken() -> CallbackKeySource:
        raise KeyMaterialError("/etc/secret/place cannot be read")

    service = SigningService(
        ("127.0.0.1", 0),
        tls=service_tls(tls),
        keys={"claims": broken},  # type: ignore[dict-item]
        clients=frozenset({"gateway"}),
        on_record=records.append,
    )
    status, fields = service.answer(client="gateway", method="POST", path="/v1/keys/claims/sign", body=b"")
    service._server.server_close()
    assert status == 500
    assert "/etc" not in json.dumps(fields)
    assert "/etc/secret/place" in records[0].reason


# --- it fails --------------------------------------------------------------------------------------------------------


def test_nobody_listens(tls: MutualTLSFiles) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    key = RemoteKey(ServiceReference(url=f"https://localhost:{port}", key_id="claims"), access=access_for(tls))
    began = time.monotonic()
    with pytest.raises(SigningError, match="cannot be reached"):
        key.sign(STRUCTURE)
    assert 0.25 < time.monotonic() - began < 5, "tried again twice"


@pytest.mark.parametrize("drip", [False, True], ids=["silent", "one byte now and then"])
def test_a_service_that_hangs_meets_the_deadline(tls: MutualTLSFiles, drip: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def hang() -> None:
            connection, _ = server.accept()
            with connection:
                for _ in range(200):
                    if drip:
                        try:
                            connection.send(b"\x16")
                        except OSError:
                            return
                    time.sleep(0.05)

        thread = threading.Thread(target=hang, daemon=True)
        thread.start()
        url = f"https://localhost:{server.getsockname()[1]}"
        key = RemoteKey(ServiceReference(url=url, key_id="claims"), access=access_for(tls, deadline_s=0.6))
        began = time.monotonic()
        with pytest.raises(SigningError, match=r"did not answer within 0\.6 s|cannot be|did not accept"):
            key.sign(STRUCTURE)
        assert time.monotonic() - began < 3


def test_a_busy_service_is_asked_again(running: Running) -> None:
    for _ in range(MAX_BUSY):
        running.service.busy.acquire()
    timer = threading.Timer(0.1, lambda: [running.service.busy.release() for _ in range(MAX_BUSY)])
    timer.start()
    assert running.key().sign(STRUCTURE)
    timer.join()


_SERVE = """
import sys, time
from datetime import UTC, datetime
from pathlib import Path
from guard.provenance.keys_folder import KeyFolder
from guard.provenance.keys.signing_service import ServiceTLS, SigningService
keys, tls = Path(sys.argv[1]), Path(sys.argv[2])
signer = KeyFolder.load(keys, now=datetime.now(UTC)).signer
class Slow:
    algorithm, certificate_chain_pem = signer.algorithm, signer.certificate_chain_pem
    def sign(self, data):
        print("signing", flush=True)
        time.sleep(60)
slow = Slow()
files = ServiceTLS(certificate_file=tls/"service.pem", key_file=tls/"service.key.pem", clients_ca_file=tls/"ca.pem")
service = SigningService(("127.0.0.1", 0), tls=files, keys={"claims": lambda: slow}, clients=frozenset({"gateway"}),
                         on_record=lambda record: None)
print(service.port, flush=True)
service.serve_forever()
"""


def test_killed_in_the_middle_of_a_request_nothing_is_released(ours: Identity, tls: MutualTLSFiles) -> None:
    """A real process with the key; SIGKILL while it signs. The caller gets a clear error soon, and no bytes."""
    command = [sys.executable, "-c", _SERVE, str(ours.keys.path), str(tls.folder)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        key = RemoteKey(ServiceReference(url=f"https://localhost:{port}", key_id="claims"), access=access_for(tls))
        signer = C2PACredentialSigner(source_of(key), claim_generator=GENERATOR)
        outcome: list[object] = []

        def sign() -> None:
            try:
                outcome.append(signer.sign_bytes(facts(), encoded(ImageFormat.PNG), "image/png"))
            except SigningError as error:
                outcome.append(error)

        thread = threading.Thread(target=sign)
        thread.start()
        assert process.stdout.readline() == "signing\n"
        process.send_signal(signal.SIGKILL)
        killed = time.monotonic()
        thread.join(20)
    (error,) = outcome
    assert isinstance(error, SigningError)
    assert "cannot be reached" in str(error)
    assert time.monotonic() - killed < 5
