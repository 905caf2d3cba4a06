"""Fetching one large file for an operator: https only, resumable, bounded, never more than was announced.

::

    download("https://host/model.pth", Path("model.pth.part"), max_bytes=10**9, progress=lambda done, total: None)

Part files stay after a failure; the next call goes on where they end, if the server says that the file is still the
same (ETag). Proxies of the environment are not used. Plain http is accepted for this machine only.
"""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Callable
from pathlib import Path
from urllib.parse import SplitResult, urljoin, urlsplit

from guard.errors import RequestError

MAX_REDIRECTS = 5
SOCKET_TIMEOUT_S = 30.0
"""Longest silence of the server; a transfer that moves may take as long as it needs."""
_CHUNK = 1024 * 1024
_HERE = frozenset({"127.0.0.1", "::1", "localhost"})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PARTIAL, _OK, _NOT_SATISFIABLE = 206, 200, 416

Progress = Callable[[int, int | None], None]
"""(bytes so far, bytes in all or None)."""


def download(url: str, part: Path, *, max_bytes: int, progress: Progress, tls: ssl.SSLContext | None = None) -> None:
    """Bring a file here, going on with what an earlier call left.

    Args:
        url: https address.
        part: written; ``<part>.etag`` beside it says which version it is.
        max_bytes: most bytes that are taken.
        progress: called after every piece.
        tls: None checks the server against the system's roots.

    Raises:
        RequestError: another scheme, no such file, too large, cut off, or the server cannot be reached.
    """
    try:
        _download(url, part, max_bytes=max_bytes, progress=progress, tls=tls)
    except (OSError, http.client.HTTPException) as exc:
        raise RequestError(
            f"{url} could not be fetched: {str(exc) or type(exc).__name__}.",
            next_step="Run the same command again: it goes on where it stopped.",
        ) from exc


def _download(url: str, part: Path, *, max_bytes: int, progress: Progress, tls: ssl.SSLContext | None) -> None:
    tag_file = part.with_name(part.name + ".etag")
    there = part.stat().st_size if part.is_file() else 0
    tag = tag_file.read_text(encoding="utf-8") if there and tag_file.is_file() else ""
    headers = {"Range": f"bytes={there}-", "If-Range": tag} if tag else {}
    connection, answer = _opened(url, headers, tls)
    try:
        if answer.status == _NOT_SATISFIABLE and tag:  # the part is the whole file, or no longer a part of it
            part.unlink()
            tag_file.unlink()
            connection.close()
            return _download(url, part, max_bytes=max_bytes, progress=progress, tls=tls)
        if answer.status not in (_OK, _PARTIAL):
            raise RequestError(f"{url} answers with status {answer.status}.", next_step="Check the address.")
        done = there if answer.status == _PARTIAL else 0
        total = done + answer.length if answer.length is not None else None
        if (total or 0) > max_bytes:
            raise RequestError(f"{url} has {total} bytes; at most {max_bytes} are fetched.")
        tag_file.write_text(_strong(answer.headers.get("ETag")), encoding="utf-8")
        with part.open("ab" if done else "wb") as stream:
            while piece := answer.read(_CHUNK):
                done += len(piece)
                if done > max_bytes:
                    raise RequestError(f"{url} has more than {max_bytes} bytes.")
                stream.write(piece)
                progress(done, total)
        if total is not None and done != total:
            raise RequestError(
                f"{url} was cut off after {done} of {total} bytes.",
                next_step="Run the same command again: it goes on where it stopped.",
            )
    finally:
        connection.close()
    tag_file.unlink()


def _opened(
    url: str, headers: dict[str, str], tls: ssl.SSLContext | None
) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
    """Follow redirects to an answer; every step must be https."""
    for _ in range(MAX_REDIRECTS + 1):
        parts = _acceptable(url)
        host = parts.hostname or ""
        if parts.scheme == "https":
            context = tls or ssl.create_default_context()
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                host, parts.port, timeout=SOCKET_TIMEOUT_S, context=context
            )
        else:
            connection = http.client.HTTPConnection(host, parts.port, timeout=SOCKET_TIMEOUT_S)
        connection.request("GET", (parts.path or "/") + (f"?{parts.query}" if parts.query else ""), headers=headers)
        answer = connection.getresponse()
        if answer.status not in _REDIRECTS:
            return connection, answer
        url = urljoin(url, answer.headers.get("Location", ""))
        connection.close()
    raise RequestError(f"{url} redirects more than {MAX_REDIRECTS} times.")


def _acceptable(url: str) -> SplitResult:
    parts = urlsplit(url)
    if parts.hostname and (parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _HERE)):
        return parts
    raise RequestError(f"{url!r} is not an https:// address.", next_step="Weights are only fetched over https.")


def _strong(tag: str | None) -> str:
    """Return an ETag that may be used with If-Range, or nothing (RFC 9110, section 13.1.5)."""
    return "" if tag is None or tag.startswith("W/") else tag
