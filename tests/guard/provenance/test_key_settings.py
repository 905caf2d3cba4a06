"""From ``SIGNET_*`` to keys, time stamps, trust and revocation: each setting reaches the part that it is for."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from guard.assembly import Core, build_core, key_access
from guard.credentials import CredentialState
from guard.errors import ConfigError, KeyMaterialError
from guard.provenance.dev_ca import init_development_keys
from guard.provenance.time_stamp import TimeStampPolicy
from guard.provenance.trust import TrustKind
from guard.provenance.trust_store import TrustStore
from guard.settings import load_settings
from tests.guard.provenance.support import Identity

NOW = datetime.now(UTC)


def core_with(home: Path, **environment: str) -> Core:
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("SIGNET_")]:
            patch.delenv(name)
        for name, value in environment.items():
            patch.setenv(f"SIGNET_{name}", value)
        return build_core(load_settings(home=home))


def test_passphrase_by_file_or_descriptor(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.touch(0o600)
    secret.write_text("from the file\n")
    access = key_access(core_with(tmp_path, KEY_PASSPHRASE_FILE=str(secret)).settings)
    assert access.passphrase is not None
    assert access.passphrase() == b"from the file"
    reading, writing = os.pipe()
    os.write(writing, b"from the pipe\n")
    os.close(writing)
    access = key_access(core_with(tmp_path, KEY_PASSPHRASE_FD=str(reading)).settings)
    assert access.passphrase is not None
    assert access.passphrase() == b"from the pipe"
    assert key_access(core_with(tmp_path).settings).passphrase is None
    both = core_with(tmp_path, KEY_PASSPHRASE_FILE=str(secret), KEY_PASSPHRASE_FD="9")
    with pytest.raises(KeyMaterialError, match="configured twice"):
        key_access(both.settings)


def test_standard_streams_are_no_secret_descriptors(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="SIGNET_KEY_PASSPHRASE_FD"):
        core_with(tmp_path, KEY_PASSPHRASE_FD="1")


def test_a_signing_services_files_and_deadline(tmp_path: Path) -> None:
    settings = core_with(
        tmp_path, SIGNER_CA="/a", SIGNER_CERTIFICATE="/b", SIGNER_KEY="/c", SIGNER_DEADLINE_S="2.5"
    ).settings
    access = key_access(settings)
    assert (access.ca_file, access.certificate_file, access.key_file) == (Path("/a"), Path("/b"), Path("/c"))
    assert access.deadline_s == 2.5
    with pytest.raises(ConfigError, match="SIGNET_SIGNER_DEADLINE_S"):
        core_with(tmp_path, SIGNER_DEADLINE_S="0")


def test_time_stamps(tmp_path: Path) -> None:
    assert core_with(tmp_path).time_stamps is None
    source = core_with(tmp_path, TSA_URL="http://tsa.example/", TSA_POLICY="sign_without").time_stamps
    assert source is not None
    assert (source.url, source.policy) == ("http://tsa.example/", TimeStampPolicy.SIGN_WITHOUT)
    with pytest.raises(ConfigError, match="SIGNET_TSA_POLICY"):
        core_with(tmp_path, TSA_POLICY="hope")


def test_lists_for_time_stamps_reach_the_signer(tmp_path: Path, foreign: Identity) -> None:
    pem = foreign.keys.path / "trust/manifest.pem"
    TrustStore(tmp_path / "trust").update("stamps", kind=TrustKind.TSA, source=str(pem), now=NOW)
    source = core_with(tmp_path, TSA_URL="http://tsa.example/").time_stamps
    assert source is not None
    assert "BEGIN CERTIFICATE" in source.anchors_pem


def test_lists_reach_the_reader_with_and_without_keys(tmp_path: Path, foreign: Identity) -> None:
    pem = foreign.keys.path / "trust/manifest.pem"
    TrustStore(tmp_path / "trust").update("press", kind=TrustKind.MANIFEST, source=str(pem), now=NOW)
    for with_keys in (False, True):
        if with_keys:
            init_development_keys(tmp_path / "keys", now=NOW)
        core = core_with(tmp_path)
        report = core.reader.read(foreign.signed())
        core.close()
        assert (report.state, report.trust_list) == (CredentialState.TRUSTED, "press")


def test_hosts_for_revocation_are_checked_at_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="SIGNET_OCSP_HOSTS"):
        _ = core_with(tmp_path, OCSP_HOSTS="*").reader
    core = core_with(tmp_path, OCSP_HOSTS="ocsp.example.org")
    assert core.reader._ocsp_settings is not None
    assert "ocsp.example.org" in core.reader._ocsp_settings
    core.close()
    core = core_with(tmp_path)
    assert core.reader._ocsp_settings is None
    core.close()
