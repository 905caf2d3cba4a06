"""The outermost layer of the HTTP service: who is calling, how long it took, and nothing unexpected gets out.

Plain ASGI, so that a route can notice when its caller goes away (a buffering middleware would hide it).
"""

from __future__ import annotations

import secrets
import time

import structlog
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway import problems
from gateway.metrics import Metrics
from gateway.problems import HTTPProblemError
from gateway.routes.access import identify

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"})
"""What metrics tell apart; anything else a caller invents is counted as one."""
_log = structlog.get_logger("signet.http")


class Observer:
    """Identifies callers before their body is read; counts, times and logs requests, never their content."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        request_id = secrets.token_hex(8)
        started = time.perf_counter()
        status = 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message).setdefault("X-Content-Type-Options", "nosniff")
            await send(message)

        with structlog.contextvars.bound_contextvars(http_request=request_id):
            try:
                if request.url.path.startswith("/v1/"):
                    request.state.caller = identify(request)  # before the body: a stranger's is never read
                await self._app(scope, receive, sending)
            except HTTPProblemError as refusal:
                await problems.of(refusal)(scope, receive, sending)
            except Exception as exc:  # becomes a plain 500: nothing of the error leaves but its id
                _log.exception("unexpected", error=type(exc).__name__)
                if status == 0:
                    await _sorry(request_id)(scope, receive, sending)
        _record(request, status, request_id, time.perf_counter() - started)


def _sorry(request_id: str) -> ASGIApp:
    return problems.problem(
        500,
        "internal_error",
        "Something unexpected happened; nothing was released.",
        next_step=f"Give the operator this id: {request_id}.",
    )


def _record(request: Request, status: int, request_id: str, seconds: float) -> None:
    """Count, time and log one request: method, route, status."""
    metrics: Metrics = request.app.state.metrics
    route = getattr(request.scope.get("route"), "path", "unmatched")
    method = request.method if request.method in METHODS else "other"
    metrics.requests.labels(route, method, str(status)).inc()
    metrics.seconds.labels(route).observe(seconds)
    event = {"id": request_id, "method": method, "route": route, "status": status}
    _log.info("request", **event, seconds=round(seconds, 4))
