"""Everything that a file's content credentials hold, as the standard crJSON; what may be about a person is hidden.

::

    CrJSONReader(anchors, pool=pool, deadline_s=3.0).read(data)     # parsed crJSON, or None without credentials

Source: crJSON is what the C2PA conformance programme's rubrics are evaluated on (c2pa-org/conformance-public). Which
assertions are personal: C2PA 2.4 section 18 (metadata, thumbnails left aside) and CAWG 1.1 (identity, metadata).
"""

from __future__ import annotations

import io
import json
from typing import Any

from guard.errors import MediaError, UndecodableMediaError, WorkerError
from guard.isolation import WorkerPool
from guard.provenance.bounds import find_excess
from guard.provenance.containers import container_type
from guard.provenance.describe import clean
from guard.provenance.native import reading_context, reading_settings
from guard.provenance.trust import TrustAnchors

PERSONAL = ("cawg.identity", "cawg.metadata", "c2pa.metadata", "stds.", "exif.", "io.github.signet-gateway.prompt")
"""Beginnings of the labels of assertions that may be about a person: authors, places, serial numbers, prompts."""
HIDDEN = {"hidden": "may be about a person"}
MAX_DEPTH = 32
"""Deepest nesting that is passed on; real manifests have 8 levels."""


class CrJSONReader:
    """Reads whole manifest stores in killable workers, with our own trust list and no network."""

    def __init__(self, anchors: TrustAnchors, *, pool: WorkerPool, deadline_s: float) -> None:
        """Prepare to read."""
        self._settings = reading_settings(anchors)
        self._pool = pool
        self._deadline_s = deadline_s

    def read(self, data: bytes, *, personal: bool = False) -> dict[str, Any] | None:
        """Return the crJSON of a file, its texts made safe to show; None when it has no credentials.

        Args:
            data: the file.
            personal: also pass on assertions that may be about a person.

        Raises:
            MediaError: over a limit, or the credentials cannot be read.
            DeadlineError: the parser took too long.
        """
        excess = find_excess(data)
        if excess is not None:
            raise MediaError(f"The file was not examined: {excess.detail}.", next_step="Examine a smaller file.")
        try:
            text = self._pool.run(read_crjson, data, self._settings, deadline_s=self._deadline_s)
        except WorkerError as exc:
            raise UndecodableMediaError("The content credentials cannot be read: the parser failed.") from exc
        store = None if text is None else _safe(json.loads(text), depth=0)
        if store is not None and not personal:
            _hide(store)
        return store


def read_crjson(data: bytes, settings: str) -> str | None:
    """Return crJSON text, or None without credentials; runs in a worker.

    Raises:
        UndecodableMediaError: there are credentials that cannot be read.
    """
    from c2pa import C2paError, Reader

    try:
        with Reader(container_type(data), io.BytesIO(data), None, context=reading_context(settings)) as reader:
            return str(reader.crjson())
    except (C2paError.ManifestNotFound, C2paError.NotSupported):
        return None
    except (C2paError, KeyError, TypeError, ValueError) as exc:
        # c2pa-python's types are no stable taxonomy; UnicodeEncodeError and bad JSON are ValueErrors
        raise UndecodableMediaError(f"The content credentials cannot be read ({type(exc).__name__}).") from exc


def _hide(store: dict[str, Any]) -> None:
    """Replace the content of personal assertions in every manifest."""
    manifests = store.get("manifests")
    for manifest in manifests if isinstance(manifests, list) else []:
        assertions = manifest.get("assertions") if isinstance(manifest, dict) else None
        if isinstance(assertions, dict):
            assertions |= {label: HIDDEN for label in assertions if label.startswith(PERSONAL)}


def _safe(value: Any, *, depth: int) -> Any:
    """Return JSON with every text clipped and free of control characters; what is nested too deep is left out."""
    if depth > MAX_DEPTH:
        return None
    if isinstance(value, str):
        return clean(value) or ""
    if isinstance(value, dict):
        return {clean(key) or "": _safe(item, depth=depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [_safe(item, depth=depth + 1) for item in value]
    return value
