"""Routes of the generation flow: POST /v1/generate, GET /v1/images/{id} and its proof."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import structlog
from anyio import from_thread
from fastapi import APIRouter, Depends, Path, Request, Response

from gateway.auth.api_keys import Caller, Scope
from gateway.metrics import Metrics
from gateway.problems import HTTPProblemError, problem, status_of_code
from gateway.routes.access import metrics_of, requires, runtime_of
from gateway.runtime import MAX_WAITING, Runtime
from gateway.wire import GenerateBody, outcome_row
from guard.interfaces import GenerationHooks
from guard.records import Failure, GenerationResult, ImageID, RecordedImage, Refusal

RETRY_AFTER_S = 10

router = APIRouter(prefix="/v1", tags=["generation"])
_log = structlog.get_logger("signet.generate")
ImageIDPath = Annotated[str, Path(pattern=r"^[0-9a-f]{16}$", description="16 hex digits, as returned by generate.")]


@contextmanager
def _place(runtime: Runtime, metrics: Metrics) -> Iterator[None]:
    """Take a place in the queue or answer 503."""
    if not runtime.places.acquire(blocking=False):
        raise HTTPProblemError(
            503,
            "busy",
            f"{MAX_WAITING} generations are already in progress or waiting.",
            next_step="Send the request again later.",
            headers={"Retry-After": str(RETRY_AFTER_S)},
        )
    metrics.waiting.inc()
    try:
        yield
    finally:
        metrics.waiting.dec()
        runtime.places.release()


@router.post(
    "/generate",
    summary="Generate images, guarded, marked, signed and recorded",
    responses={
        422: {"description": "A field is wrong; problem+json says which."},
        500: {"description": "No image could be finished; problem+json says why, `images` has each failure."},
        503: {"description": "Busy, or the model is out of memory; try again later."},
    },
)
def generate(
    body: GenerateBody,
    request: Request,
    response: Response,
    caller: Annotated[Caller, Depends(requires(Scope.GENERATE))],
    runtime: Annotated[Runtime, Depends(runtime_of)],
    metrics: Annotated[Metrics, Depends(metrics_of)],
) -> Any:
    """Run the whole flow; it stops at the next step when the caller goes away.

    Each entry of ``images`` is a released image, a refusal (with stage, category, reason and appeal id) or a failure.
    A refusal is a normal answer (200). When every image failed, the answer is a problem.
    """
    with _place(runtime, metrics):
        asked = body.to_request(tenant=caller.tenant, decoder=runtime.core.open_picture)
        hooks = GenerationHooks(should_cancel=lambda: from_thread.run(request.is_disconnected))
        result = runtime.gateway.generate(asked, hooks=hooks)
    _count(metrics, result)
    rows = [_with_picture(row, outcome, body) for row, outcome in _rows(result)]
    headers = {"X-Request-ID": str(result.request_id)}
    failed = [outcome for outcome in result.outcomes if isinstance(outcome, Failure)]
    if failed and len(failed) == len(result.outcomes):
        first = failed[0]
        more = {"request_id": result.request_id, "images": rows}
        status = status_of_code(first.code)
        return problem(status, first.code, first.message, next_step=first.next_step, more=more, headers=headers)
    response.headers.update(headers)
    return {"request_id": result.request_id, "images": rows}


def _rows(result: GenerationResult) -> list[tuple[dict[str, Any], Any]]:
    return [(outcome_row(outcome), outcome) for outcome in result.outcomes]


def _with_picture(row: dict[str, Any], outcome: Any, body: GenerateBody) -> dict[str, Any]:
    if isinstance(outcome, RecordedImage):
        row["url"] = f"/v1/images/{outcome.image_id}"
        if body.response_format == "b64_json":
            row["b64_json"] = base64.b64encode(outcome.signed.data).decode()
    return row


def _count(metrics: Metrics, result: GenerationResult) -> None:
    """Count and log outcomes; ids and categories only."""
    for stage, seconds in result.timings_s.items():
        metrics.stage_seconds.labels(stage).observe(seconds)
    for outcome in result.outcomes:
        if isinstance(outcome, RecordedImage):
            kind, extra = "released", {"image_id": str(outcome.image_id)}
        elif isinstance(outcome, Refusal):
            category = outcome.decision.category or "none"
            metrics.refusals.labels(outcome.stage, category).inc()
            kind, extra = "refused", {"category": category, "appeal_id": outcome.appeal_id}
        else:
            kind, extra = "failed", {"code": outcome.code, "stage": outcome.stage}
        metrics.images.labels(kind).inc()
        _log.info("image", outcome=kind, request_id=result.request_id, **extra)


@router.get(
    "/images/{image_id}",
    summary="A released image, exactly as it was signed",
    response_class=Response,
    responses={200: {"content": {"image/png": {}, "image/jpeg": {}, "image/webp": {}}}, 404: {}},
)
def image(
    image_id: ImageIDPath,
    caller: Annotated[Caller, Depends(requires(Scope.READ))],
    runtime: Annotated[Runtime, Depends(runtime_of)],
) -> Response:
    """Return the signed bytes; only the tenant that made the image may fetch it."""
    known = runtime.core.ledger.registration(ImageID(image_id))
    stored = runtime.core.images.get(ImageID(image_id)) if known and known.tenant == caller.tenant else None
    if stored is None:
        raise _unknown(image_id)
    data, media_type = stored
    headers = {"X-Content-Type-Options": "nosniff", "Cache-Control": "private, max-age=31536000, immutable"}
    return Response(data, media_type=media_type, headers=headers)


@router.get("/images/{image_id}/proof", summary="Ledger entry of an image with its inclusion proof")
def proof(
    image_id: ImageIDPath,
    caller: Annotated[Caller, Depends(requires(Scope.READ))],
    runtime: Annotated[Runtime, Depends(runtime_of)],
) -> dict[str, Any]:
    """Return entry, audit path and signed tree head, so that anyone with the public key can check the record."""
    known = runtime.core.ledger.registration(ImageID(image_id))
    if known is None or known.tenant != caller.tenant:
        raise _unknown(image_id)
    return runtime.proof(ImageID(image_id))


def _unknown(image_id: str) -> HTTPProblemError:
    return HTTPProblemError(
        404, "unknown_image", f"No released image has the id {image_id}.", next_step="Check the 16 hex digits."
    )
