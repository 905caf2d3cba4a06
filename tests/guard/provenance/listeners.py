"""Loopback servers for tests: one that records requests, one that is an RFC 3161 time-stamp authority."""

import http.server
import subprocess
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


class Listener:
    """Answers every request with ``status`` and records it."""

    def __init__(self, status: int = 404, body: bytes = b"") -> None:
        self.hits: list[str] = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                outer.hits.append(f"{self.command} {self.path}")
                sent = self.rfile.read(int(self.headers.get("content-length", 0)))
                code, content = outer.answer(sent)
                self.send_response(code)
                self.send_header("Content-Type", "application/timestamp-reply")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def do_GET(self) -> None:
                self.do_POST()

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._fixed = status, body
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/x"

    def answer(self, sent: bytes) -> tuple[int, bytes]:
        return self._fixed

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class TimeStampAuthority(Listener):
    """``openssl ts -reply`` behind a loopback port; its root also issues a claim signer for the trap with TSA roots."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder
        self._lock = threading.Lock()
        root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
        root_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test TSA root")])
        root = _certificate(root_name, root_key, root_name, root_key, authority=True)
        leaf_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test TSA")])
        leaf = _certificate(leaf_name, key, root_name, root_key, purpose=ExtendedKeyUsageOID.TIME_STAMPING)
        self.root_pem = root.public_bytes(serialization.Encoding.PEM).decode()
        self.claim_key = ec.generate_private_key(ec.SECP256R1())
        claim_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Claim signer under the TSA root")])
        claim = _certificate(
            claim_name, self.claim_key, root_name, root_key, purpose=ExtendedKeyUsageOID.EMAIL_PROTECTION
        )
        self.claim_pem = claim.public_bytes(serialization.Encoding.PEM).decode()
        (folder / "tsa.pem").write_bytes(leaf.public_bytes(serialization.Encoding.PEM))
        (folder / "root.pem").write_text(self.root_pem)
        (folder / "tsa.key").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        (folder / "serial").write_text("01\n")
        (folder / "tsa.cnf").write_text(
            f"[tsa]\ndefault_tsa=t\n[t]\nserial={folder}/serial\ncrypto_device=builtin\nsigner_cert={folder}/tsa.pem\n"
            f"certs={folder}/root.pem\nsigner_key={folder}/tsa.key\nsigner_digest=sha256\n"
            "default_policy=1.3.6.1.4.1.99999.1\ndigests=sha256,sha384,sha512\naccuracy=secs:1\nordering=no\n"
            "tsa_name=no\ness_cert_id_chain=no\ness_cert_id_alg=sha256\n"
        )

    def answer(self, sent: bytes) -> tuple[int, bytes]:
        with self._lock:
            query, reply = self._folder / "query", self._folder / "reply"
            query.write_bytes(sent)
            command = ["openssl", "ts", "-reply", "-config", str(self._folder / "tsa.cnf")]
            subprocess.run([*command, "-queryfile", str(query), "-out", str(reply)], capture_output=True, check=True)
            return 200, reply.read_bytes()


def _certificate(
    subject: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    issuer: x509.Name,
    issuer_key: ec.EllipticCurvePrivateKey,
    *,
    authority: bool = False,
    purpose: x509.ObjectIdentifier | None = None,
) -> x509.Certificate:
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
        .add_extension(
            x509.KeyUsage(
                digital_signature=not authority,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                key_cert_sign=authority,
                crl_sign=authority,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
    )
    if purpose is not None:
        critical = purpose == ExtendedKeyUsageOID.TIME_STAMPING  # RFC 3161 section 2.3
        builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=critical)
    return builder.sign(issuer_key, hashes.SHA256())
