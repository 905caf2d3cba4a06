"""A small reference signing service: the other end of remote.py; keeps claim-signing keys out of the gateway process.

What it does about each request, in this order:

 (1) TLS 1.3 with a client certificate of the operator's CA, handshake and request under a deadline
 (2) the client's certificate names a front end on the list
 (3) size and form of the request
 (4) the data are a COSE signature structure (RFC 9052 section 4.4), nothing else is ever signed
 (5) sign, check against the certificate, answer, and report one record for the audit log; no content is logged

It runs on the standard library, so that the machine with the keys needs no web framework. At most MAX_BUSY requests are
worked on at one time; further ones are answered 503, which the client tries again.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import http.server
import json
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from guard.errors import GuardError, KeyMaterialError
from guard.interfaces import KeySource
from guard.provenance.keys.remote import PROTOCOL_VERSION

MAX_REQUEST_BYTES = 256 * 1024
"""Largest request: a claim of some hundred assertions has 40 kB; base64 adds a third."""
MAX_CONNECTIONS = 128
"""Most connections at one time, handshakes included; further ones are closed at once, which the client tries again."""
MAX_BUSY = 32
"""Most requests at one time: a token signs some hundred per second, so more would only wait."""
REQUEST_TIMEOUT_S = 10.0
"""Longest pause of a client, in the handshake and in a request."""
_LINGER_S = 0.2
_COSE_SIGN1 = b"\x84\x6aSignature1"
"""CBOR: array of four, text "Signature1". Source: RFC 9052 section 4.4."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningRecord:
    """One line of the audit log.

    Attributes:
        client: common name of the front end, or what was wrong with it.
        key_id: key that was asked for.
        data_sha256: digest of what was signed, hex; empty for a request that was refused before.
        status: HTTP status of the answer.
        reason: why it was refused; empty for a signature.
    """

    client: str
    key_id: str
    data_sha256: str
    status: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceTLS:
    """Files of the service's end of mutual TLS.

    Attributes:
        certificate_file: PEM, this service's certificate, then intermediates.
        key_file: its private key.
        clients_ca_file: PEM, who vouches for front ends.
    """

    certificate_file: Path
    key_file: Path
    clients_ca_file: Path

    def context(self) -> ssl.SSLContext:
        """Return TLS settings that demand a client certificate. Raises KeyMaterialError."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.verify_mode = ssl.CERT_REQUIRED
        try:
            context.load_cert_chain(str(self.certificate_file), str(self.key_file), password=lambda: b"")  # never ask
            context.load_verify_locations(self.clients_ca_file)
        except (OSError, ssl.SSLError) as exc:
            raise KeyMaterialError(
                f"The files for mutual TLS cannot be used: {exc}.",
                next_step="Check that they are PEM; `signet signer init` makes a set of them.",
            ) from exc
        return context


class SigningService:
    """Serves signatures on one address until it is closed."""

    def __init__(
        self,
        address: tuple[str, int],
        *,
        tls: ServiceTLS,
        keys: Mapping[str, Callable[[], KeySource]],
        clients: frozenset[str],
        on_record: Callable[[SigningRecord], None],
    ) -> None:
        """Open the port.

        Args:
            address: host and port; port 0 takes a free one.
            tls: this end's files.
            keys: key id -> gives the key to use now.
            clients: common names of the front ends that may ask; an empty set serves nobody.
            on_record: called once per request, from several threads.

        Raises:
            KeyMaterialError: the TLS files cannot be used, or the port is taken.
        """
        self.busy = threading.BoundedSemaphore(MAX_BUSY)
        self.keys, self.clients, self.on_record = dict(keys), clients, on_record
        self._tls = tls.context()
        try:
            self._server = _Server(address, _Handler, self)
        except OSError as exc:
            raise KeyMaterialError(f"The signing service cannot listen on {address[0]}:{address[1]}: {exc}.") from exc
        self.port = int(self._server.server_address[1])

    def wrapped(self, connection: socket.socket) -> ssl.SSLSocket:
        """Return a connection with the handshake still to do: in its own thread, not where others wait."""
        connection.settimeout(REQUEST_TIMEOUT_S)
        return self._tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)

    def serve_forever(self) -> None:
        """Answer requests until ``close`` is called from another thread."""
        self._server.serve_forever(poll_interval=0.1)

    def close(self) -> None:
        """Stop and free the port."""
        self._server.shutdown()
        self._server.server_close()

    def answer(self, *, client: str, method: str, path: str, body: bytes) -> tuple[int, dict[str, Any]]:
        """Return status and JSON fields for one request, steps (2) to (5); reports it."""
        key_id, digest = "", ""
        try:
            if client not in self.clients:
                raise _RefusedError(403, f"{client} is not on the list of front ends")
            key_id, action = _target(method, path)
            if key_id not in self.keys:
                raise _RefusedError(404, f"there is no key {key_id}")
            key = self.keys[key_id]()
            if action == "describe":
                fields: dict[str, Any] = {
                    "id": key_id,
                    "algorithm": key.algorithm,
                    "certificate_chain_pem": key.certificate_chain_pem,
                }
            else:
                data = _data(body)
                digest = hashlib.sha256(data).hexdigest()
                fields = {"signature": base64.b64encode(key.sign(data)).decode("ascii")}
            status, reason = 200, ""
        except _RefusedError as refused:
            status, reason, fields = refused.status, refused.reason, {"error": refused.reason}
        except GuardError as error:  # the key failed: the front end learns that, the operator reads why in the log
            status, reason, fields = 500, str(error), {"error": "the key failed; see the log of the service"}
        self.on_record(SigningRecord(client=client, key_id=key_id, data_sha256=digest, status=status, reason=reason))
        return status, {"version": PROTOCOL_VERSION, **fields}


class _RefusedError(Exception):
    """A request that gets no signature; never leaves this module, hence outside the tree."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


