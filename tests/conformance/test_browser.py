"""A real browser with the C2PA project's own verifier says what we say, for files of every state.

Needs Debian's ``chromium`` and ``npm``; ``make conformance`` installs the rest. A folder of further files, for instance
the public test files, can be named in ``SIGNET_CONFORMANCE_FILES``.
"""

import functools
import http.server
import importlib.util
import json
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from guard.credentials import CredentialState
from guard.isolation import WorkerPool
from guard.provenance.read import C2PACredentialReader
from tests.conformance.conftest import program, require
from tests.conformance.files import build, write
from tests.guard.provenance.support import Identity

pytestmark = pytest.mark.slow
HERE = Path(__file__).resolve().parent / "browser"
LEAST_FILES = 30
TIMEOUT_MS = 120_000
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'wasm-unsafe-eval'; worker-src blob:; connect-src 'self'"
)
BROWSER_SAYS = {
    CredentialState.TRUSTED: {"Trusted"},
    CredentialState.VALID_UNTRUSTED: {"Valid"},
    CredentialState.INVALID: {"Invalid"},
    CredentialState.NONE: {"none"},
    CredentialState.UNREADABLE: {"error"},
}


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves one folder with a strict content security policy."""

    extensions_map = http.server.SimpleHTTPRequestHandler.extensions_map | {
        ".wasm": "application/wasm",
        ".js": "text/javascript",
    }

    def end_headers(self) -> None:
        self.send_header("Content-Security-Policy", POLICY)
        super().end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def identities(tmp_path_factory: pytest.TempPathFactory) -> tuple[Identity, Identity]:
    folder = tmp_path_factory.mktemp("identities")
    return Identity.make(folder / "ours"), Identity.make(folder / "foreign")


@pytest.fixture(scope="module")
def site(
    tmp_path_factory: pytest.TempPathFactory, identities: tuple[Identity, Identity]
) -> Iterator[tuple[str, Path, list[tuple[str, str]]]]:
    """A web site with the verifier and all files: (address, folder of the files, their names and types)."""
    require((HERE / "node_modules/@contentauth/c2pa-web").is_dir(), "@contentauth/c2pa-web")
    folder = tmp_path_factory.mktemp("site")
    files = build(*identities)
    for path in sorted(Path(os.environ.get("SIGNET_CONFORMANCE_FILES", folder / "none")).glob("*.jpg")):
        files[path.name] = path.read_bytes()
    rows = write(folder / "files", files)
    shutil.copy(HERE / "verify.html", folder)
    (folder / "node_modules").symlink_to(HERE / "node_modules")
    (folder / "anchors.pem").write_text(identities[0].keys.anchors.manifest_pem)
    (folder / "files.json").write_text(json.dumps(rows))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/verify.html", folder / "files", rows
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def said_by_the_browser(site: tuple[str, Path, list[tuple[str, str]]]) -> dict[str, dict[str, Any]]:
    require(importlib.util.find_spec("playwright") is not None, "playwright")
    from playwright import sync_api as playwright

    chromium = program("chromium", "chromium-browser", "google-chrome")
    options = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
    requests: list[str] = []
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=chromium, args=options)
        page = browser.new_page()
        page.on("request", lambda request: requests.append(request.url))
        page.goto(site[0])
        page.wait_for_selector('#out[data-ready="1"]', timeout=TIMEOUT_MS)
        text = page.inner_text("#out")
        browser.close()
    assert not text.startswith("FATAL"), text
    outside = [url for url in requests if not url.startswith(("http://127.0.0.1:", "blob:", "data:"))]
    assert outside == [], "the verifier asked the network"
    return {row["name"]: row for row in json.loads(text)}


def test_the_browser_agrees_on_every_file(
    site: tuple[str, Path, list[tuple[str, str]]],
    said_by_the_browser: dict[str, dict[str, Any]],
    identities: tuple[Identity, Identity],
) -> None:
    _, folder, rows = site
    with WorkerPool(size=1, preload=("c2pa", "guard.provenance.read")) as pool:
        reader = C2PACredentialReader(identities[0].keys.anchors, pool=pool, deadline_s=20)
        ours = {name: reader.read((folder / name).read_bytes()) for name, _ in rows}
    differ = {
        name: (report.state.value, said_by_the_browser[name])
        for name, report in ours.items()
        if said_by_the_browser[name]["state"] not in BROWSER_SAYS[report.state]
    }
    assert differ == {}
    assert len(rows) >= LEAST_FILES
    assert {report.state for report in ours.values()} == set(CredentialState), "every state occurs"
