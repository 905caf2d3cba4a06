"""Start-up self-test: proves on this machine that signing, trust and the closed network paths work as configured.

c2pa-rs accepts unknown settings silently, so a renamed key in a later version would quietly re-open the network or
trust everybody. Three probes, in this order:

 (1) a picture signed with the configured key reads back as trusted
 (2) a picture signed under another root reads back as intact but untrusted
 (3) a file that names a remote manifest on a listener of ours reads back without a single connection to it
"""

from __future__ import annotations

import contextlib
import http.server
import io
import tempfile
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from guard.credentials import CredentialState
from guard.errors import ConfigError
from guard.interfaces import CredentialReader
from guard.media import encode
from guard.provenance.dev_ca import init_development_keys
from guard.provenance.keys_folder import KeyFolder
from guard.provenance.manifest import CREATED_LABELS, ManifestFacts, ManifestKind, manifest_definition
from guard.provenance.native import signing_context
from guard.provenance.sign import C2PACredentialSigner, ClaimGenerator
from guard.records import ImageFormat

_SIDE_PX = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfTest:
    """What the three probes gave; a failed one raises instead.

    Attributes:
        own: state of a file signed with the configured key.
        foreign: state of a file signed under another root.
        connections: connections to the listener named by a file.
    """

    own: CredentialState
    foreign: CredentialState
    connections: int


def run_self_test(signer: C2PACredentialSigner, reader: CredentialReader, *, now: datetime) -> SelfTest:
    """Run all probes; about 0.1 s.

    Args:
        signer: as configured.
        reader: as configured, trusting the signer's root.
        now: current time, timezone-aware.

    Raises:
        ConfigError: a probe gave anything but the expected answer.
        SigningError: the configured key cannot sign.
    """
    own = reader.read(_signed(signer, now)).state
    _expect(own is CredentialState.TRUSTED, f"a file signed with the configured key reads as {own}; expected trusted")
    with tempfile.TemporaryDirectory(prefix="signet-self-test-") as folder:
        init_development_keys(Path(folder) / "foreign", now=now)
        stranger = KeyFolder.load(Path(folder) / "foreign", now=now)
    foreign_signer = C2PACredentialSigner(stranger.signer, claim_generator=ClaimGenerator(provider="self-test"))
    foreign = reader.read(_signed(foreign_signer, now)).state
    _expect(
        foreign is CredentialState.VALID_UNTRUSTED,
        f"a file signed under an unknown root reads as {foreign}; expected valid_untrusted",
    )
    with _listener() as (url, hits):
        report = reader.read(remote_probe(stranger, url, now=now))
        connections = len(hits)
    _expect(connections == 0, f"reading a file with a remote manifest opened {connections} connections; expected none")
    _expect(
        report.codes == ("manifest.inaccessible",),
        f"a file with a remote manifest gave {report.codes}; expected manifest.inaccessible",
    )
    return SelfTest(own=own, foreign=foreign, connections=connections)


def remote_probe(keys: KeyFolder, url: str, *, now: datetime) -> bytes:
    """Return a PNG without a manifest of its own whose XMP names one at ``url``."""
    from c2pa import Builder, C2paSigningAlg, Signer

    definition = manifest_definition(_facts(now), label=f"urn:c2pa:{uuid.uuid4()}")
    key = keys.signer
    native = Signer.from_callback(key.sign, C2paSigningAlg[key.algorithm.upper()], key.certificate_chain_pem)
    out = io.BytesIO()
    with native as signer, Builder(definition, context=signing_context(CREATED_LABELS)) as builder:
        builder.set_no_embed()
        builder.set_remote_url(url)
        builder.sign(signer, ImageFormat.PNG.media_type, io.BytesIO(_probe_png()), out)
    return out.getvalue()


def _signed(signer: C2PACredentialSigner, now: datetime) -> bytes:
    """Sign the probe picture."""
    return signer.sign_bytes(_facts(now), _probe_png(), ImageFormat.PNG.media_type).data


def _facts(now: datetime) -> ManifestFacts:
    """Return the facts of a probe; nothing of it ever leaves the process."""
    return ManifestFacts(
        kind=ManifestKind.GENERATED,
        image_id="0" * 16,
        provider="self-test",
        system_name="Signet self-test",
        system_version="1",
        created_at=now,
        model_name="none",
    )


def _probe_png() -> bytes:
    """Return a small grey picture."""
    return encode(np.full((_SIDE_PX, _SIDE_PX, 3), 128, np.uint8), ImageFormat.PNG)


@contextlib.contextmanager
def _listener() -> Iterator[tuple[str, list[str]]]:
    """Serve on a loopback port and record every request."""
    hits: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            hits.append(self.path)
            self.send_error(404)

        def log_message(self, format: str, *args: object) -> None:
            """Stay silent; the list is the record."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/manifest.c2pa", hits
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _expect(holds: bool, message: str) -> None:
    """Raise ConfigError when a probe failed."""
    if not holds:
        raise ConfigError(
            f"The content-credential self-test failed: {message}.",
            next_step="Check the trust anchors and that c2pa-python is the pinned version.",
        )
