"""One HTTP request under one total deadline: to the operator's signing service, time-stamp authority or trust list.

``timeout`` of the standard library bounds each socket operation, so a peer that sends one byte now and then holds a
thread for ever. Here a timer cuts the connection when the time is up, whatever the peer does; redirects are not
followed, proxies of the environment are not used, and the answer has a size limit.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the peer answered.

    Attributes:
        status: HTTP status.
        content_type: media type without parameters, lower case; empty when none was given.
        body: at most the limit that was asked for.
    """

    status: int
    content_type: str
    body: bytes


def exchange(
    url: str,
    *,
    method: str = "GET",
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    deadline_s: float,
    max_bytes: int,
    tls: ssl.SSLContext | None = None,
) -> Answer:
    """Send one request and return the answer, of any status.

    Args:
        url: http:// or https://; operator configuration, never from an upload.
        method: GET or POST.
        body: sent with a Content-Length.
        headers: further headers.
        deadline_s: seconds for everything but the look-up of the name, > 0.
        max_bytes: most bytes of the answer's body.
        tls: for https; None checks the peer against the system's roots.

    Raises:
        TimeoutError: the deadline passed.
        ConnectionError: the peer could not be reached, closed the connection before its answer was complete, or did
            not say how long that is.
        OSError: other failures of socket or TLS (ssl.SSLError).
        ValueError: not an HTTP address, not an HTTP answer, or more than ``max_bytes``.
    """
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ValueError(f"{url!r} is not an http:// or https:// address")
    ends = time.monotonic() + deadline_s
    port = parts.port or _PORTS[parts.scheme]
    plain = _connect(parts.hostname, port, deadline_s)
    with contextlib.closing(plain), _Cut(plain, ends) as cut:
        try:
            stream = plain
            if parts.scheme == "https":
                stream = (tls or ssl.create_default_context()).wrap_socket(plain, server_hostname=parts.hostname)
            with contextlib.closing(stream):
                connection = http.client.HTTPConnection(parts.hostname, port)
                connection.sock = stream
                target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
                connection.request(method, target, body=body or None, headers=dict(headers or {}))
                with contextlib.closing(connection.getresponse()) as response:
                    answer = _read(response, max_bytes)
            if cut.passed:  # http.client takes a head that was cut off for a whole one
                raise TimeoutError(f"no complete answer within {deadline_s:g} s")
            return answer
        except (OSError, http.client.HTTPException) as exc:
            if cut.passed or isinstance(exc, TimeoutError):
                raise TimeoutError(f"no complete answer within {deadline_s:g} s") from exc
            closed = http.client.IncompleteRead | http.client.BadStatusLine | ssl.SSLEOFError | ssl.SSLZeroReturnError
            if isinstance(exc, closed):
                raise ConnectionError("the connection was closed before the answer was complete") from exc
            if isinstance(exc, http.client.HTTPException):
                raise ValueError(f"no HTTP answer ({type(exc).__name__})") from exc
            raise


def _connect(host: str, port: int, deadline_s: float) -> socket.socket:
    """Open a connection. Raises TimeoutError, OSError."""
    try:
        return socket.create_connection((host, port), timeout=deadline_s)
    except TimeoutError as exc:
        raise TimeoutError(f"no connection within {deadline_s:g} s") from exc


def _read(response: http.client.HTTPResponse, max_bytes: int) -> Answer:
    """Read a whole body. Raises ValueError when it is too large, IncompleteRead when it is or may be cut off."""
    if response.length is None and not response.chunked:  # its end cannot be told from a broken connection
        raise http.client.IncompleteRead(b"")
    content = response.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise ValueError(f"the answer has more than {max_bytes} bytes")
    if response.length:  # read(n) returns less without complaint when the peer closes early
        raise http.client.IncompleteRead(content, response.length)
    kind = response.headers.get_content_type() if "content-type" in response.headers else ""
    return Answer(status=response.status, content_type=kind, body=content)


class _Cut:
    """Shuts a connection down when its time is up; ``passed`` tells afterwards whether it did."""

    def __init__(self, connection: socket.socket, ends: float) -> None:
        self.passed = False
        self._handle = connection.dup()  # the TLS wrapper takes the descriptor over; this one stays ours
        self._timer = threading.Timer(max(ends - time.monotonic(), 0), self._expire)
        self._timer.daemon = True

    def _expire(self) -> None:
        self.passed = True
        with contextlib.suppress(OSError):
            self._handle.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> _Cut:
        self._timer.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._timer.cancel()
        self._timer.join()
        self._handle.close()
