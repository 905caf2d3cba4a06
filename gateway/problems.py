"""Every error as RFC 9457 problem+json: one table from error classes to HTTP status codes.

No stage knows HTTP; this is the only place where an error meets a status code.
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from guard.errors import (
    ConfigError,
    DeadlineError,
    GuardError,
    InputError,
    MediaTooLargeError,
    OutOfMemoryError,
    StageError,
    UnsupportedMediaError,
    VerificationError,
)

STATUS: tuple[tuple[type[GuardError], int], ...] = (
    (MediaTooLargeError, 413),
    (UnsupportedMediaError, 415),
    (InputError, 422),
    (OutOfMemoryError, 503),
    (DeadlineError, 503),
    (VerificationError, 422),
    (ConfigError, 503),
    (StageError, 500),
    (GuardError, 500),
)
"""First match wins; subclasses stand before their bases."""
PROBLEM_JSON = "application/problem+json"


class HTTPProblemError(Exception):
    """A problem of the HTTP layer itself (authentication, size, rate), with its status code."""

    def __init__(
        self, status: int, code: str, detail: str, *, next_step: str, headers: dict[str, str] | None = None
    ) -> None:
        """Keep what the response will say."""
        super().__init__(detail)
        self.status, self.code, self.detail, self.next_step, self.headers = status, code, detail, next_step, headers


def status_of(error: GuardError) -> int:
    """Return the HTTP status code for an error of the tree."""
    return status_of_kind(type(error))


def status_of_kind(kind: type[GuardError]) -> int:
    """Return the HTTP status code for a class of errors."""
    return next(status for base, status in STATUS if issubclass(kind, base))


def problem(
    status: int,
    code: str,
    detail: str,
    *,
    next_step: str,
    errors: list[dict[str, Any]] | None = None,
    more: dict[str, Any] | None = None,
    headers: dict[str, str] | None = None,
) -> JSONResponse:
    """Build a problem+json response.

    Args:
        status: HTTP status code.
        code: stable machine-readable name.
        detail: what happened, for people.
        next_step: what to do about it.
        errors: one row per wrong field.
        more: further members of the body (RFC 9457 section 3.2).
        headers: further response headers.
    """
    body: dict[str, Any] = {
        "type": f"urn:signet:problem:{code}",
        "title": code.replace("_", " ").capitalize(),
        "status": status,
        "code": code,
        "detail": detail,
        "next_step": next_step,
    }
    if errors:
        body["errors"] = errors
    body |= more or {}
    return JSONResponse(body, status_code=status, media_type=PROBLEM_JSON, headers=headers)


def of(refusal: HTTPProblemError) -> JSONResponse:
    """Return the response that a problem of the HTTP layer stands for."""
    return problem(refusal.status, refusal.code, refusal.detail, next_step=refusal.next_step, headers=refusal.headers)


def status_of_code(code: str) -> int:
    """Return the HTTP status code of an error that is known by its code only; 500 for an unknown code."""
    kinds = [GuardError]
    for kind in kinds:  # grows while it is walked: the whole tree
        kinds += kind.__subclasses__()
    return next((status_of_kind(kind) for kind in kinds if kind.code == code), 500)


def install(app: FastAPI) -> None:
    """Register the handlers that turn errors into problems."""
    app.add_exception_handler(GuardError, _guard_error)
    app.add_exception_handler(HTTPProblemError, _http_problem)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(HTTPException, _http_exception)


async def _guard_error(_: Request, exc: Exception) -> JSONResponse:
    if not isinstance(exc, GuardError):
        raise exc
    return problem(status_of(exc), exc.code, str(exc), next_step=exc.diagnostics())


async def _http_problem(_: Request, exc: Exception) -> JSONResponse:
    if not isinstance(exc, HTTPProblemError):
        raise exc
    return of(exc)


async def _validation(_: Request, exc: Exception) -> JSONResponse:
    """Name the wrong fields; never echo their values (they may be prompts, or NaN, which JSON cannot say)."""
    if not isinstance(exc, RequestValidationError):
        raise exc
    rows = [
        {"field": ".".join(str(part) for part in error["loc"] if part != "body"), "message": str(error["msg"])}
        for error in exc.errors()
    ]
    named = ", ".join(row["field"] or "the body" for row in rows[:5])
    return problem(
        422,
        "invalid_request",
        f"The request is wrong at: {named}.",
        next_step="Correct the fields listed under `errors`; /docs describes them.",
        errors=rows,
    )


async def _http_exception(_: Request, exc: Exception) -> JSONResponse:
    if not isinstance(exc, HTTPException):
        raise exc
    code = {404: "not_found", 405: "method_not_allowed", 413: "too_large", 400: "bad_request"}.get(
        exc.status_code, "http_error"
    )
    too_large = exc.status_code == 413
    return problem(
        exc.status_code,
        code,
        "The request body is larger than this route accepts." if too_large else str(exc.detail),
        next_step="Send a smaller picture." if too_large else "See /docs for the routes and their parameters.",
        headers=dict(exc.headers) if exc.headers else None,
    )
