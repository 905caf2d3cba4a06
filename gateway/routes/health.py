"""Routes for operators: /healthz (alive), /readyz (can do its work), /metrics (Prometheus)."""

from __future__ import annotations

import contextlib
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response
from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from gateway.metrics import Metrics
from gateway.routes.access import metrics_of, runtime_of
from gateway.runtime import Runtime
from guard.errors import GuardError

router = APIRouter(tags=["operations"])


@router.get("/healthz", summary="The process is alive")
def healthz() -> dict[str, str]:
    """Answer without touching anything."""
    return {"status": "ok"}


@router.get("/readyz", summary="Every part that the service needs is usable", responses={503: {}})
def readyz(
    response: Response,
    runtime: Annotated[Runtime, Depends(runtime_of)],
    metrics: Annotated[Metrics, Depends(metrics_of)],
) -> dict[str, Any]:
    """Check keys, ledger, policies and model files; 503 names what is not usable."""
    checks = runtime.readiness()
    ready = all(check.ok for check in checks)
    response.status_code = 200 if ready else 503
    return {
        "ready": ready,
        "checks": [{"name": c.name, "ok": c.ok, "warning": c.warning, "detail": c.detail} for c in checks],
    }


@router.get("/metrics", summary="Prometheus metrics", response_class=Response)
def metrics_page(
    runtime: Annotated[Runtime, Depends(runtime_of)], metrics: Annotated[Metrics, Depends(metrics_of)]
) -> Response:
    """Return the metrics in the Prometheus text format, those of keys and time stamps as of now."""
    with contextlib.suppress(GuardError):  # unusable keys are /readyz's to report; the other metrics still count
        if runtime.core.has_keys:
            metrics.key_days_left.set(runtime.core.signing_days_left())
        for certificate in runtime.certificates():
            metrics.certificate_days_left.labels(certificate.role, certificate.name).set(certificate.days_left)
        source = runtime.core.time_stamps
        if source is not None:
            metrics.time_stamps.labels("stamped").set(source.stamped)
            metrics.time_stamps.labels("without").set(source.signed_without)
    return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)
