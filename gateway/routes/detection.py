"""Routes of the detection flow: POST /v1/detect, POST /v1/verify, GET /v1/detectors."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import structlog
from fastapi import APIRouter, Depends, File, Query, Response, UploadFile

from detectors.evidence import Family
from detectors.report.as_html import render_html
from detectors.report.as_text import render_text
from gateway.auth.api_keys import Caller, Scope
from gateway.metrics import Metrics
from gateway.routes.access import metrics_of, requires, runtime_of
from gateway.runtime import Runtime
from guard.errors import RequestError
from guard.media import MAX_BYTES

MAX_BODY_BYTES = MAX_BYTES + 64 * 1024
"""One picture and the parts around it; counted while the body arrives."""
router = APIRouter(prefix="/v1", tags=["detection"], max_body_size=MAX_BODY_BYTES)
_log = structlog.get_logger("signet.detect")
Picture = Annotated[UploadFile, File(description="A PNG, JPEG, WebP, AVIF, TIFF, BMP or GIF.")]


def _families(
    families: Annotated[
        list[str] | None,
        Query(description="Only these families of evidence, separated by commas: " + ", ".join(Family) + "."),
    ] = None,
) -> frozenset[Family] | None:
    """Return the families that a caller names, once or several times, or None for all."""
    names = [name.strip() for text in families or [] for name in text.split(",") if name.strip()]
    try:
        return frozenset(Family(name) for name in names) or None
    except ValueError as exc:
        raise RequestError(
            "`families` names an unknown family.", next_step="Choose from: " + ", ".join(Family)
        ) from exc


@router.post(
    "/detect",
    summary="Judge an upload: joined, explained evidence and a verdict",
    responses={
        200: {"content": {"application/json": {}, "text/html": {}, "text/plain": {}}},
        413: {"description": "Too many bytes or pixels."},
        415: {"description": "Another format."},
        422: {"description": "Not an image, or damaged."},
    },
)
def detect(
    file: Picture,
    caller: Annotated[Caller, Depends(requires(Scope.DETECT))],
    runtime: Annotated[Runtime, Depends(runtime_of)],
    metrics: Annotated[Metrics, Depends(metrics_of)],
    families: Annotated[frozenset[Family] | None, Depends(_families)] = None,
    report_format: Annotated[Literal["json", "html", "text"], Query(alias="format")] = "json",
) -> Response:
    """Return the report. The upload is held in memory only and is gone with the answer."""
    data = file.file.read(MAX_BYTES + 1)
    report, upload = runtime.examine(data, name=file.filename, families=families)
    metrics.verdicts.labels(report.verdict.value).inc()
    _log.info("verdict", verdict=report.verdict.value, sha256=report.sha256, caller=caller.name)
    if report_format == "html":
        pictures = runtime.engine.illustrate(upload, families=families)
        page = render_html(report, pixels=upload.preview, pictures=pictures)
        return Response(page, media_type="text/html; charset=utf-8")
    if report_format == "text":
        return Response(render_text(report), media_type="text/plain; charset=utf-8")
    return Response(report.model_dump_json(), media_type="application/json")


@router.post("/verify", summary="Content credentials alone")
def verify(
    file: Picture,
    caller: Annotated[Caller, Depends(requires(Scope.DETECT))],
    runtime: Annotated[Runtime, Depends(runtime_of)],
) -> dict[str, Any]:
    """Return the state of the file's C2PA credentials: none, unreadable, invalid, valid_untrusted or trusted."""
    return runtime.verify(file.file.read(MAX_BYTES + 1), name=file.filename)


@router.get("/detectors", summary="Which detectors are enabled")
def detectors(
    caller: Annotated[Caller, Depends(requires(Scope.DETECT))],
    runtime: Annotated[Runtime, Depends(runtime_of)],
) -> dict[str, Any]:
    """List the detectors of the active policy with family, technique and version."""
    return {"policy": runtime.engine.policy_id, "detectors": runtime.engine.describe()}
