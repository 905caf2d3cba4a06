"""The C2PA Soft Binding Resolution API: other tools find our manifests by watermark, fingerprint or picture.

::

    GET|POST /softbinding/v1/matches/byBinding      alg, value -> manifest ids
    POST     /softbinding/v1/matches/byContent      a picture -> manifest ids, confirmed by look
    GET      /softbinding/v1/manifests/{id}         the manifest store, application/c2pa
    GET      /softbinding/v1/services/...           supportedAlgorithms, capabilities, status: open to everybody
    GET      /.well-known/c2pa-soft-binding-resolution

Manifests are made to be public and are served whatever tenant they belong to. Queries need an API key with the scope
``detect``, unless ``SIGNET_PUBLIC_RESOLUTION`` opens them. ``byReference`` (the service fetches a URL) is not offered.

Source: C2PA 2.4, "Soft Binding Resolution API", OpenAPI document 2.4.0 (2026).
"""

from __future__ import annotations

import base64
import binascii
import re
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from gateway.auth.api_keys import Scope
from gateway.problems import HTTPProblemError
from gateway.routes.access import identify, runtime_of
from gateway.runtime import Runtime
from guard.errors import RequestError
from guard.fingerprint import PDQ_BITS
from guard.iscc import ALGORITHM as ISCC
from guard.iscc import SAME_ISCC, image_codes_of
from guard.media import MAX_BYTES
from guard.provenance.manifest import SPEC_VERSION
from guard.provenance.store import active_manifest_alone
from guard.records import ImageID

PREFIX = "/softbinding/v1"
MAX_RESULTS = 100
"""Most matches of one answer, whatever ``maxResults`` asks for."""
MAX_VALUE_CHARS = 4096
"""Longest soft-binding value: some 90 ISCC units; longer ones answer 414 as the API asks."""
router = APIRouter(tags=["soft binding resolution"], max_body_size=MAX_BYTES + 1024)
MaxResults = Annotated[int, Query(ge=1, alias="maxResults", description="Most manifest ids returned.")]


class BindingQuery(BaseModel):
    """Body of POST matches/byBinding."""

    model_config = ConfigDict(extra="forbid")

    alg: str = Field(max_length=200, description="Name on the C2PA soft-binding algorithm list, or ours.")
    value: str = Field(max_length=MAX_VALUE_CHARS, description="The value of the soft binding, base64.")


def _may_query(request: Request) -> Runtime:
    """Let callers with a key for detection through, or everybody when the operator opened resolution."""
    runtime = runtime_of(request)
    if not runtime.settings.public_resolution and Scope.DETECT not in identify(request).scopes:
        raise HTTPProblemError(403, "forbidden", "This key may not detect.", next_step="Use a key with that scope.")
    return runtime


Querying = Annotated[Runtime, Depends(_may_query)]


@router.get(f"{PREFIX}/matches/byBinding", summary="Find manifests by the value of a soft binding")
def by_binding(runtime: Querying, alg: str, value: str, max_results: MaxResults = 10) -> dict[str, Any]:
    """Return the ids of manifests whose soft binding matches."""
    if len(value) > MAX_VALUE_CHARS:
        raise HTTPProblemError(414, "uri_too_long", "The value is too long for a URL.", next_step="Send it with POST.")
    return {"matches": _by_binding(runtime, alg, value, min(max_results, MAX_RESULTS))}


@router.post(f"{PREFIX}/matches/byBinding", summary="Find manifests by a large soft-binding value")
def by_large_binding(runtime: Querying, query: BindingQuery, max_results: MaxResults = 10) -> dict[str, Any]:
    """Return the ids of manifests whose soft binding matches."""
    return {"matches": _by_binding(runtime, query.alg, query.value, min(max_results, MAX_RESULTS))}


@router.post(f"{PREFIX}/matches/byContent", summary="Find the manifest of a picture")
async def by_content(runtime: Querying, request: Request) -> dict[str, Any]:
    """Return the id of the manifest that a picture was released with; the picture is the body, and is not kept.

    It is found by its watermark, else by its look, and must look like the registered picture.
    """
    data = await request.body()
    return {"matches": await run_in_threadpool(_by_content, runtime, data)}


@router.get(
    f"{PREFIX}/manifests/{{manifest_id:path}}",
    summary="Fetch a manifest store",
    response_class=Response,
    responses={200: {"content": {"application/c2pa": {}}}, 404: {"description": "No such manifest here."}},
)
def manifest(
    runtime: Querying,
    manifest_id: str,
    active_only: Annotated[bool, Query(alias="returnActiveManifest")] = False,
) -> Response:
    """Return the store that a manifest is the active one of, or that manifest alone."""
    found = runtime.core.ledger.find_label(manifest_id) if runtime.core.has_keys else None
    if found is None:
        raise HTTPProblemError(404, "not_found", "C2PA Manifest not found.", next_step="Check the manifest id.")
    store = active_manifest_alone(found.manifest) if active_only else found.manifest
    return Response(store, media_type="application/c2pa")


