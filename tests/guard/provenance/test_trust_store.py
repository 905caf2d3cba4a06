"""Trust lists: fetched over https or imported, pinned, kept apart by kind, refused when somebody changed them."""

import contextlib
import hashlib
import http.server
import json
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.cli.main import app
from guard.credentials import CredentialState
from guard.errors import KeyMaterialError, VerificationError
from guard.provenance.keys.mutual_tls import init_mutual_tls
from guard.provenance.read import C2PACredentialReader
from guard.provenance.trust import MAX_LIST_BYTES, TrustKind
from guard.provenance.trust_store import INDEX, ListPinnedError, TrustStore
from tests.guard.provenance.support import Identity

NOW = datetime(2026, 11, 22, tzinfo=UTC)
LATER = NOW + timedelta(days=7)


@pytest.fixture
def store(tmp_path: Path) -> TrustStore:
    return TrustStore(tmp_path / "trust")


def published(folder: Path, *identities: Identity, name: str = "list.pem") -> tuple[Path, str]:
    """A list with comments, as they are published; its path and digest."""
    file = folder / name
    text = "".join(f"Subject\tCN=root {i}\n{each.keys.anchors.manifest_pem}\n" for i, each in enumerate(identities))
    file.write_text(text)
    return file, hashlib.sha256(file.read_bytes()).hexdigest()


# --- importing -------------------------------------------------------------------------------------------------------


def test_an_imported_list_makes_its_signers_trusted_by_name(
    store: TrustStore, ours: Identity, foreign: Identity, tmp_path: Path
) -> None:
    file, digest = published(tmp_path, foreign)
    change = store.update("press", kind=TrustKind.MANIFEST, source=str(file), now=NOW)
    assert (len(change.added), change.removed, change.entry.sha256) == (1, (), digest)
    assert change.entry.pinned is True
    report = C2PACredentialReader(ours.keys.anchors.plus(store.anchors()), pool=None).read(foreign.signed())
    assert (report.state, report.trust_list) == (CredentialState.TRUSTED, "press")
    store.remove("press")
    report = C2PACredentialReader(ours.keys.anchors.plus(store.anchors()), pool=None).read(foreign.signed())
    assert (report.state, report.trust_list) == (CredentialState.VALID_UNTRUSTED, None)


def test_a_list_for_time_stamps_makes_no_signer_trusted(store: TrustStore, foreign: Identity, tmp_path: Path) -> None:
    file, _ = published(tmp_path, foreign)
    store.update("stamps", kind=TrustKind.TSA, source=str(file), now=NOW)
    report = C2PACredentialReader(store.anchors(), pool=None).read(foreign.signed())
    assert report.state is CredentialState.VALID_UNTRUSTED


def test_a_list_keeps_its_kind(store: TrustStore, ours: Identity, tmp_path: Path) -> None:
    file, _ = published(tmp_path, ours)
    with pytest.raises(KeyMaterialError, match="vouches for claim signers, not for time-stamp authorities"):
        store.update("c2pa", kind=TrustKind.TSA, source=str(file), now=NOW)
    store.update("press", kind=TrustKind.TSA, source=str(file), now=NOW)
    with pytest.raises(KeyMaterialError, match="kinds are kept apart"):
        store.update("press", kind=TrustKind.MANIFEST, now=NOW)


def test_the_official_lists_are_known_by_name(store: TrustStore, ours: Identity, tmp_path: Path) -> None:
    file, _ = published(tmp_path, ours)
    kinds = [store.update(name, source=str(file), now=NOW).entry.kind for name in ("c2pa", "c2pa-tsa")]
    assert kinds == [TrustKind.MANIFEST, TrustKind.TSA]


# --- pinning ---------------------------------------------------------------------------------------------------------


