"""Whom a reader trusts: anchors for claim signers, separate anchors for time-stamp authorities.

c2pa-rs 0.91.3 does not enforce ``trust_kind``: a root given only as a TSA root also makes a *claim* Trusted (measured).
So each list has a URI of ours, and ``guard/provenance/describe.py`` counts a claim as trusted only when the list that
vouched for it is one for claim signers, ``MANIFEST_LIST``, with the list's name behind it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from guard.errors import KeyMaterialError

MANIFEST_LIST = "urn:signet:trust:manifest"
"""URI of the anchors for claim signers, reported back as ``trustListUri``."""
TSA_LIST = "urn:signet:trust:tsa"
"""URI of the anchors for time-stamp authorities."""
CLAIM_SIGNING_EKU = "1.3.6.1.4.1.62558.2.1"
"""c2pa-kp-claimSigning (C2PA certificate policy); accepted only when named in ``trust_config`` (measured)."""
DOCUMENT_SIGNING_EKU = "1.3.6.1.5.5.7.3.36"
"""id-kp-documentSigning (RFC 9336); emailProtection is always accepted by c2pa-rs."""
EXTRA_EKUS = (CLAIM_SIGNING_EKU, DOCUMENT_SIGNING_EKU)
MAX_LIST_BYTES = 4 * 1024**2
"""Largest anchor file that is read: the C2PA trust list of 2026-08 has 38 kB."""

_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----")
"""One PEM block. Source: RFC 7468 section 3, strict parsing but for line lengths."""


class TrustKind(StrEnum):
    """Whom the certificates of a list may vouch for."""

    MANIFEST = "manifest"
    TSA = "tsa"

    def describe(self) -> str:
        """Return the kind in words."""
        return "claim signers" if self is TrustKind.MANIFEST else "time-stamp authorities"


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedAnchors:
    """One published list: its name appears in verdicts."""

    name: str
    kind: TrustKind
    pem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustAnchors:
    """Trusted roots as PEM text; empty means "nobody is trusted", not "everybody".

    Attributes:
        manifest_pem: certificates of our own that may vouch for claim signers.
        tsa_pem: certificates of our own that may vouch for time-stamp authorities.
        named: lists of others (guard/provenance/trust_store.py).
    """

    manifest_pem: str = ""
    tsa_pem: str = ""
    named: tuple[NamedAnchors, ...] = ()

    def __post_init__(self) -> None:
        """Check that every text holds readable certificates. Raises KeyMaterialError."""
        own = (("manifest_pem", self.manifest_pem), ("tsa_pem", self.tsa_pem))
        for name, pem in (*own, *((listed.name, listed.pem) for listed in self.named)):
            if pem.strip():
                _check_certificates(pem, name=name)

    def plus(self, other: TrustAnchors) -> TrustAnchors:
        """Return the union of two sets of anchors."""
        return TrustAnchors(
            manifest_pem=_joined(self.manifest_pem, other.manifest_pem),
            tsa_pem=_joined(self.tsa_pem, other.tsa_pem),
            named=tuple(dict.fromkeys((*self.named, *other.named))),
        )

    def all_tsa_pem(self) -> str:
        """Return every certificate that may vouch for a time-stamp authority, each once."""
        return _joined(self.tsa_pem, *(listed.pem for listed in self.named if listed.kind is TrustKind.TSA))

    def only_for_time_stamps(self) -> TrustAnchors:
        """Return the anchors that vouch for time-stamp authorities and not also for claim signers."""
        signers = _joined(self.manifest_pem, *(a.pem for a in self.named if a.kind is TrustKind.MANIFEST))
        both = set(_CERTIFICATE.findall(signers))
        only = [block + "\n" for block in _CERTIFICATE.findall(self.all_tsa_pem()) if block not in both]
        return TrustAnchors(tsa_pem="".join(only))

    def settings(self) -> dict[str, Any]:
        """Return the ``trust`` settings of a c2pa Context."""
        lists = [
            (self.manifest_pem, TrustKind.MANIFEST, MANIFEST_LIST),
            *((a.pem, a.kind, f"{MANIFEST_LIST}:{a.name}") for a in self.named if a.kind is TrustKind.MANIFEST),
            (self.tsa_pem, TrustKind.TSA, TSA_LIST),
            *((a.pem, a.kind, f"{TSA_LIST}:{a.name}") for a in self.named if a.kind is TrustKind.TSA),
        ]
        anchors = [
            {"trust_anchors": pem, "trust_kind": kind.value, "trust_uri": uri}
            for pem, kind, uri in lists
            if pem.strip()
        ]
        settings: dict[str, Any] = {"trust_config": "\n".join(EXTRA_EKUS)}
        return settings | {"anchors": anchors} if anchors else settings


def load_anchors(*, manifest_files: tuple[Path, ...] = (), tsa_files: tuple[Path, ...] = ()) -> TrustAnchors:
    """Read anchors from PEM files. Raises KeyMaterialError when one is missing, too large or not a certificate."""
    return TrustAnchors(
        manifest_pem=_joined(*map(_read_pem, manifest_files)), tsa_pem=_joined(*map(_read_pem, tsa_files))
    )


def only_certificates(text: str) -> str:
    """Return the PEM certificates of a published list, each once, comments dropped. Raises KeyMaterialError."""
    joined = _joined(text)
    if not joined:
        raise KeyMaterialError("The list holds no certificate; expected PEM certificates.")
    return joined


def _joined(*texts: str) -> str:
    """Concatenate PEM texts, each certificate once, comments dropped."""
    return "".join(dict.fromkeys(block + "\n" for text in texts for block in _CERTIFICATE.findall(text)))


def _read_pem(path: Path) -> str:
    """Return the text of a PEM file."""
    try:
        if path.stat().st_size > MAX_LIST_BYTES:
            raise KeyMaterialError(f"{path} has more than {MAX_LIST_BYTES} bytes; expected a list of PEM certificates.")
        text = path.read_text(encoding="utf-8")  # published lists carry comments
    except (OSError, UnicodeDecodeError) as exc:
        raise KeyMaterialError(f"{path} cannot be read as PEM certificates: {exc}.") from exc
    if not _CERTIFICATE.search(text):
        raise KeyMaterialError(f"{path} holds no certificate; expected PEM certificates.")
    return text


def _check_certificates(pem: str, *, name: str) -> None:
    """Parse all certificates of a PEM text."""
    from cryptography import x509

    try:
        x509.load_pem_x509_certificates(pem.encode("ascii"))
    except (ValueError, UnicodeEncodeError) as exc:
        raise KeyMaterialError(f"{name} does not hold PEM certificates: {exc}.") from exc
