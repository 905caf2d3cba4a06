"""``signet weights``: nothing is fetched, installed or believed without a digest; downloads go on where they end."""

import hashlib
import http.server
import json
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Self

import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from typer.testing import CliRunner

from detectors.pretrained.architectures import NPR
from gateway.cli.downloads import download
from gateway.cli.main import app
from guard.errors import RequestError
from guard.media import encode
from guard.records import ImageFormat


class Shelf:
    """Serves files with ranges and ETags; can break off, redirect, or change its mind."""

    def __init__(self, content: bytes, *, tls: ssl.SSLContext | None = None) -> None:
        self.content, self.tag = content, '"one"'
        self.breaks_after: int | None = None
        self.redirect: str | None = None
        self.asked: list[str | None] = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                wanted = self.headers.get("Range")
                outer.asked.append(wanted)
                if outer.redirect and self.path != "/file":
                    self.send_response(302)
                    self.send_header("Location", outer.redirect)
                    self.end_headers()
                    return
                start = 0
                if wanted and self.headers.get("If-Range") == outer.tag:
                    start = int(wanted.removeprefix("bytes=").rstrip("-"))
                body = outer.content[start:]
                self.send_response(206 if start else 200)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("ETag", outer.tag)
                self.end_headers()
                self.wfile.write(body[: outer.breaks_after])
                outer.breaks_after = None

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self._server.server_port}/file"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def safetensors_of(shapes: dict[str, tuple[int, ...]]) -> bytes:
    """Zeros in the safetensors format, written without any library."""
    header, at = {}, 0
    for name, shape in shapes.items():
        size = 4 * int(np.prod(shape, dtype=np.int64))
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + bytes(at)


NPR_FILE = safetensors_of(NPR().shapes())
NPR_SHA256 = hashlib.sha256(NPR_FILE).hexdigest()


@pytest.fixture
def shelf() -> Iterator[Shelf]:
    with Shelf(NPR_FILE) as opened:
        yield opened


def signet(*arguments: object, home: Path) -> tuple[int, list[dict[str, Any]], str]:
    environment = {"SIGNET_HOME": str(home), "COLUMNS": "200"}
    result = CliRunner().invoke(app, ["weights", *(str(a) for a in arguments)], env=environment)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    rows = [json.loads(line) for line in result.stdout.splitlines() if line.startswith("{")]
    return result.exit_code, rows, result.stdout + result.stderr


def test_fetch_pins_what_arrived_and_verify_notices_a_change(shelf: Shelf, tmp_path: Path) -> None:
    code, (row,), _ = signet("fetch", "npr", "--from", shelf.url, "--accept-licence", "--json", home=tmp_path)
    assert code == 0
    assert row["installed"]["published_sha256"] == NPR_SHA256
    assert (row["installed"]["pinned_by"], row["detector"]) == ("first use", "learned.npr")
    listed = {one["id"]: one for one in signet("list", "--json", home=tmp_path)[1][0]["weights"]}
    assert listed["npr"]["installed"]["origin"] == shelf.url
    assert listed["safe"]["installed"] is None
    assert signet("verify", "npr", "--json", home=tmp_path)[0] == 0
    file = tmp_path / "weights" / "npr" / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"\1")
    code, (found,), _ = signet("verify", "npr", "--json", home=tmp_path)
    assert (code, found["ok"]) == (1, False)
    assert "SHA-256" in found["weights"][0]["reason"]


def test_verify_covers_the_box(tmp_path: Path) -> None:
    code, (found,), _ = signet("verify", "--json", home=tmp_path)
    names = [row["id"] for row in found["weights"]]
    assert (code, found["ok"]) == (0, True)
    assert "in the box: detectors/models" in names
    assert "in the box: guard/models/signet-mini" in names


def test_another_digest_or_no_decision_about_the_licence_installs_nothing(shelf: Shelf, tmp_path: Path) -> None:
    code, (row,), _ = signet("fetch", "npr", "--from", shelf.url, "--json", home=tmp_path)
    assert (code, row["error"]) == (2, "invalid_request")
    assert shelf.asked == []  # refused before anything was fetched
    arguments = ("fetch", "npr", "--from", shelf.url, "--accept-licence", "--sha256", "0" * 64, "--json")
    code, (row,), _ = signet(*arguments, home=tmp_path)
    assert (code, row["error"]) == (2, "weights_error")
    assert list((tmp_path / "weights").iterdir()) == []
    arguments = ("fetch", "npr", "--from", shelf.url, "--accept-licence", "--sha256", NPR_SHA256, "--json")
    assert signet(*arguments, home=tmp_path)[1][0]["installed"]["pinned_by"] == "operator"


def test_hub_weights_need_a_commit_and_others_a_file(tmp_path: Path) -> None:
    code, (row,), _ = signet("fetch", "clip-vit-l-14", "--json", home=tmp_path)
    assert code == 2
    assert "pinned revision" in row["reason"]
    code, (row,), _ = signet("fetch", "safe", "--json", home=tmp_path)
    assert code == 2
    assert "--from FILE" in row["next_step"]
    code, (row,), _ = signet("fetch", "nothing", "--json", home=tmp_path)
    assert (code, row["error"]) == (2, "invalid_request")


def test_a_broken_download_goes_on_where_it_stopped(shelf: Shelf, tmp_path: Path) -> None:
    part = tmp_path / "file.part"
    shelf.breaks_after = 100_000
    with pytest.raises(RequestError, match=r"cut off after 100000|IncompleteRead"):
        download(shelf.url, part, max_bytes=10**8, progress=lambda done, total: None)
    assert part.stat().st_size == 100_000
    seen: list[tuple[int, int | None]] = []
    download(shelf.url, part, max_bytes=10**8, progress=lambda done, total: seen.append((done, total)))
    assert shelf.asked == [None, "bytes=100000-"]
    assert part.read_bytes() == NPR_FILE
    assert seen[-1] == (len(NPR_FILE), len(NPR_FILE))