class _Server(http.server.ThreadingHTTPServer):
    """One thread per connection; a front end that fails is none of the others' business."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], handler: type[_Handler], service: SigningService) -> None:
        self.service = service
        self._places = threading.BoundedSemaphore(MAX_CONNECTIONS)
        super().__init__(address, handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Start a thread for a connection, unless there are too many."""
        if self._places.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve one connection in its thread."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def get_request(self) -> tuple[ssl.SSLSocket, Any]:
        connection, address = super().get_request()
        return self.service.wrapped(connection), address

    def handle_error(self, request: object, client_address: object) -> None:
        """Report a broken connection instead of printing a traceback."""
        self.service.on_record(
            SigningRecord(client="", key_id="", data_sha256="", status=0, reason="the connection broke")
        )


class _Handler(http.server.BaseHTTPRequestHandler):
    """One request per connection."""

    server: _Server
    server_version, sys_version = "signet-signer", ""

    def setup(self) -> None:
        """(1) Shake hands. Raises ssl.SSLError, TimeoutError."""
        connection = cast("ssl.SSLSocket", self.request)
        try:
            connection.do_handshake()
        except ssl.SSLError:
            _drain(connection)
            raise
        super().setup()

    def do_POST(self) -> None:
        """Answer one request."""
        service = self.server.service
        if not service.busy.acquire(blocking=False):
            self._send(503, {"error": "busy"})
            return
        try:
            length = self.headers.get("content-length", "0")
            if not length.isdecimal() or int(length) > MAX_REQUEST_BYTES:
                self.rfile.read(min(int(length), 4 * MAX_REQUEST_BYTES) if length.isdecimal() else 0)  # else reset
                self._send(413, {"error": f"more than {MAX_REQUEST_BYTES} bytes"})
                return
            body = self.rfile.read(int(length))
            client = _common_name(cast("ssl.SSLSocket", self.request).getpeercert())
            status, fields = service.answer(client=client, method=self.command, path=self.path, body=body)
            self._send(status, fields)
        finally:
            service.busy.release()

    def do_GET(self) -> None:
        """Answer one request."""
        self.do_POST()

    def _send(self, status: int, fields: Mapping[str, Any]) -> None:
        content = json.dumps(fields).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Stay silent; ``on_record`` is the log."""


def _drain(connection: ssl.SSLSocket) -> None:
    """Read what a refused client has sent already: closing before would reset the connection and lose our alert."""
    connection.settimeout(_LINGER_S)
    with contextlib.suppress(OSError):
        while socket.socket.recv(connection, 4096):
            pass


def _target(method: str, path: str) -> tuple[str, str]:
    """Return (key id, describe | sign). Raises _RefusedError."""
    steps = path.strip("/").split("/")
    if steps[:2] == ["v1", "keys"]:
        if method == "GET" and len(steps) == 3:
            return steps[2], "describe"
        if method == "POST" and len(steps) == 4 and steps[3] == "sign":
            return steps[2], "sign"
    raise _RefusedError(404, "no such address")


def _data(body: bytes) -> bytes:
    """(3), (4) Return what is to be signed. Raises _RefusedError."""
    try:
        fields = json.loads(body)
        if fields["version"] != PROTOCOL_VERSION:
            raise _RefusedError(400, f"expected protocol version {PROTOCOL_VERSION}")
        data = base64.b64decode(str(fields["data"]), validate=True)
    except (ValueError, KeyError, TypeError, binascii.Error) as exc:
        raise _RefusedError(400, "expected JSON with version and data (base64)") from exc
    if not data.startswith(_COSE_SIGN1):
        raise _RefusedError(422, "the data are not a COSE signature structure")
    return data


def _common_name(certificate: Any) -> str:
    """Return the common name of a client's certificate; TLS has checked the certificate."""
    names = [value for entry in (certificate or {}).get("subject", ()) for name, value in entry if name == "commonName"]
    return str(names[0]) if len(names) == 1 else "a client without one common name"
