"""Expiry, trust lists and time stamps as /readyz, /metrics and `signet doctor` tell them."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from gateway.metrics import Metrics
from gateway.routes.access import metrics_of, runtime_of
from gateway.routes.health import router
from gateway.runtime import EXPIRY_WARNING_DAYS, Runtime
from guard.provenance.dev_ca import init_development_keys
from guard.provenance.keys.rotation import rotate_development
from guard.provenance.trust import TrustKind
from guard.provenance.trust_store import TrustStore
from guard.settings import load_settings

NOW = datetime.now(UTC)


class FixedClock:
    def __init__(self, now: datetime) -> None:
        self._now = now

    def now(self) -> datetime:
        return self._now


def runtime_at(home: Path, now: datetime, **settings: object) -> Runtime:
    runtime = Runtime(load_settings(home=home, **settings))
    runtime.core.clock = FixedClock(now)
    return runtime


def check(runtime: Runtime, name: str):  # type: ignore[no-untyped-def]
    test = {"keys": runtime._keys, "trust": runtime._trust, "time stamps": runtime._time_stamps}[name]
    return runtime._attempt(name, test)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    init_development_keys(tmp_path / "keys", now=NOW)
    return tmp_path


@pytest.mark.parametrize(
    ("days", "ok", "warning"), [(0, True, False), (365 - EXPIRY_WARNING_DAYS + 1, True, True), (366, False, False)]
)
def test_keys_over_a_year(home: Path, days: int, ok: bool, warning: bool) -> None:
    found = check(runtime_at(home, NOW + timedelta(days=days)), "keys")
    assert (found.ok, found.warning) == (ok, warning)
    assert ("expires soon" in found.detail) is warning
    if not ok:
        assert "signer is expired" in found.detail
        assert "keys rotate" in found.detail


def test_a_scheduled_key_covers_the_future_and_the_old_one_is_still_named(home: Path) -> None:
    rotate_development(home / "keys", starts=NOW + timedelta(days=300), now=NOW)
    found = check(runtime_at(home, NOW + timedelta(days=350)), "keys")
    assert found.days_left is not None
    assert found.days_left > 300
    assert "expires soon" not in found.detail
    assert "claim signer signer in 15 days" in found.detail or "claim signer signer in 14 days" in found.detail
    assert found.warning is True


def metrics_of_runtime(runtime: Runtime) -> dict[str, list[tuple[dict[str, str], float]]]:
    app, metrics = FastAPI(), Metrics()
    app.include_router(router)
    app.dependency_overrides = {runtime_of: lambda: runtime, metrics_of: lambda: metrics}
    with TestClient(app) as client:
        text = client.get("/metrics").text
    return {f.name: [(s.labels, s.value) for s in f.samples] for f in text_string_to_metric_families(text)}


def test_metrics_tell_every_certificate_without_asking_readyz(home: Path) -> None:
    entry = rotate_development(home / "keys", starts=NOW + timedelta(days=300), now=NOW)
    families = metrics_of_runtime(runtime_at(home, NOW + timedelta(days=1)))
    days = {(labels["role"], labels["id"]): value for labels, value in families["signet_certificate_days_left"]}
    assert days["claim signer", "signer"] in (363, 364)
    assert days["claim signer", entry.id] in (663, 664)
    assert families["signet_signing_key_days_left"][0][1] in (663, 664)


def test_metrics_answer_without_usable_keys(tmp_path: Path) -> None:
    assert "signet_certificate_days_left" in metrics_of_runtime(runtime_at(tmp_path, NOW))
    (tmp_path / "keys").mkdir()
    assert "signet_certificate_days_left" in metrics_of_runtime(runtime_at(tmp_path, NOW))


def test_trust_lists_are_counted_and_their_age_is_told(home: Path) -> None:
    assert "signet trust update" in check(runtime_at(home, NOW), "trust").detail
    store = TrustStore(home / "trust")
    source = home / "keys/trust/manifest.pem"
    store.update("press", kind=TrustKind.MANIFEST, source=str(source), now=NOW)
    found = check(runtime_at(home, NOW), "trust")
    assert "press (1 for claim signers)" in found.detail
    assert found.warning is False
    found = check(runtime_at(home, NOW + timedelta(days=4000)), "trust")
    assert (found.ok, found.warning) == (True, True)
    (home / "trust/press.pem").write_text("changed")
    assert check(runtime_at(home, NOW), "trust").ok is False


def test_a_failing_time_stamp_authority_is_told(home: Path) -> None:
    assert "SIGNET_TSA_URL" in check(runtime_at(home, NOW), "time stamps").detail
    runtime = runtime_at(home, NOW, tsa_url="http://127.0.0.1:1/", tsa_policy="sign_without")
    assert check(runtime, "time stamps").warning is False
    source = runtime.core.time_stamps
    assert source is not None
    source.failed("it answered HTTP 500")
    source.count_without()
    found = check(runtime, "time stamps")
    assert (found.ok, found.warning) == (True, True)
    assert "1 signed without" in found.detail
    assert "HTTP 500" in found.detail
    assert {labels["outcome"]: value for labels, value in metrics_of_runtime(runtime)["signet_time_stamps"]} == {
        "stamped": 0,
        "without": 1,
    }
    assert check(runtime_at(home, NOW, tsa_url="ftp://x"), "time stamps").ok is False
