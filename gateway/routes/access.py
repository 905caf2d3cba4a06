"""What routes depend on: the runtime, the metrics, and a caller with the right scope."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address
from typing import Annotated, cast

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from gateway.auth.api_keys import APIKeys, Caller, Scope
from gateway.metrics import Metrics
from gateway.problems import HTTPProblemError
from gateway.runtime import Runtime

_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip")
_bearer = HTTPBearer(auto_error=False, description="API key made by `signet keys api`.")


def runtime_of(request: Request) -> Runtime:
    """Return the runtime of the app that serves this request."""
    return cast(Runtime, request.app.state.runtime)


def metrics_of(request: Request) -> Metrics:
    """Return the metrics of the app that serves this request."""
    return cast(Metrics, request.app.state.metrics)


def identify(request: Request) -> Caller:
    """Return who is calling; called before the body is read.

    Without a key file every caller is the local tenant, and only connections within this machine are served: neither
    end may be another machine, and nothing may have been forwarded.

    Raises:
        HTTPProblemError: 401 without a valid key, 403 when there are no keys and the caller is elsewhere.
    """
    keys = cast(APIKeys | None, request.app.state.api_keys)
    if keys is None:
        if not _is_local(request):
            raise HTTPProblemError(
                403,
                "keys_needed",
                "This service has no API keys, so it answers callers on its own machine only.",
                next_step="Make a key with `signet keys api` and set SIGNET_API_KEYS_FILE.",
            )
        tenant = runtime_of(request).settings.tenant
        return Caller(name="local", tenant=tenant, scopes=frozenset(Scope))
    scheme, _, presented = request.headers.get("authorization", "").partition(" ")
    caller = keys.identify(presented.strip()) if scheme.lower() == "bearer" else None
    if caller is None:
        raise HTTPProblemError(
            401,
            "unauthorized",
            "This route needs a valid API key.",
            next_step="Send `Authorization: Bearer <key>`; `signet keys api` makes one.",
            headers={"WWW-Authenticate": "Bearer"},
        )
    return caller


def requires(scope: Scope) -> Callable[..., Caller]:
    """Return a dependency that lets only callers with ``scope`` through; the app has identified them already."""

    def authorise(request: Request, _: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]) -> Caller:
        caller = cast(Caller, request.state.caller)
        if scope not in caller.scopes:
            raise HTTPProblemError(
                403, "forbidden", f"This key may not {scope.value}.", next_step="Use a key with that scope."
            )
        return caller

    return authorise


def _is_local(request: Request) -> bool:
    """Return whether both ends of the connection are on this machine; Unix sockets have no addresses and are."""
    if any(name in request.headers for name in _FORWARDED):
        return False
    ends = (request.client, request.scope.get("server"))
    return all(end is None or end[1] is None or is_loopback(end[0]) for end in ends)


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine: ``localhost``, 127.0.0.0/8 or ::1."""
    try:
        return ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return host == "localhost"
