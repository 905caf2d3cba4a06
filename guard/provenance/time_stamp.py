"""RFC 3161 time stamps from the operator's authority: our own deadline, and a policy for when the authority fails.

c2pa-rs asks for the stamp itself, waits 30 s and then fails the signature; neither can be configured (measured). So it
is given a relay of ours on the loopback interface, which forwards the request to the real authority under our deadline
and passes on only what can be a time stamp:

 (1) c2pa-rs posts its request to the relay, whose address holds a secret, so that no other local user can use it
 (2) the relay asks the authority under one total deadline (guard/provenance/http_exchange.py)
 (3) status, size and the PKIStatus of the answer are checked; anything else is answered 502, with the reason kept
 (4) ``C2PACredentialSigner`` then refuses, or signs again without a stamp and says so in ``SignedBytes.time_stamp``

After a failure that is signed without, the authority is left alone for RETRY_AFTER_S, so that not every picture waits
for the deadline. The relay is made in each process on first use; it is dead after a fork and made anew.
"""

from __future__ import annotations

import http.server
import os
import secrets
import threading
import time
from enum import StrEnum
from urllib.parse import urlsplit

from guard.errors import ConfigError
from guard.provenance.http_exchange import exchange

DEFAULT_DEADLINE_S = 5.0
"""Longest wait for one stamp: authorities answer in 0.1 to 1 s."""
RETRY_AFTER_S = 30.0
"""How long an authority that failed is left alone, when signing without it is allowed."""
MAX_BYTES = 64 * 1024
"""Largest request or answer: a token with four certificates has 6 kB."""
_QUERY, _REPLY = "application/timestamp-query", "application/timestamp-reply"
_LOOPBACK = "127.0.0.1"


class TimeStampPolicy(StrEnum):
    """What happens to a picture when the authority gives no stamp."""

    REFUSE = "refuse"
    SIGN_WITHOUT = "sign_without"


class TimeStampSource:
    """The operator's time-stamp authority, as the signer uses it; safe to share between threads."""

    def __init__(
        self,
        url: str,
        *,
        policy: TimeStampPolicy = TimeStampPolicy.REFUSE,
        deadline_s: float = DEFAULT_DEADLINE_S,
        anchors_pem: str = "",
    ) -> None:
        """Prepare; nothing is asked yet.

        Args:
            url: http(s), operator configuration.
            policy: what to do when it fails.
            deadline_s: seconds for one stamp, > 0.
            anchors_pem: roots of authorities; a stamp that none of them vouches for counts as a failure. Empty: any
                stamp is taken, and readers decide about it.

        Raises:
            ConfigError: ``url`` is not an http(s) address.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError(
                f"The time-stamp authority is {url!r}; expected an http:// or https:// address.",
                next_step="Correct SIGNET_TSA_URL.",
            )
        self.url, self.policy, self.anchors_pem = url, policy, anchors_pem
        self._deadline_s = deadline_s
        self._lock = threading.Lock()
        self._relay: tuple[int, _Relay] | None = None
        self._paused_until = 0.0
        self._last_failure: str | None = None
        self._stamped = 0
        self._without = 0

    @property
    def last_failure(self) -> str | None:
        """Return why the last stamp failed, or None when the last one came."""
        return self._last_failure

    @property
    def stamped(self) -> int:
        """Return how many pictures of this process got a stamp."""
        return self._stamped

    @property
    def signed_without(self) -> int:
        """Return how many pictures of this process were signed without one, by policy."""
        return self._without

    def address(self) -> str:
        """Return the relay's address for c2pa-rs, made in this process."""
        with self._lock:
            if self._relay is None or self._relay[0] != os.getpid():
                self._relay = (os.getpid(), _Relay(self))
            return self._relay[1].url

    def paused(self) -> bool:
        """Return whether the authority failed a moment ago and need not be asked (policy SIGN_WITHOUT only)."""
        return self.policy is TimeStampPolicy.SIGN_WITHOUT and time.monotonic() < self._paused_until

    def succeeded(self) -> None:
        """Count a stamp."""
        with self._lock:
            self._last_failure = None
            self._stamped += 1

    def failed(self, reason: str) -> None:
        """Remember a failure, and pause where the policy allows it."""
        with self._lock:
            self._last_failure = reason
            self._paused_until = time.monotonic() + RETRY_AFTER_S

    def count_without(self) -> None:
        """Count a picture that was signed without a stamp."""
        with self._lock:
            self._without += 1

    def ask(self, request: bytes) -> bytes:
        """Return the authority's answer to a time-stamp request.

        Raises:
            OSError: it cannot be reached, or ran past the deadline (TimeoutError).
            ValueError: it answered something that is no granted time stamp.
        """
        headers = {"Content-Type": _QUERY, "Accept": _REPLY}
        answer = exchange(
            self.url,
            method="POST",
            body=request,
            headers=headers,
            deadline_s=self._deadline_s,
            max_bytes=MAX_BYTES,
        )
        if answer.status != 200:
            raise ValueError(f"it answered HTTP {answer.status}")
        status = pki_status(answer.body)
        if status not in (0, 1):  # granted, granted with modifications (RFC 3161 section 2.4.2)
            raise ValueError(f"it refused with PKIStatus {status}")
        return answer.body

    def close(self) -> None:
        """Stop the relay."""
        with self._lock:
            if self._relay is not None and self._relay[0] == os.getpid():
                self._relay[1].close()
            self._relay = None


