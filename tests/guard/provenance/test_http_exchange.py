"""One HTTP exchange under one deadline, against peers that behave in every bad way."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from guard.provenance.http_exchange import exchange
from tests.guard.provenance.listeners import Listener

Behaviour = Callable[[socket.socket], None]
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/pem; x=y\r\n"


@contextmanager
def peer(behave: Behaviour) -> Iterator[str]:
    """Accept one connection, read the request, then behave."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                try:
                    behave(connection)
                except OSError:
                    return  # the client hung up, as it should

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/path?query=1"
        thread.join(10)


def ask(url: str, *, deadline_s: float = 5.0, max_bytes: int = 1000) -> tuple[int, str, bytes]:
    answer = exchange(url, deadline_s=deadline_s, max_bytes=max_bytes)
    return answer.status, answer.content_type, answer.body


def drip(connection: socket.socket) -> None:
    for byte in HEAD + b"X-Padding: " + b"x" * 1000:
        connection.send(bytes([byte]))
        time.sleep(0.02)


def drip_body(connection: socket.socket) -> None:
    connection.send(HEAD + b"Content-Length: 1000\r\n\r\n")
    for _ in range(1000):
        connection.send(b"x")
        time.sleep(0.02)


def test_an_answer() -> None:
    with peer(lambda c: c.sendall(HEAD + b"Content-Length: 3\r\n\r\nabc")) as url:
        assert ask(url) == (200, "application/pem", b"abc")
    with peer(lambda c: c.sendall(b"HTTP/1.0 404 No\r\nContent-Length: 3\r\n\r\nabc")) as url:
        assert ask(url) == (404, "", b"abc"), "any status is an answer"
    chunked = HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    with peer(lambda c: c.sendall(chunked)) as url:
        assert ask(url)[2] == b"abc"


@pytest.mark.parametrize("behave", [drip, drip_body, lambda c: time.sleep(1.5)], ids=["head", "body", "silence"])
def test_the_deadline_is_for_the_whole_exchange(behave: Behaviour) -> None:
    """A timeout per operation would let one byte now and then hold us for ever."""
    began = time.monotonic()
    with peer(behave) as url, pytest.raises(TimeoutError):
        ask(url, deadline_s=0.4)
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        HEAD,
        HEAD + b"\r\nno length, so nobody knows whether this is all",
        HEAD + b"Content-Length: 10\r\n\r\nabc",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab",
    ],
    ids=["nothing", "half a head", "no length", "half a body", "half a chunk"],
)
def test_an_answer_that_is_cut_off(sent: bytes) -> None:
    with peer(lambda c: c.sendall(sent)) as url, pytest.raises((ConnectionError, ValueError)) as caught:
        ask(url)
    assert not isinstance(caught.value, TimeoutError)


@pytest.mark.parametrize(
    "rest",
    [
        b"Content-Length: 1001\r\n\r\n" + b"x" * 1001,
        b"Transfer-Encoding: chunked\r\n\r\n" + b"64\r\n" + b"x" * 100 + b"\r\n",
    ],
    ids=["announced", "chunk by chunk"],
)
def test_an_answer_that_is_too_large(rest: bytes) -> None:
    head, _, chunk = rest.partition(b"\r\n\r\n")
    sent = HEAD + head + b"\r\n\r\n" + (chunk * 20 if b"chunked" in head else chunk)
    with (
        peer(lambda c: c.sendall(sent)) as url,
        pytest.raises(ValueError, match="more than 1000 bytes"),
    ):
        ask(url)


@pytest.mark.parametrize("sent", [b"SSH-2.0-OpenSSH\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 5000])
def test_what_is_no_http(sent: bytes) -> None:
    with peer(lambda c: c.sendall(sent)) as url, pytest.raises((ValueError, ConnectionError)):
        ask(url)


@pytest.mark.parametrize("url", ["", "ftp://x/y", "file:///etc/passwd", "http://", "//host"])
def test_other_addresses_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match="not an http"):
        ask(url)


def test_a_redirect_is_an_answer_not_an_order() -> None:
    with Listener(200, b"secret") as inner:
        location = f"Location: {inner.url}\r\nContent-Length: 0\r\n\r\n".encode()
        with peer(lambda c: c.sendall(b"HTTP/1.1 302 Found\r\n" + location)) as url:
            assert ask(url)[0] == 302
        assert inner.hits == []


def test_proxies_of_the_environment_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with peer(lambda c: c.sendall(HEAD + b"Content-Length: 0\r\n\r\n")) as url:
        assert ask(url)[0] == 200