@router.get(f"{PREFIX}/services/supportedAlgorithms", summary="Which soft bindings can be resolved")
def supported_algorithms(request: Request) -> dict[str, Any]:
    """Return the names of watermark and fingerprint algorithms."""
    core = runtime_of(request).core
    return {
        "watermarks": [{"alg": core.watermarker.algorithm}] if core.has_keys else [],
        "fingerprints": [{"alg": ISCC}],
    }


@router.get(f"{PREFIX}/services/capabilities", summary="Which optional routes are served")
def capabilities() -> dict[str, Any]:
    """Return the version of the specification and the optional routes."""
    return {"c2paSpecificationVersion": SPEC_VERSION, "supportedCapabilities": ["queryByContent"]}


@router.get(f"{PREFIX}/services/status", summary="Whether resolution works")
def status(request: Request) -> dict[str, Any]:
    """Return ok, or degraded when this installation has no registry yet."""
    at = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return {"status": "ok" if runtime_of(request).core.has_keys else "degraded", "timestamp": at}


@router.get("/.well-known/c2pa-soft-binding-resolution", summary="Where the resolution API is (RFC 8615)")
def discovery(request: Request) -> dict[str, str]:
    """Return the addresses of the API."""
    base = str(request.base_url).rstrip("/") + PREFIX
    return {
        "apiEndpoint": base,
        "c2paSpecificationVersion": SPEC_VERSION,
        "capabilitiesEndpoint": f"{base}/services/capabilities",
        "statusEndpoint": f"{base}/services/status",
    }


@router.get("/.well-known/signet-detectors", summary="How to detect what this service made (RFC 8615)")
def detectors(request: Request) -> dict[str, Any]:
    """Describe our detectors for other tools: techniques, routes, and the software that does the same locally."""
    runtime = runtime_of(request)
    base = str(request.base_url).rstrip("/")
    return {
        "provider": runtime.settings.provider,
        "detectors": runtime.engine.describe(),
        "softBindings": [row["alg"] for rows in supported_algorithms(request).values() for row in rows],
        "detectEndpoint": f"{base}/v1/detect",
        "verifyEndpoint": f"{base}/v1/verify",
        "softBindingResolution": f"{base}/.well-known/c2pa-soft-binding-resolution",
        "openapi": f"{base}/openapi.json",
        "localSoftware": "https://github.com/signet-gateway/signet",
        "retention": "Uploads are examined in memory and not kept.",
    }


def _by_binding(runtime: Runtime, alg: str, value: str, most: int) -> list[dict[str, Any]]:
    """Look a value up. Raises HTTPProblemError for an algorithm or value that cannot be one of ours."""
    core = runtime.core
    if not core.has_keys:
        return []
    if alg == core.watermarker.algorithm:
        found = core.ledger.registration(_image_id(value))
        return [] if found is None else [{"manifestId": found.manifest_label, "similarityScore": 100}]
    if alg == ISCC:
        best: dict[str, int] = {}
        for code in _image_codes(value):
            near = core.ledger.find_similar_iscc(code.hex(), max_distance=SAME_ISCC, limit=most)
            for registration, distance in near:
                score = round(100 * (1 - distance / PDQ_BITS))
                best[registration.manifest_label] = max(score, best.get(registration.manifest_label, 0))
        ranked = sorted(best.items(), key=lambda item: (-item[1], item[0]))
        return [{"manifestId": label, "similarityScore": score} for label, score in ranked[:most]]
    raise HTTPProblemError(
        400,
        "unsupported_algorithm",
        "This soft-binding algorithm is not resolved here.",
        next_step=f"Ask {PREFIX}/services/supportedAlgorithms.",
    )


def _by_content(runtime: Runtime, data: bytes) -> list[dict[str, Any]]:
    """Return the manifest of a picture, found by mark or look and confirmed."""
    pixels = runtime.decode(data).rgb
    if not runtime.core.has_keys:
        return []
    found = runtime.core.recovery.recover(pixels)
    return [] if found.registration is None else [{"manifestId": found.registration.manifest_label}]


def _image_id(value: str) -> ImageID:
    """Return the image id of a mark: 16 hex digits, plain or in base64 as the API transports values."""
    text = value if re.fullmatch(r"[0-9a-f]{16}", value) else _decoded(value).decode("ascii", "replace")
    if not re.fullmatch(r"[0-9a-f]{16}", text):
        raise _invalid("The value is no id of our mark: 16 hex digits, in base64.")
    return ImageID(text)


def _image_codes(value: str) -> list[bytes]:
    """Return the Image-Codes of an ``io.iscc.v0`` value."""
    try:
        codes = image_codes_of(_decoded(value))
    except RequestError as exc:
        raise _invalid(str(exc)) from exc
    if not codes:
        raise _invalid("The value holds no 256-bit Image-Code (IEP-0020).")
    return codes


def _decoded(value: str) -> bytes:
    """Return base64 decoded, of either alphabet, padded or not; a plus sign may have become a space in a URL."""
    text = value.strip().replace(" ", "+").replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except binascii.Error as exc:
        raise _invalid("The value is not base64.") from exc


def _invalid(detail: str) -> HTTPProblemError:
    return HTTPProblemError(400, "invalid_value", detail, next_step="Send the value as the soft binding states it.")