def test_a_pinned_list_changes_only_by_its_new_digest(
    store: TrustStore, ours: Identity, foreign: Identity, tmp_path: Path
) -> None:
    file, _ = published(tmp_path, ours)
    store.update("press", kind=TrustKind.MANIFEST, source=str(file), now=NOW)
    _, digest = published(tmp_path, foreign)
    before = store.anchors()
    with pytest.raises(ListPinnedError, match="1 certificates added") as caught:
        store.update("press", now=LATER)
    assert isinstance(caught.value, VerificationError), "exit code 1: a finding"
    assert (len(caught.value.change.added), len(caught.value.change.removed)) == (1, 1)
    assert digest in caught.value.diagnostics()
    assert store.anchors() == before, "nothing was taken over"
    with pytest.raises(KeyMaterialError, match="expected 0000"):
        store.update("press", sha256="0" * 64, now=LATER)
    change = store.update("press", sha256=digest.upper(), now=LATER)
    assert change.entry.sha256 == digest
    assert store.anchors() != before
    assert change.entry.updated_at.startswith("2026-11-29")


def test_a_list_that_is_not_pinned_follows_its_source(
    store: TrustStore, ours: Identity, foreign: Identity, tmp_path: Path
) -> None:
    file, _ = published(tmp_path, ours)
    store.update("press", kind=TrustKind.MANIFEST, source=str(file), now=NOW)
    assert store.pin("press", pinned=False).pinned is False
    published(tmp_path, ours, foreign)
    change = store.update("press", now=LATER)
    assert (len(change.added), change.removed) == (1, ())
    store.pin("press", pinned=True)
    published(tmp_path, ours)
    with pytest.raises(ListPinnedError):
        store.update("press", now=LATER)


def test_an_unchanged_list_keeps_its_date(store: TrustStore, ours: Identity, tmp_path: Path) -> None:
    file, _ = published(tmp_path, ours)
    first = store.update("press", kind=TrustKind.MANIFEST, source=str(file), now=NOW)
    assert store.update("press", now=LATER).entry == first.entry


# --- what is refused -------------------------------------------------------------------------------------------------


def test_a_list_that_somebody_changed_here_is_not_used(
    store: TrustStore, ours: Identity, foreign: Identity, tmp_path: Path
) -> None:
    file, _ = published(tmp_path, ours)
    store.update("press", kind=TrustKind.MANIFEST, source=str(file), now=NOW)
    stored = tmp_path / "trust/press.pem"
    stored.write_text(stored.read_text() + foreign.keys.anchors.manifest_pem)
    with pytest.raises(KeyMaterialError, match="changed after it was imported"):
        store.anchors()


