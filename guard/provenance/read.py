"""Reading and validating content credentials of any file, with our own trust list and no network.

(1) bounds       bytes, container chunks, JUMBF boxes are counted before the native parser sees anything
(2) parse        c2pa-rs in a killable worker under a deadline; every foreign error becomes a state
(3) describe     the verdict rules of guard/provenance/describe.py; only a small record leaves the worker
(4) revocation   only where hosts are listed, and only for a trusted signer (guard/provenance/revocation.py)
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, replace
from typing import Any, Protocol

from guard.credentials import CredentialReport, CredentialState
from guard.errors import BusyError, DeadlineError, WorkerError
from guard.isolation import WorkerPool
from guard.media import sniff_media_type
from guard.provenance.bounds import Excess, find_excess
from guard.provenance.claim_signer import may_sign_claims
from guard.provenance.describe import HARD_BINDING_MISMATCH, TRUSTED, describe_store, explain
from guard.provenance.native import reading_context, reading_settings
from guard.provenance.revocation import INACCESSIBLE, NOT_REVOKED, ocsp_settings
from guard.provenance.trust import TrustAnchors

STOPPED = frozenset({"signet.limit.time", "signet.unreadable.parser_failed"})
"""Codes of files that ran past their deadline or killed their worker: never to be parsed where nothing stops it."""
DEADLINE_S = 2.0
"""Longest validation: 4 ms for a 1 Mpx PNG, 0.3 s at every limit of bounds.py (measured)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredManifest:
    """A manifest that was kept apart from its file, held against a copy of the picture.

    Attributes:
        report: the claim's own state. Signature, certificate and assertions decide it; ``codes`` still holds
            ``assertion.dataHash.mismatch`` when the copy's bytes differ from the signed ones.
        matches_asset: the copy is byte for byte what was signed (outside the manifest).
    """

    report: CredentialReport
    matches_asset: bool


class StoredManifestReader(Protocol):
    """Describes a manifest store that stands apart from its file."""

    def read_stored_manifest(self, manifest: bytes, asset: bytes) -> StoredManifest:
        """Return what the manifest says, held against some picture."""
        ...


class C2PACredentialReader:
    """``CredentialReader`` over c2pa-rs."""

    def __init__(
        self,
        anchors: TrustAnchors,
        *,
        pool: WorkerPool | None,
        deadline_s: float = DEADLINE_S,
        ocsp_hosts: tuple[str, ...] = (),
    ) -> None:
        """Prepare to read.

        Args:
            anchors: who is trusted.
            pool: workers that parse; None parses in this process, without a deadline: for our own files only.
            deadline_s: longest time for one file.
            ocsp_hosts: hosts that may be asked about a trusted signer's certificate (revocation.py); none by default.
        """
        self._settings = reading_settings(anchors)
        only_tsa = anchors.only_for_time_stamps()
        self._tsa_settings = reading_settings(only_tsa) if only_tsa.tsa_pem else None
        self._ocsp_settings = ocsp_settings(anchors, hosts=ocsp_hosts) if ocsp_hosts else None
        self._pool = pool
        self._deadline_s = deadline_s

    def read(self, data: bytes) -> CredentialReport:
        """Return a report for any bytes; never raises for what they contain, nor for how long that takes to read.

        Raises:
            BusyError: every worker was busy with other files.
        """
        return self._examine(data, None)

    def read_stored_manifest(self, manifest: bytes, asset: bytes) -> StoredManifest:
        """Describe a manifest store that stands apart from its file.

        Args:
            manifest: manifest store (JUMBF), as ``SignedBytes.manifest`` holds it.
            asset: a copy of the picture, for instance stripped of its credentials and re-compressed. The claim's
                signature is checked as always; its data hash can only match an unaltered copy, so one of
                ``HARD_BINDING_MISMATCH`` is expected for any other and does not make the claim invalid.

        Raises:
            BusyError: as for ``read``.
        """
        report = self._examine(asset, manifest)
        usable = report.state in (CredentialState.VALID_UNTRUSTED, CredentialState.TRUSTED)
        return StoredManifest(report=report, matches_asset=usable and not HARD_BINDING_MISMATCH & set(report.codes))

    def _examine(self, data: bytes, manifest: bytes | None) -> CredentialReport:
        """Check bounds here, parse over there."""
        excess = find_excess(data) or (find_excess(manifest) if manifest is not None else None)
        if excess is not None:
            return _over(excess)
        try:
            report = self._parse(data, manifest, self._settings)
        except BusyError:
            raise
        except DeadlineError:
            return _over(Excess(code="signet.limit.time", detail=f"reading it took longer than {self._deadline_s:g} s"))
        except WorkerError:
            # the parser died of this file (or ran out of its memory limit); the pool has replaced it
            return _unreadable("signet.unreadable.parser_failed")
        if self._ocsp_settings is None or report.state is not CredentialState.TRUSTED:
            return report
        try:
            asked = self._parse(data, manifest, self._ocsp_settings)
        except (WorkerError, DeadlineError):
            asked = report
        silent = asked.state is CredentialState.TRUSTED and NOT_REVOKED not in asked.codes
        return replace(asked, codes=(*asked.codes, INACCESSIBLE)) if silent else asked

    def _parse(self, data: bytes, manifest: bytes | None, settings: str) -> CredentialReport:
        """Parse in a worker where there is one. Raises DeadlineError, WorkerError."""
        if self._pool is None:
            return examine(data, settings, manifest, self._tsa_settings)
        return self._pool.run(examine, data, settings, manifest, self._tsa_settings, deadline_s=self._deadline_s)