def pki_status(reply: bytes) -> int:
    """Return PKIStatus of a TimeStampResp: SEQUENCE { PKIStatusInfo SEQUENCE { INTEGER ... } ... }.

    Raises:
        ValueError: the bytes do not begin like one.

    Source: RFC 3161 section 2.4.2, DER of X.690 section 8.1.
    """
    try:
        outer, inner_at = _header(reply, 0, 0x30)
        _, status_at = _header(reply, inner_at, 0x30)
        length, value_at = _header(reply, status_at, 0x02)
        if inner_at + outer != len(reply) or length != 1:
            raise ValueError("lengths do not fit")
        return reply[value_at]
    except (IndexError, ValueError) as exc:
        raise ValueError("it answered something that is no time-stamp response") from exc


def _header(data: bytes, at: int, tag: int) -> tuple[int, int]:
    """Return (length, where the content begins) of a DER element. Raises ValueError, IndexError."""
    if data[at] != tag:
        raise ValueError(f"tag {data[at]:#x} instead of {tag:#x}")
    first = data[at + 1]
    if first < 0x80:
        return first, at + 2
    size = first & 0x7F
    return int.from_bytes(data[at + 2 : at + 2 + size], "big"), at + 2 + size


class _Relay:
    """The loopback end: one address, one source."""

    def __init__(self, source: TimeStampSource) -> None:
        path = f"/{secrets.token_urlsafe(24)}"

        class Handler(http.server.BaseHTTPRequestHandler):
            timeout = 10.0

            def do_POST(self) -> None:
                length = self.headers.get("content-length", "")
                if self.path != path or not length.isdecimal() or int(length) > MAX_BYTES:
                    self.send_error(404)
                    return
                try:
                    content = source.ask(self.rfile.read(int(length)))
                except (OSError, ValueError) as exc:
                    source.failed(str(exc) or type(exc).__name__)
                    self.send_error(502)
                    return
                self.send_response(200)
                self.send_header("Content-Type", _REPLY)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: object) -> None:
                """Stay silent; the source keeps the reason."""

        _bypass_proxy()
        self._server = http.server.ThreadingHTTPServer((_LOOPBACK, 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True)
        self._thread.start()
        self.url = f"http://{_LOOPBACK}:{self._server.server_port}{path}"

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _bypass_proxy() -> None:
    """Tell the HTTP client inside c2pa-rs not to ask a proxy for our loopback address, as it would (measured)."""
    proxies = ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY")
    if not any(os.environ.get(name) for name in proxies):
        return
    for name in ("no_proxy", "NO_PROXY"):
        listed = [host for host in os.environ.get(name, "").split(",") if host]
        if _LOOPBACK not in listed:
            os.environ[name] = ",".join([*listed, _LOOPBACK])
