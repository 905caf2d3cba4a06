"""Limits on what a request may send, enforced while it arrives: nothing larger ever lies in memory."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from gateway.problems import problem
from guard.media import MAX_BYTES

MAX_JSON_BODY = 2 * ((MAX_BYTES + 2) // 3 * 4) + 64 * 1024
"""Two base64 pictures (source and mask) and the fields around them."""
MAX_MULTIPART_BODY = MAX_BYTES + 64 * 1024
"""One picture and the parts around it."""

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]


class _BodyTooLarge(Exception):  # noqa: N818 - control flow between receive() and the middleware, never seen outside
    pass


class BodyLimit:
    """ASGI middleware: answers 413 as soon as the declared or received body passes the limit."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with a counting ``receive``."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.lower(): value for name, value in scope["headers"]}
        multipart = headers.get(b"content-type", b"").startswith(b"multipart/")
        limit = MAX_MULTIPART_BODY if multipart else MAX_JSON_BODY
        declared = headers.get(b"content-length", b"0")
        if not declared.isdigit() or int(declared) > limit:
            await _too_large(limit)(scope, receive, send)
            return
        received = 0
        started = False

        async def counting_receive() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                raise _BodyTooLarge
            return message

        async def watching_send(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, counting_receive, watching_send)
        except _BodyTooLarge:
            if not started:
                await _too_large(limit)(scope, receive, send)


def _too_large(limit: int) -> ASGIApp:
    return problem(
        413,
        "body_too_large",
        f"The request body is larger than {limit // (1024 * 1024)} MiB.",
        next_step="Send a smaller picture.",
    )
