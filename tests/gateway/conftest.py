"""A real service on a real port, with real keys, the shipped model and a ledger of its own."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from gateway.auth.api_keys import Scope, add_api_key
from guard.provenance.dev_ca import init_development_keys

ROOT = Path(__file__).resolve().parents[2]
START_TIMEOUT_S = 60.0


@dataclass
class Service:
    """A running service and how to talk to it."""

    url: str
    home: Path
    process: subprocess.Popen[bytes]
    log: Path
    keys: dict[str, str]

    def client(self, key: str | None = "full") -> httpx.Client:
        headers = {"Authorization": f"Bearer {self.keys[key]}"} if key else {}
        return httpx.Client(base_url=self.url, headers=headers, timeout=120.0)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start_service(folder: Path, *, with_keys: bool = True, host: str = "127.0.0.1") -> Service:
    """Start `uvicorn service:app` in a process of its own and wait until it is ready."""
    home = folder / "home"
    if not home.exists():
        init_development_keys(home / "keys", now=datetime.now(UTC))
    key_file = folder / "api-keys.txt"
    keys = {
        "full": add_api_key(key_file, name="full", tenant="local", scopes=frozenset(Scope)),
        "detect": add_api_key(key_file, name="detect", tenant="local", scopes=frozenset({Scope.DETECT})),
        "other": add_api_key(key_file, name="other", tenant="other", scopes=frozenset(Scope)),
    }
    port = free_port()
    environment = os.environ | {"SIGNET_HOME": str(home), "OMP_NUM_THREADS": "1"}
    if with_keys:
        environment["SIGNET_API_KEYS_FILE"] = str(key_file)
    log = folder / f"service-{port}.log"
    command = [sys.executable, "-m", "uvicorn", "service:app", "--host", host, "--port", str(port), "--no-access-log"]
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=out, stderr=out)
    service = Service(url=f"http://127.0.0.1:{port}", home=home, process=process, log=log, keys=keys)
    give_up = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < give_up and process.poll() is None:
        try:
            httpx.get(f"{service.url}/healthz", timeout=1.0).raise_for_status()
            return service
        except httpx.HTTPError:
            time.sleep(0.1)
    process.kill()
    raise AssertionError(f"the service did not start:\n{log.read_text()}")


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    running = start_service(tmp_path_factory.mktemp("service"))
    yield running
    running.process.terminate()
    assert running.process.wait(timeout=20) in (0, -15)
