"""What routes depend on: the runtime, the metrics, and a caller with the right scope."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, cast

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from gateway.auth.api_keys import APIKeys, Caller, Scope
from gateway.metrics import Metrics
from gateway.problems import HTTPProblemError
from gateway.runtime import Runtime

_bearer = HTTPBearer(auto_error=False, description="API key made by `signet keys api`.")


def runtime_of(request: Request) -> Runtime:
    """Return the runtime of the app that serves this request."""
    return cast(Runtime, request.app.state.runtime)


def metrics_of(request: Request) -> Metrics:
    """Return the metrics of the app that serves this request."""
    return cast(Metrics, request.app.state.metrics)


def requires(scope: Scope) -> Callable[..., Caller]:
    """Return a dependency that lets only callers with ``scope`` through.

    Without a key file the service listens on loopback only and every caller is the local tenant.
    """

    def identify(
        request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
    ) -> Caller:
        keys = cast(APIKeys | None, request.app.state.api_keys)
        if keys is None:
            tenant = runtime_of(request).settings.tenant
            return Caller(name="local", tenant=tenant, scopes=frozenset(Scope))
        caller = keys.identify(credentials.credentials) if credentials else None
        if caller is None:
            raise HTTPProblemError(
                401,
                "unauthorized",
                "This route needs a valid API key.",
                next_step="Send `Authorization: Bearer <key>`; `signet keys api` makes one.",
                headers={"WWW-Authenticate": "Bearer"},
            )
        if scope not in caller.scopes:
            raise HTTPProblemError(
                403, "forbidden", f"This key may not {scope.value}.", next_step="Use a key with that scope."
            )
        return caller

    return identify
