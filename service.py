"""The app factory: ``uvicorn service:app`` or ``signet serve``.

::

    app = create_app(load_settings())

Nothing heavy is imported until the app starts; the lifespan builds everything once and closes it at the end.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import structlog
from fastapi import FastAPI, Request, Response
from starlette.formparsers import MultiPartParser

from gateway import problems
from gateway.auth.api_keys import load_api_keys
from gateway.logs import configure
from gateway.metrics import Metrics
from gateway.routes import detection, generation, health, review
from gateway.runtime import Runtime
from guard.errors import ConfigError
from guard.media import MAX_BYTES
from guard.settings import Settings, load_settings
from guard.version import __version__

MAX_BODY_BYTES = 2 * ((MAX_BYTES + 2) // 3 * 4) + 64 * 1024
"""Two base64 pictures (source and mask) and the fields around them; counted while the body arrives."""
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_log = structlog.get_logger("signet.http")


def create_app(settings: Settings) -> FastAPI:
    """Build the service.

    Args:
        settings: one installation's settings.

    Raises:
        ConfigError: the service would listen on a public address without API keys, or the key file is malformed.
    """
    if settings.api_keys_file is None and settings.host not in LOOPBACK:
        raise ConfigError(
            f"Refusing to listen on {settings.host} without API keys.",
            next_step="Make a key with `signet keys api` and set SIGNET_API_KEYS_FILE, or listen on 127.0.0.1.",
        )
    MultiPartParser.spool_max_size = MAX_BYTES + 1  # uploads stay in memory: none is ever written to disk

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        """Open the runtime at start, close it at the end."""
        configure(settings.log_level)
        runtime = Runtime(settings)
        runtime.start()
        app.state.runtime = runtime
        try:
            yield
        finally:
            runtime.close()

    app = FastAPI(
        title="Signet",
        version=__version__,
        summary="Provenance, detection and safety for AI-generated images.",
        lifespan=lifespan,
        max_body_size=MAX_BODY_BYTES,
    )
    app.state.metrics = Metrics()
    app.state.api_keys = load_api_keys(settings.api_keys_file) if settings.api_keys_file else None
    problems.install(app)
    for part in (generation, detection, review, health):
        app.include_router(part.router)
    app.middleware("http")(_observe)
    return app


async def _observe(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    """Count, time and log every request: method, route, status; never its content."""
    metrics: Metrics = request.app.state.metrics
    request_id = secrets.token_hex(8)
    started = time.perf_counter()
    with structlog.contextvars.bound_contextvars(http_request=request_id):
        try:
            response = await call_next(request)
        except Exception as exc:  # becomes a plain 500: nothing of the error leaves but its id
            _log.exception("unexpected", error=type(exc).__name__)
            response = problems.problem(
                500,
                "internal_error",
                "Something unexpected happened; nothing was released.",
                next_step=f"Give the operator this id: {request_id}.",
            )
    route = getattr(request.scope.get("route"), "path", "unmatched")
    seconds = time.perf_counter() - started
    metrics.requests.labels(route, request.method, str(response.status_code)).inc()
    metrics.seconds.labels(route).observe(seconds)
    event = {"id": request_id, "method": request.method, "route": route, "status": response.status_code}
    _log.info("request", **event, seconds=round(seconds, 4))
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    return response


def __getattr__(name: str) -> Any:
    """Build ``app`` on first use, so that importing this module needs no settings."""
    if name == "app":
        return create_app(load_settings())
    raise AttributeError(f"module 'service' has no attribute {name!r}")
