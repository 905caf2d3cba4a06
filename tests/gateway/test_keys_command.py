"""``signet keys`` and ``signet signer`` as an operator uses them; the service runs as a process of its own."""

import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.cli.main import app
from guard.provenance.keys_folder import KeyFolder
from guard.provenance.sign import C2PACredentialSigner
from guard.records import ImageFormat
from tests.guard.provenance.support import GENERATOR, encoded, facts

ROOT = Path(__file__).resolve().parents[2]
PASSPHRASE = "correct horse battery staple"


def run(*arguments: str, home: Path, code: int = 0, **environment: str) -> dict[str, object]:
    """Run a command and return its one JSON document."""
    done = CliRunner().invoke(app, [*arguments, "--json", "--home", str(home)], env=environment)
    assert done.exit_code == code, done.output
    return dict(json.loads(done.stdout.strip().splitlines()[-1]))


def signers(home: Path) -> dict[str, str]:
    keys = run("keys", "list", home=home)["keys"]
    assert isinstance(keys, list)
    return {key["id"]: key["state"] for key in keys if key["role"] == "claim signer"}


def test_rotate_and_retire(tmp_path: Path) -> None:
    run("keys", "init", home=tmp_path)
    new = run("keys", "rotate", home=tmp_path)
    assert signers(tmp_path) == {"signer": "active", new["id"]: "active"}
    later = run("keys", "rotate", "--starts", "2090-01-01T00:00:00", home=tmp_path, code=2)
    assert later["error"] == "key_material_error", "after the authority's own end"
    assert run("keys", "retire", "signer", "--destroy-key", home=tmp_path)["state"] == "retired"
    assert not (tmp_path / "keys/signer/key.pem").exists()
    assert run("keys", "retire", str(new["id"]), home=tmp_path, code=2)["error"] == "key_material_error"


def test_production_keys_are_asked_for_and_installed(tmp_path: Path) -> None:
    secret = tmp_path / "passphrase"
    secret.touch(0o600)
    secret.write_text(PASSPHRASE)
    home = tmp_path / "home"
    named = ("--organisation", "Example Org")
    refused = run("keys", "init", "--production", *named, home=home, code=2)
    assert "SIGNET_KEY_PASSPHRASE_FILE" in str(refused["next_step"])
    environment = {"SIGNET_KEY_PASSPHRASE_FILE": str(secret)}
    made = run("keys", "init", "--production", *named, home=home, **environment)
    assert str(made["request"]).startswith("-----BEGIN CERTIFICATE REQUEST-----")
    assert signers(home) == {"signer": "pending"}
    more = run("keys", "csr", *named, "--algorithm", "es384", home=home, **environment)
    assert signers(home) == {"signer": "pending", more["id"]: "pending"}
    chain = tmp_path / "chain.pem"
    chain.write_text("no certificate")
    assert "not a PEM" in str(run("keys", "install", str(chain), home=home, code=2, **environment)["reason"])


def test_verifying_needs_no_passphrase(tmp_path: Path) -> None:
    """A machine that only reads: production keys, locked, and still a picture of ours is trusted."""
    run("keys", "init", home=tmp_path)
    keys = KeyFolder.load(tmp_path / "keys", now=datetime.now(UTC))
    picture = tmp_path / "picture.png"
    signer = C2PACredentialSigner(keys.ring, claim_generator=GENERATOR)
    picture.write_bytes(signer.sign_bytes(facts(), encoded(ImageFormat.PNG), "image/png").data)
    described = json.loads((tmp_path / "keys/keys.json").read_text())
    (tmp_path / "keys/keys.json").write_text(json.dumps(described | {"environment": "production"}))
    assert run("verify", str(picture), home=tmp_path)["state"] == "trusted"
    named = ("--organisation", "X")
    assert "passphrase" in str(run("keys", "csr", *named, home=tmp_path, code=2)["reason"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("keys", "csr", "--organisation", "X", "--key", "ftp://x"), "cannot be used"),
        (("keys", "csr", "--organisation", "X", "--algorithm", "rot13"), "rot13"),
        (("keys", "use", "https://localhost:1/signer"), "mutual TLS"),
        (("keys", "retire", "nobody"), "There is no signing key"),
    ],
)
def test_mistakes_are_told_with_the_next_step(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    run("keys", "init", home=tmp_path)
    row = run(*arguments, home=tmp_path, code=2)
    assert said in str(row["reason"])
    assert row["next_step"]


def test_a_gateway_signs_with_the_key_of_a_service(tmp_path: Path) -> None:
    """Two homes, two processes: the gateway's has no signing key of its own that is used."""
    safe, gateway, tls = tmp_path / "safe", tmp_path / "gateway", tmp_path / "tls"
    run("keys", "init", home=safe)
    run("keys", "init", home=gateway)
    done = CliRunner().invoke(app, ["signer", "init", str(tls), "--host", "localhost", "--front-end", "gw", "--json"])
    assert done.exit_code == 0, done.output
    command = [sys.executable, "-m", "gateway.cli.main", "signer", "serve", "--tls", str(tls), "--allow", "gw"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "SIGNET_HOME": str(safe)}
    with subprocess.Popen(
        [*command, "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        assert process.stderr is not None
        assert process.stdout is not None
        try:
            url = ""
            while "https://" not in url:
                url += process.stderr.readline()
            port = url.rsplit(":", 1)[1].split("/")[0]
            files = {
                "SIGNET_SIGNER_CA": str(tls / "ca.pem"),
                "SIGNET_SIGNER_CERTIFICATE": str(tls / "front-end-gw.pem"),
                "SIGNET_SIGNER_KEY": str(tls / "front-end-gw.key.pem"),
            }
            anchor = ("--anchor", str(safe / "keys/trust/manifest.pem"))
            used = run("keys", "use", f"https://localhost:{port}/signer", *anchor, home=gateway, **files)
            assert (used["state"], used["place"]) == ("active", "https")
            checked = run("doctor", home=gateway, code=0, **files)
            (credentials,) = [row for row in checked["checks"] if row["name"] == "credentials"]  # type: ignore[attr-defined]
            assert "own signature trusted" in credentials["detail"]
        finally:
            process.send_signal(signal.SIGTERM)
            out, _ = process.communicate(timeout=20)
    audit = [json.loads(line) for line in out.splitlines()]
    assert {row["client"] for row in audit} == {"gw"}
    assert [row["status"] for row in audit] == [200] * len(audit)
    assert sum(bool(row["data_sha256"]) for row in audit) >= 2, "the proof at `use`, the self-test's picture"
