"""The certificate that signed a claim, read from the manifest store itself, and whether it may sign claims at all.

c2pa-rs 0.91.3 accepts a claim that was signed with the certificate of a *time-stamp authority* (extended key usage
timeStamping alone), and calls it Trusted where that authority's root is an anchor; its report does not name the usage
(measured). So the usage of every trusted signer is looked at here:

 (1) the store is walked: superboxes by label (ISO 19566-5 section B), down to ``c2pa.signature`` of one manifest; a
     compressed manifest is unpacked first
 (2) its COSE_Sign1 is read (RFC 9052 section 4.2) as far as the headers; x5chain is label 33 (RFC 9360 section 2), or
     the text "x5chain" of older claims, in the protected or the unprotected header
 (3) the first certificate has to be for claim signing, and for nothing that makes it an authority's

Whatever is not understood is not a claim signer: the state can only get weaker by this.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from guard.provenance.certificates import ACCEPTED_EKUS

_SIGNATURE = b"c2pa.signature"
_X5CHAIN = (33, "x5chain")
_REFUSED_EKUS = frozenset(
    {ExtendedKeyUsageOID.TIME_STAMPING.dotted_string, ExtendedKeyUsageOID.OCSP_SIGNING.dotted_string}
)
MAX_DECOMPRESSED_BYTES = 8 * 1024**2
"""Largest manifest that is looked into; as ``max_decompressed_manifest_size_in_mb`` of native.py."""
_MAX_DEPTH = 8
"""Deepest nesting of CBOR that is followed; COSE headers of C2PA have four levels."""


def may_sign_claims(store: bytes, label: str) -> bool:
    """Return whether the manifest with a label was signed by a certificate for claim signing.

    Args:
        store: the manifest store (JUMBF).
        label: the manifest's URN.
    """
    try:
        leaf = signer_certificate(store, label)
        usages = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (ValueError, x509.ExtensionNotFound):
        return False
    named = {usage.dotted_string for usage in usages}
    return bool(named & ACCEPTED_EKUS) and not named & _REFUSED_EKUS


def signer_certificate(store: bytes, label: str) -> x509.Certificate:
    """Return the certificate that signed a manifest. Raises ValueError when there is not exactly one."""
    manifests = [
        _uncompressed(store, box)
        for root in _superboxes(store, 0, len(store))
        for box in _superboxes(store, root.start, root.end)
        if box.label == label.encode()
    ]
    signatures = [
        (content, inner)
        for content, box in manifests
        for inner in _superboxes(content, box.start, box.end)
        if inner.label == _SIGNATURE
    ]
    if len(signatures) != 1:
        raise ValueError(f"{len(signatures)} signatures in the manifest {label!r}; expected one")
    content, signature = signatures[0]
    (start, end) = next(_content(content, signature, b"cbor"), (0, 0))
    cose, _ = _item(content[start:end], 0, _MAX_DEPTH)
    if not isinstance(cose, list) or len(cose) != 4 or not isinstance(cose[0], bytes):
        raise ValueError("the signature is no COSE_Sign1")
    protected, _ = _item(cose[0], 0, _MAX_DEPTH)
    leaves = {
        chain[0] if isinstance(chain, list) and chain else chain
        for header in (protected, cose[1])
        if isinstance(header, dict)
        for name in _X5CHAIN
        if (chain := header.get(name)) is not None and not isinstance(chain, dict)
    }
    if len(leaves) != 1:
        raise ValueError(f"{len(leaves)} certificates claim to be the signer's; expected one")
    leaf = leaves.pop()
    if not isinstance(leaf, bytes):
        raise ValueError("the signer's certificate is no byte string")
    return x509.load_der_x509_certificate(leaf)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Superbox:
    """A JUMBF superbox: its label, and where its content boxes are."""

    label: bytes
    start: int
    end: int


def _boxes(store: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield (type, start, end of the content) of each box. Source: ISO 19566-5 section A.2."""
    while start + 8 <= end:
        size, kind, header = int.from_bytes(store[start : start + 4], "big"), store[start + 4 : start + 8], 8
        if size == 1:
            size, header = int.from_bytes(store[start + 8 : start + 16], "big"), 16
        size = size or end - start
        if size < header or start + size > end:
            raise ValueError("a box is larger than what holds it")
        yield kind, start + header, start + size
        start += size


