"""Names of tools inside a C2PA block, read without checking any signature.

The credential detector verifies; this reader only lets the report say which tool an unverified or damaged block names.
It looks for CBOR text values that follow the keys in which C2PA manifests name software.
Source: C2PA 2.x, "Claims" (claim_generator, claim_generator_info.name) and "Actions" (softwareAgent, description);
RFC 8949 3.
"""

from __future__ import annotations

import re

from detectors.metadata.fields import FieldCollector, Layer

MAX_NAMES = 64
"""Names kept per box: a picture with ten ingredients has about twenty."""
MAX_DESCRIPTIONS = 16
"""Descriptions kept per box, counted apart: a long list of edits must not crowd out the names behind it."""
_MAX_NAME_BYTES = 255
_KEYS = re.compile(rb"\x6fclaim_generator|\x6dsoftwareAgent|\x64name|\x6bdescription")
"""CBOR text headers (0x60 + length) followed by the key."""
_DESCRIPTION = "description"
_NAMES = {
    b"\x6fclaim_generator": "claim_generator",
    b"\x6dsoftwareAgent": "softwareAgent",
    b"\x64name": "name",
    b"\x6bdescription": _DESCRIPTION,
}
"""Google's generators name themselves in the description of the ``c2pa.created`` action only."""


def read_credential_names(box: bytes, where: str, out: FieldCollector) -> None:
    """Collect the software names of a JUMBF box as texts of the credential layer."""
    if not out.admit(Layer.CREDENTIAL, where):
        return
    room = {False: MAX_NAMES, True: MAX_DESCRIPTIONS}
    for match in _KEYS.finditer(box):
        key = _NAMES[match.group()]
        text = _cbor_text(box, match.end()) if room[key == _DESCRIPTION] > 0 else None
        if text is not None:
            out.add(Layer.CREDENTIAL, key, text, f"{where} {key} (not verified here)")
            room[key == _DESCRIPTION] -= 1


def _cbor_text(box: bytes, at: int) -> str | None:
    """Return the CBOR text string of at most 255 bytes that starts at ``at``, or None."""
    head = box[at : at + 2]
    if len(head) < 2:
        return None
    if 0x60 <= head[0] <= 0x77:
        size, start = head[0] - 0x60, at + 1
    elif head[0] == 0x78:
        size, start = head[1], at + 2
    else:
        return None
    raw = box[start : start + min(size, _MAX_NAME_BYTES)]
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return None