def test_a_file_that_changed_meanwhile_is_fetched_anew(shelf: Shelf, tmp_path: Path) -> None:
    part = tmp_path / "file.part"
    shelf.breaks_after = 1000
    with pytest.raises(RequestError):
        download(shelf.url, part, max_bytes=10**8, progress=lambda done, total: None)
    shelf.content, shelf.tag = b"another file", '"two"'
    download(shelf.url, part, max_bytes=10**8, progress=lambda done, total: None)
    assert part.read_bytes() == b"another file"


def test_size_scheme_and_redirects_are_bounded(shelf: Shelf, tmp_path: Path) -> None:
    part = tmp_path / "file.part"

    def fetch(url: str, most: int = 10**8) -> None:
        download(url, part, max_bytes=most, progress=lambda done, total: None)

    with pytest.raises(RequestError, match="at most 1000"):
        fetch(shelf.url, 1000)
    assert not part.exists()
    with pytest.raises(RequestError, match="not an https"):
        fetch("http://example.org/file")
    shelf.redirect = "/file"
    fetch(shelf.url.replace("/file", "/moved"))
    assert part.read_bytes() == NPR_FILE
    shelf.redirect = "http://example.org/file"
    with pytest.raises(RequestError, match="not an https"):
        fetch(shelf.url.replace("/file", "/moved"))
    shelf.redirect = "/moved"
    with pytest.raises(RequestError, match="redirects more than"):
        fetch(shelf.url.replace("/file", "/moved"))


def test_https_checks_who_answers(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = tmp_path / "server.pem"
    pem.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(pem)
    trusting = ssl.create_default_context(cafile=str(pem))
    with Shelf(NPR_FILE, tls=served) as shelf:
        part = tmp_path / "file.part"
        with pytest.raises(RequestError, match=r"certificate verify failed|self-signed"):
            download(shelf.url, part, max_bytes=10**8, progress=lambda done, total: None)
        assert not part.exists()
        download(shelf.url, part, max_bytes=10**8, progress=lambda done, total: None, tls=trusting)
        assert part.read_bytes() == NPR_FILE


def test_a_policy_that_lists_what_is_not_installed_says_so(tmp_path: Path) -> None:
    policies = Path(__file__).resolve().parents[2] / "policies"
    text = (policies / "detection.default.yaml").read_text().replace("  - learned.artefacts\n", "  - learned.npr\n")
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "detection.default.yaml").write_text(text)
    environment = {"SIGNET_HOME": str(tmp_path), "SIGNET_POLICIES": str(tmp_path / "policies")}
    picture = tmp_path / "picture.png"
    picture.write_bytes(encode(np.zeros((64, 64, 3), np.uint8), ImageFormat.PNG))
    result = CliRunner().invoke(app, ["detect", str(picture), "--json"], env=environment)
    assert result.exit_code == 2
    row = json.loads(result.stdout)
    assert row["error"] == "policy_error"
    assert "learned.npr" in row["reason"]


@pytest.mark.slow
def test_fetch_calibrate_detect(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from skimage import data

    from tests.detectors.pretrained.networks import half_resnet_state, saved

    rng = np.random.default_rng(0)
    photographs = (data.astronaut(), data.coffee(), data.chelsea())
    for label in ("real", "generated"):
        for source, photograph in enumerate(photographs):
            folder = tmp_path / "labelled" / label / f"{label}-{source}"
            folder.mkdir(parents=True)
            for number in range(3):
                top, left = (int(rng.integers(0, side - 200)) for side in photograph.shape[:2])
                part = photograph[top : top + 200, left : left + 200]
                if label == "generated":
                    part = part[:100, :100].repeat(2, axis=0).repeat(2, axis=1)
                (folder / f"{number}.png").write_bytes(encode(np.ascontiguousarray(part), ImageFormat.PNG))
    file = saved(tmp_path / "npr.safetensors", half_resnet_state())
    assert signet("fetch", "npr", "--from", file, "--accept-licence", home=tmp_path)[0] == 0
    environment = {"SIGNET_HOME": str(tmp_path), "SIGNET_DEVICE": "cpu"}
    arguments = ["train", "card", "learned.npr", str(tmp_path / "labelled"), "--json"]
    fitted = CliRunner().invoke(app, arguments, env=environment)
    assert fitted.exit_code == 0, fitted.output
    row = json.loads(fitted.stdout)
    assert (row["id"], row["pictures"], row["mode"]) == ("learned.npr", 18, "history")
    listed = {one["id"]: one for one in signet("list", "--json", home=tmp_path)[1][0]["weights"]}
    assert listed["npr"]["calibrated"] is True
    policies = tmp_path / "policies"
    policies.mkdir()
    text = (Path(__file__).resolve().parents[2] / "policies" / "detection.default.yaml").read_text()
    (policies / "detection.default.yaml").write_text(text.replace("  - learned.artefacts\n", "  - learned.npr\n"))
    picture = tmp_path / "labelled" / "real" / "real-0" / "0.png"
    environment["SIGNET_POLICIES"] = str(policies)
    judged = CliRunner().invoke(app, ["detect", str(picture), "--json"], env=environment)
    (evidence,) = [e for e in json.loads(judged.stdout)["evidence"] if e["id"] == "learned.npr"]
    assert evidence["llr_nats"] is not None
    assert any(seen["name"] == "raw score" for seen in evidence["observations"])