def examine(
    data: bytes, settings: str, manifest: bytes | None = None, tsa_settings: str | None = None
) -> CredentialReport:
    """Parse and describe; runs in a worker.

    Args:
        data: the file.
        settings: ``native.reading_settings``.
        manifest: a manifest store to use in place of the file's own.
        tsa_settings: ``native.reading_settings`` of the anchors for time stamps alone, or None without any; with them,
            a file with a trusted ingredient is read a second time, for c2pa-rs does not keep the kinds apart.
    """
    from c2pa import C2paError

    media_type = sniff_media_type(data)
    try:
        store, unfit = _parse(data, media_type, manifest, settings)
        report = describe_store(store, detached=manifest is not None, unfit=unfit)
        if tsa_settings is not None and any(part.state is CredentialState.TRUSTED for part in report.ingredients):
            by_time_stamps, _ = _parse(data, media_type, manifest, tsa_settings)
            report = describe_store(store, detached=manifest is not None, tsa_store=by_time_stamps, unfit=unfit)
    except C2paError.ManifestNotFound:
        return _none()
    except C2paError.NotSupported:
        # BMP and ICO have no place for a manifest; anything else that is not supported was not looked at
        return _none() if media_type is not None else _unreadable("signet.unreadable.not_supported")
    except (C2paError, KeyError, TypeError, ValueError) as exc:
        # c2pa-python's types are no stable taxonomy; UnicodeEncodeError and bad JSON are ValueErrors
        return _unreadable(_code_of(exc))
    return report


def _parse(
    data: bytes, media_type: str | None, manifest: bytes | None, settings: str
) -> tuple[dict[str, Any], frozenset[str]]:
    """Return what c2pa-rs says about a file, and the manifests whose signers may not sign claims.

    Raises:
        C2paError, KeyError, TypeError, ValueError: it could not be parsed.
    """
    from c2pa import Reader

    with Reader(media_type, io.BytesIO(data), manifest, context=reading_context(settings)) as reader:
        text = reader.json()
        store = json.loads(text)
        labels = [str(label) for label in store.get("manifests", ())]
        if TRUSTED not in text:  # nobody to be looked at: the usual case for strangers' files
            return store, frozenset()
        jumbf = io.BytesIO()
        reader.resource_to_stream(f"self#jumbf=/c2pa/{store.get('active_manifest')}", jumbf)  # gives the whole store
    content = jumbf.getvalue()
    return store, frozenset(label for label in labels if not may_sign_claims(content, label))


def _none() -> CredentialReport:
    return CredentialReport(state=CredentialState.NONE, explanation=explain(CredentialState.NONE, ()))


def _unreadable(code: str) -> CredentialReport:
    explanation = explain(CredentialState.UNREADABLE, ())
    if code == "manifest.inaccessible":
        explanation = "The file names content credentials that are kept elsewhere; they were not fetched."
    return CredentialReport(state=CredentialState.UNREADABLE, codes=(code,), explanation=explanation)


def _over(excess: Excess) -> CredentialReport:
    return CredentialReport(
        state=CredentialState.UNREADABLE,
        codes=(excess.code,),
        explanation=f"The file was not examined for content credentials: {excess.detail}.",
    )


def _code_of(exc: Any) -> str:
    """Return a stable code for an error of the native reader."""
    if str(exc).startswith("Remote:"):  # the base class is raised, not C2paError.RemoteManifest (measured)
        return "manifest.inaccessible"
    kind = type(exc).__name__.lstrip("_").removeprefix("C2pa").lower()
    return f"signet.unreadable.{kind or 'error'}"
