"""The network stays closed while files of strangers are read, and the self-test that proves it at start-up."""

import io
import urllib.request
from dataclasses import replace
from datetime import UTC, datetime
from urllib.error import HTTPError

import pytest

from guard.credentials import CredentialReport, CredentialState
from guard.errors import ConfigError
from guard.isolation import WorkerPool
from guard.provenance.native import NO_NETWORK
from guard.provenance.read import C2PACredentialReader
from guard.provenance.self_test import remote_probe, run_self_test
from guard.provenance.trust import TrustAnchors
from tests.guard.provenance.listeners import Listener
from tests.guard.provenance.support import (
    Identity,
)

NOW = datetime.now(UTC)


# --- the network stays closed ----------------------------------------------------------------------------------------


def test_a_remote_manifest_is_not_fetched(ours: Identity, reader: C2PACredentialReader) -> None:
    with Listener() as listener:
        probe = remote_probe(ours.keys, listener.url, now=NOW)
        assert listener.url.encode() in probe
        report = reader.read(probe)
        ours.edited(probe)
        assert listener.hits == []
    assert report.state is CredentialState.UNREADABLE
    assert report.codes == ("manifest.inaccessible",)
    assert "not fetched" in report.explanation


def test_the_listener_would_have_heard_it(ours: Identity) -> None:
    """The control of the test above: with c2pa-rs's own defaults the same file makes a request."""
    from c2pa import C2paError, Context, Reader

    with Listener() as listener:
        probe = remote_probe(ours.keys, listener.url, now=NOW)
        with pytest.raises(C2paError):
            Reader("image/png", io.BytesIO(probe), context=Context.from_dict({}))
        assert listener.hits == ["GET /x"]


@pytest.mark.parametrize(("section", "key"), [("verify", "remote_manifest_fetch"), ("core", "allowed_network_hosts")])
def test_each_of_two_switches_alone_closes_the_path(ours: Identity, section: str, key: str) -> None:
    """Either would do today; both are set, so that losing one in an upgrade opens nothing."""
    from c2pa import C2paError, Context, Reader

    with Listener() as listener:
        probe = remote_probe(ours.keys, listener.url, now=NOW)
        with pytest.raises(C2paError):
            Reader(
                "image/png", io.BytesIO(probe), context=Context.from_dict({section: {key: NO_NETWORK[section][key]}})
            )
        assert listener.hits == []


def test_every_network_switch_is_off() -> None:
    off = {"remote_manifest_fetch": False, "ocsp_fetch": False}
    assert NO_NETWORK["verify"] == off
    assert NO_NETWORK["core"]["allowed_network_hosts"] == []
    assert NO_NETWORK["core"]["decode_identity_assertions"] is False
    assert NO_NETWORK["core"]["allow_redirects"] is False


@pytest.mark.parametrize(
    ("section", "key"), [(section, key) for section, values in NO_NETWORK.items() for key in values]
)
def test_every_setting_is_known_to_this_version(section: str, key: str) -> None:
    """Unknown keys are ignored in silence, but a wrong type is only refused for a key that is known."""
    from c2pa import C2paError, Context

    Context.from_dict({section: {"no_such_key_anywhere": {"wrong": "type"}}}).close()
    with pytest.raises(C2paError):
        Context.from_dict({section: {key: {"wrong": "type"}}})


def test_self_test_passes_here(ours: Identity, reader: C2PACredentialReader) -> None:
    result = run_self_test(ours.signer, reader, now=NOW)
    assert (result.own, result.foreign, result.connections) == (
        CredentialState.TRUSTED,
        CredentialState.VALID_UNTRUSTED,
        0,
    )


def test_self_test_refuses_a_reader_that_trusts_nobody_or_somebody_else(
    ours: Identity, foreign: Identity, pool: WorkerPool
) -> None:
    with pytest.raises(ConfigError, match="reads as valid_untrusted; expected trusted"):
        run_self_test(ours.signer, C2PACredentialReader(TrustAnchors(), pool=pool), now=NOW)
    with pytest.raises(ConfigError, match="configured key"):
        run_self_test(ours.signer, foreign.reader(pool), now=NOW)


class FetchingReader:
    """A reader as a future c2pa-rs with renamed settings would be: it fetches."""

    def __init__(self, inner: C2PACredentialReader) -> None:
        self._inner = inner

    def read(self, data: bytes) -> CredentialReport:
        at = data.find(b"http://127.0.0.1:")
        if at >= 0:
            url = data[at : data.index(b".c2pa", at) + 5].decode()
            with pytest.raises(HTTPError) as caught:
                urllib.request.urlopen(url)  # noqa: S310 - our own loopback listener
            caught.value.close()
        return self._inner.read(data)


class TrustingReader:
    """A reader that trusts everybody."""

    def __init__(self, inner: C2PACredentialReader) -> None:
        self._inner = inner

    def read(self, data: bytes) -> CredentialReport:
        return replace(self._inner.read(data), state=CredentialState.TRUSTED)


def test_self_test_notices_an_open_network_and_open_trust(ours: Identity, reader: C2PACredentialReader) -> None:
    with pytest.raises(ConfigError, match="opened 1 connections"):
        run_self_test(ours.signer, FetchingReader(reader), now=NOW)
    with pytest.raises(ConfigError, match="unknown root reads as trusted"):
        run_self_test(ours.signer, TrustingReader(reader), now=NOW)
