"""Asking whether a trusted signer's certificate was withdrawn (OCSP, RFC 6960): off unless hosts are listed.

c2pa-rs asks whatever address stands in a certificate, so with ``ocsp_fetch`` alone any upload makes this machine open a
connection to a place of the uploader's choice (measured). Here a file is first read without any network. Only when its
signer is trusted is it read again with OCSP, and only the operator's own hosts can be reached then. No answer is no
finding: the report keeps its state and says so.
"""

from __future__ import annotations

import json
import re

from guard.errors import ConfigError
from guard.provenance.native import NO_NETWORK
from guard.provenance.trust import TrustAnchors

NOT_REVOKED = "signingCredential.ocsp.notRevoked"
INACCESSIBLE = "signingCredential.ocsp.inaccessible"
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]|\.(?!\.))*(?::\d{1,5})?")
"""HOST or HOST:PORT; c2pa-rs also takes wildcards, which would open more than one host."""


def parse_hosts(text: str) -> tuple[str, ...]:
    """Return the hosts of a comma-separated list.

    Args:
        text: HOST or HOST:PORT, exactly as in the certificates; empty for none.

    Raises:
        ConfigError: an entry is anything else.
    """
    hosts = tuple(entry.strip() for entry in text.split(",") if entry.strip())
    for host in hosts:
        if not _HOST.fullmatch(host):
            raise ConfigError(
                f"SIGNET_OCSP_HOSTS holds {host!r}; expected HOST or HOST:PORT, separated by commas.",
                next_step="Write only names, e.g. ocsp.example.org; without scheme, path or wildcard.",
            )
    return hosts


def ocsp_settings(anchors: TrustAnchors, *, hosts: tuple[str, ...]) -> str:
    """Return the settings for reading as JSON: as ``native.reading_settings``, but the hosts may be asked by OCSP."""
    return json.dumps(
        {
            "verify": {**NO_NETWORK["verify"], "ocsp_fetch": True},
            "core": {**NO_NETWORK["core"], "allowed_network_hosts": list(hosts)},
            "trust": anchors.settings(),
        },
        sort_keys=True,
    )
