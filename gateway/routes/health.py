"""Routes for operators: /healthz (alive), /readyz (can do its work), /metrics (Prometheus)."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response
from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from gateway.metrics import Metrics
from gateway.routes.access import metrics_of, runtime_of
from gateway.runtime import Runtime

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
    for check in checks:
        if check.days_left is not None:
            metrics.key_days_left.set(check.days_left)
    ready = all(check.ok for check in checks)
    response.status_code = 200 if ready else 503
    return {
        "ready": ready,
        "checks": [{"name": c.name, "ok": c.ok, "detail": c.detail} for c in checks],
    }


@router.get("/metrics", summary="Prometheus metrics", response_class=Response)
def metrics_page(metrics: Annotated[Metrics, Depends(metrics_of)]) -> Response:
    """Return the metrics in the Prometheus text format."""
    return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)
