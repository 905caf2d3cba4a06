"""The app factory: ``uvicorn service:app`` or ``signet serve``.

::

    app = create_app(load_settings())

Nothing heavy is imported until the app starts; the lifespan builds everything once and closes it at the end.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import structlog
from fastapi import FastAPI
from fastapi.concurrency import run_in_threadpool
from starlette.formparsers import MultiPartParser

from gateway import problems
from gateway.auth.api_keys import load_api_keys
from gateway.logs import configure
from gateway.metrics import Metrics
from gateway.observer import Observer
from gateway.routes import detection, generation, health, review, soft_binding
from gateway.routes.access import is_loopback
from gateway.runtime import Runtime
from guard.errors import ConfigError, GuardError
from guard.media import MAX_BYTES
from guard.settings import Settings, load_settings
from guard.version import __version__

MAX_BODY_BYTES = 2 * ((MAX_BYTES + 2) // 3 * 4) + 64 * 1024
"""Two base64 pictures (source and mask) and the fields around them; counted while the body arrives."""

ERASE_EVERY_S = 3600.0
"""How often withheld content whose time is over is erased, also when nobody refuses or reviews anything."""


def create_app(settings: Settings) -> FastAPI:
    """Build the service.

    Args:
        settings: one installation's settings.

    Raises:
        ConfigError: the service would listen on a public address without API keys, or the key file is malformed.
    """
    if settings.api_keys_file is None and not is_loopback(settings.host):
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
        erasing = asyncio.create_task(_keep_erasing(runtime))
        try:
            yield
        finally:
            erasing.cancel()
            await asyncio.gather(erasing, return_exceptions=True)
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
    for part in (generation, detection, soft_binding, review, health):
        app.include_router(part.router)
    app.add_middleware(Observer)
    return app


async def _keep_erasing(runtime: Runtime) -> None:
    """Erase what has been withheld long enough, at start and every hour; a failure is logged and tried again."""
    while True:
        try:
            await run_in_threadpool(runtime.erase_withheld)
        except Exception as error:  # a full disk, say; the next hour tries again
            reason = str(error) if isinstance(error, GuardError) else ""
            structlog.get_logger("signet.review").error("erase_failed", error=type(error).__name__, reason=reason)
        await asyncio.sleep(ERASE_EVERY_S)


def __getattr__(name: str) -> Any:
    """Build ``app`` on first use, so that importing this module needs no settings."""
    if name == "app":
        return create_app(load_settings())
    raise AttributeError(f"module 'service' has no attribute {name!r}")