@pytest.mark.parametrize(
    "content",
    [b"", b"no certificates", b"\xff\xfe", bytes(MAX_LIST_BYTES + 1)],
    ids=["empty", "text", "not UTF-8", "huge"],
)
def test_what_is_no_list_is_refused(store: TrustStore, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "list.pem"
    file.write_bytes(content)
    with pytest.raises(KeyMaterialError):
        store.update("press", kind=TrustKind.MANIFEST, source=str(file), now=NOW)
    assert store.entries() == ()


def test_a_damaged_certificate_spoils_the_whole_list(store: TrustStore, ours: Identity, tmp_path: Path) -> None:
    file, _ = published(tmp_path, ours)
    file.write_text(file.read_text() + "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    with pytest.raises(KeyMaterialError, match="not a list of PEM certificates"):
        store.update("press", kind=TrustKind.MANIFEST, source=str(file), now=NOW)


@pytest.mark.parametrize(
    ("name", "source", "message"),
    [
        ("../x", "list.pem", "cannot name a trust list"),
        ("press", "http://example.org/list.pem", "not https"),
        ("press", None, "expected its kind and where it comes from"),
        ("press", "missing.pem", "cannot be read"),
    ],
)
def test_mistakes_are_told(store: TrustStore, name: str, source: str | None, message: str) -> None:
    with pytest.raises(KeyMaterialError, match=message):
        store.update(name, kind=TrustKind.MANIFEST, source=source, now=NOW)


@pytest.mark.parametrize("index", ["", "[]", '{"version": 2}', '{"version": 1, "lists": [{"name": "x"}]}'])
def test_a_damaged_index_is_told(store: TrustStore, tmp_path: Path, index: str) -> None:
    (tmp_path / "trust").mkdir()
    (tmp_path / "trust" / INDEX).write_text(index)
    with pytest.raises(KeyMaterialError, match="cannot be read as an index"):
        store.anchors()


# --- fetching --------------------------------------------------------------------------------------------------------


class _Publisher(http.server.BaseHTTPRequestHandler):
    answer: tuple[int, bytes] = (404, b"")

    def do_GET(self) -> None:
        status, content = type(self).answer
        self.send_response(status)
        self.send_header("Location", "http://127.0.0.1/elsewhere")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def publisher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, type[_Publisher]]]:
    """An https server whose authority this process trusts, as it would a public one."""
    tls = init_mutual_tls(tmp_path / "tls", hosts=("localhost",), front_ends=(), now=datetime.now(UTC)).folder
    monkeypatch.setenv("SSL_CERT_FILE", str(tls / "ca.pem"))

    class Handler(_Publisher):
        pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tls / "service.pem", tls / "service.key.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield f"https://localhost:{server.server_port}/list.pem", Handler
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_list_is_fetched_and_updated(
    store: TrustStore,
    ours: Identity,
    foreign: Identity,
    publisher: tuple[str, type[_Publisher]],
) -> None:
    url, handler = publisher
    handler.answer = (200, ours.keys.anchors.manifest_pem.encode())
    store.update("press", kind=TrustKind.MANIFEST, source=url, now=NOW)
    handler.answer = (200, foreign.keys.anchors.manifest_pem.encode())
    with pytest.raises(ListPinnedError):
        store.update("press", now=LATER)
    store.pin("press", pinned=False)
    assert len(store.update("press", now=LATER).added) == 1


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (500, b"", "HTTP 500"),
        (302, b"", "HTTP 302"),
        (200, b"<html>", "not a list"),
        (200, bytes(MAX_LIST_BYTES + 1), "more than"),
    ],
    ids=["error", "redirect", "page", "huge"],
)
def test_a_publisher_that_answers_something_else(
    store: TrustStore, publisher: tuple[str, type[_Publisher]], status: int, body: bytes, message: str
) -> None:
    url, handler = publisher
    handler.answer = (status, body)
    with pytest.raises(KeyMaterialError, match=message):
        store.update("press", kind=TrustKind.MANIFEST, source=url, now=NOW)


def test_a_publisher_that_nobody_vouches_for(
    store: TrustStore, publisher: tuple[str, type[_Publisher]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    url, _ = publisher
    other = init_mutual_tls(tmp_path / "other", hosts=("localhost",), front_ends=(), now=datetime.now(UTC)).folder
    monkeypatch.setenv("SSL_CERT_FILE", str(other / "ca.pem"))
    with pytest.raises(KeyMaterialError, match="cannot be fetched"):
        store.update("press", kind=TrustKind.MANIFEST, source=url, now=NOW)


# --- the command -----------------------------------------------------------------------------------------------------


def run(*arguments: str, home: Path) -> tuple[int, list[dict[str, object]]]:
    done = CliRunner().invoke(app, ["trust", *arguments, "--json", "--home", str(home)])
    return done.exit_code, [json.loads(line) for line in done.stdout.splitlines()]


def test_update_list_pin_remove(ours: Identity, foreign: Identity, tmp_path: Path) -> None:
    file, digest = published(tmp_path, ours)
    assert run("list", home=tmp_path) == (0, [])
    code, (row,) = run("update", "press", "--kind", "manifest", "--from", str(file), home=tmp_path)
    assert (code, row["sha256"], row["pinned"], len(row["added"])) == (0, digest, True, 1)  # type: ignore[arg-type]
    published(tmp_path, foreign)
    code, (row,) = run("update", home=tmp_path)
    assert (code, row["error"]) == (1, "trust_list_pinned")
    assert run("pin", "press", "--off", home=tmp_path)[1][0]["pinned"] is False
    assert run("update", home=tmp_path)[0] == 0
    code, (row,) = run("list", home=tmp_path)
    assert (code, row["name"], len(row["certificates"])) == (0, "press", 1)  # type: ignore[arg-type]
    assert run("remove", "press", home=tmp_path)[0] == 0
    assert run("remove", "press", home=tmp_path)[0] == 2
    assert run("list", home=tmp_path) == (0, [])
