"""Who may call: without keys this machine only, with keys nobody's body is read before the key is checked."""

import socket
import time
from pathlib import Path

import httpx
import pytest

from gateway.routes.access import is_loopback
from guard.errors import ConfigError
from guard.settings import load_settings
from service import create_app
from tests.gateway.conftest import Service, start_service


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),  # noqa: S104
        ("192.168.1.5", False),
        ("fe80::1%eth0", False),
        ("example.org", False),
    ],
)
def test_what_counts_as_this_machine(host: str, local: bool) -> None:
    assert is_loopback(host) is local


def test_a_public_address_without_keys_is_refused_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="without API keys"):
        create_app(load_settings(home=tmp_path, host="0.0.0.0"))  # noqa: S104


@pytest.fixture(scope="module")
def keyless(tmp_path_factory: pytest.TempPathFactory):
    running = start_service(tmp_path_factory.mktemp("keyless"), with_keys=False, host="0.0.0.0")  # noqa: S104
    yield running
    running.process.kill()
    running.process.wait()


def own_address() -> str:
    """An address of this machine that is not loopback; connecting a datagram socket sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            pytest.skip("this machine has no other address than loopback")
        return str(probe.getsockname()[0])


def test_without_keys_only_this_machine_is_served_whatever_address_the_server_was_bound_to(keyless: Service) -> None:
    assert httpx.get(f"{keyless.url}/v1/detectors").status_code == 200
    elsewhere = keyless.url.replace("127.0.0.1", own_address())
    answer = httpx.get(f"{elsewhere}/v1/detectors")
    assert (answer.status_code, answer.json()["code"]) == (403, "keys_needed")
    assert httpx.get(f"{elsewhere}/healthz").status_code == 200


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP"])
def test_without_keys_forwarded_requests_are_not_local(keyless: Service, header: str) -> None:
    answer = httpx.get(f"{keyless.url}/v1/detectors", headers={header: "203.0.113.7"})
    assert answer.json()["code"] == "keys_needed"


def test_a_stranger_is_turned_away_before_the_body_arrives(service: Service) -> None:
    host, port = service.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        started = time.monotonic()
        head = f"POST /v1/generate HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        connection.sendall(f"{head}Content-Length: 1000000\r\n\r\n".encode())  # and not one byte of the body
        assert b" 401 " in connection.recv(4096).split(b"\r\n")[0]
        assert time.monotonic() - started < 5


@pytest.mark.parametrize("header", ["", "Basic abc", "Bearer", "Bearer wrong", "bearer x"])
def test_only_a_bearer_key_counts(service: Service, header: str) -> None:
    answer = httpx.get(f"{service.url}/v1/detectors", headers={"Authorization": header} if header else {})
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")


def test_invented_methods_do_not_grow_the_metrics(service: Service) -> None:
    for method in ("FOO1", "FOO2"):
        httpx.request(method, f"{service.url}/healthz")
    metrics = httpx.get(f"{service.url}/metrics").text
    assert "FOO" not in metrics
    assert 'method="other"' in metrics