def _superboxes(store: bytes, start: int, end: int) -> Iterator[_Superbox]:
    """Yield the superboxes in a span; their first box is the description: 16 bytes type, toggles, label."""
    for kind, inner, after in _boxes(store, start, end):
        if kind == b"jumb":
            described = next(_boxes(store, inner, after), None)
            if described is None or described[0] != b"jumd":
                raise ValueError("a superbox has no description")
            _, at, description_end = described
            label = store[at + 17 : description_end].split(b"\0", 1)[0]
            yield _Superbox(label=label, start=description_end, end=after)


def _uncompressed(store: bytes, box: _Superbox) -> tuple[bytes, _Superbox]:
    """Return a manifest and what holds it: a compressed one (superbox c2cm) has one brob box of the whole.

    Raises ValueError.
    """
    span = next(_content(store, box, b"brob"), None)
    if span is None:
        return store, box
    import brotli

    try:
        content = brotli.Decompressor().process(store[span[0] : span[1]], output_buffer_limit=MAX_DECOMPRESSED_BYTES)
    except brotli.error as exc:
        raise ValueError("a compressed manifest is damaged") from exc
    inner = [found for found in _superboxes(content, 0, len(content)) if found.label == box.label]
    if len(inner) != 1 or next(_content(content, inner[0], b"brob"), None) is not None:
        raise ValueError("a compressed manifest does not hold the one that its label names")
    return content, inner[0]


def _content(store: bytes, box: _Superbox, wanted: bytes) -> Iterator[tuple[int, int]]:
    """Yield the spans of a superbox's content boxes of one type."""
    return ((start, end) for kind, start, end in _boxes(store, box.start, box.end) if kind == wanted)


def _item(data: bytes, at: int, depth: int) -> tuple[Any, int]:
    """Return one CBOR item and where the next begins; definite lengths only (RFC 8949 sections 3 and 4.2.1).

    Tags are dropped; floats and simple values become None. Raises ValueError.
    """
    if at >= len(data) or depth == 0:
        raise ValueError("CBOR ends early or is too deep")
    major, info, at = data[at] >> 5, data[at] & 0x1F, at + 1
    if info < 24:
        value = info
    elif info <= 27:
        width = 1 << (info - 24)
        value, at = int.from_bytes(data[at : at + width], "big"), at + width
    else:
        raise ValueError("CBOR of indefinite length")
    if at > len(data) or (major in (2, 3, 4, 5) and value > len(data) - at):
        raise ValueError("CBOR ends early")
    if major in (2, 3):
        content = data[at : at + value]
        return (content if major == 2 else content.decode("utf-8")), at + value
    if major == 4:
        items = []
        for _ in range(value):
            each, at = _item(data, at, depth - 1)
            items.append(each)
        return items, at
    if major == 5:
        return _map(data, at, value, depth)
    if major == 6:
        return _item(data, at, depth - 1)
    return (value if major == 0 else -1 - value if major == 1 else None), at


def _map(data: bytes, at: int, count: int, depth: int) -> tuple[dict[Any, Any], int]:
    """Return a CBOR map. Raises ValueError for a key twice, or of another kind than COSE has."""
    found: dict[Any, Any] = {}
    for _ in range(count):
        key, at = _item(data, at, depth - 1)
        value, at = _item(data, at, depth - 1)
        if not isinstance(key, int | str) or key in found:
            raise ValueError("a COSE header has an odd key")
        found[key] = value
    return found, at
