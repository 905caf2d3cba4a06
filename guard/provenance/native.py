"""The only door to c2pa-python: contexts with every network path closed, built once per process.

Unknown settings keys are silently accepted by c2pa-rs (measured), so the settings live here alone, and the start-up
self-test (``guard/provenance/self_test.py``) proves that they work. A Context made before ``fork`` is dead in the
child, hence the process id in the cache key.
"""

from __future__ import annotations

import functools
import json
import os
from typing import Any

from guard.errors import ConfigError
from guard.provenance.trust import EXTRA_EKUS, TrustAnchors

NO_NETWORK: dict[str, Any] = {
    "verify": {
        "remote_manifest_fetch": False,  # True by default: one GET to any URL in an upload's XMP, without a size limit
        "ocsp_fetch": False,  # True: one GET to the URL in the signer's certificate
    },
    "core": {
        "allowed_network_hosts": [],  # also stops did:web look-ups of CAWG identity assertions
        "allow_redirects": False,
        "decode_identity_assertions": False,
        "max_decompressed_manifest_size_in_mb": 8,  # a compressed store of 1 MB may not unfold to the default 32
    },
}
"""All four switches are needed: each closes a path that the others leave open. Source: measured, docs/provenance.md."""


@functools.lru_cache(maxsize=8)
def _context(settings: str, pid: int) -> Any:
    """Build a Context from JSON settings, once per process."""
    try:
        from c2pa import Context
    except ImportError as exc:  # pragma: no cover - c2pa-python is a core dependency
        raise ConfigError("c2pa-python is not installed.", next_step="pip install c2pa-python==0.38.1") from exc
    return Context.from_dict(json.loads(settings))


def reading_settings(anchors: TrustAnchors) -> str:
    """Return the settings for reading as JSON: trust is verified, no connection is opened."""
    return json.dumps({**NO_NETWORK, "trust": anchors.settings()}, sort_keys=True)


def reading_context(settings: str) -> Any:
    """Return this process's Context for ``reading_settings``."""
    return _context(settings, os.getpid())


def signing_context(created_labels: tuple[str, ...], *, thumbnails: bool = False) -> Any:
    """Return this process's Context for signing, read back by c2pa-rs itself after signing.

    Thumbnails are 85-95 % of the cost of signing (measured), so they are off unless asked for.
    ``allowed_network_hosts`` does not stop a time-stamp request, which goes to the operator's own URL.
    """
    settings = {
        "core": NO_NETWORK["core"],
        "verify": {**NO_NETWORK["verify"], "verify_after_sign": True},
        "trust": {"trust_config": "\n".join(EXTRA_EKUS)},
        "builder": {"thumbnail": {"enabled": thumbnails}, "created_assertion_labels": list(created_labels)},
    }
    return _context(json.dumps(settings, sort_keys=True), os.getpid())
