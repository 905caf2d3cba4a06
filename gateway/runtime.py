"""One installation at work: everything the service and the commands share, built lazily, closed once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from threading import BoundedSemaphore, Lock
from typing import Any

from detectors.assembly import build_detection_engine
from detectors.engine import DetectionEngine
from detectors.evidence import Family
from detectors.report.model import Report, build_report
from detectors.upload import Upload, load_upload
from gateway.process import settle_process
from gateway.review.queue import ReviewQueue, erase_expired
from gateway.review.store import ReviewStore
from gateway.review.vault import Vault
from guard.assembly import Core, build_core, build_gateway
from guard.credentials import CredentialReport
from guard.errors import BusyError, GuardError, MediaTooLargeError, UndecodableMediaError
from guard.media import MAX_BYTES, DecodedImage, sniff_media_type
from guard.pipeline import Gateway
from guard.policy.load import load_named
from guard.policy.schema import QuarantineRules
from guard.provenance.keys_folder import list_keys
from guard.provenance.trust_store import TrustStore
from guard.records import ImageID
from guard.settings import Settings

MAX_WAITING = 8
"""Generations in progress or queued: one runs at a time on a device, so the ninth would wait minutes; it gets a 503."""
EXAMINATION_WAIT_S = 30.0
"""Longest wait of an upload for its turn: a native parser may hold a worker for 3 s, so nine before it are done."""
EXPIRY_WARNING_DAYS = 30
"""Days before expiry at which readiness says so; renewing a C2PA certificate takes days, not hours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One part of readiness.

    Attributes:
        name: what was checked.
        ok: it works now.
        detail: one line for people.
        days_left: of the keys: whole days for which signing is covered.
        warning: it works, but somebody should act soon.
    """

    name: str
    ok: bool
    detail: str
    days_left: int | None = None
    warning: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateLife:
    """How long a certificate is still valid: its role, its id or fingerprint, whole days left."""

    role: str
    name: str
    days_left: int
    ends_soon: bool


class Runtime:
    """Owns the core, the generation gateway and the detection engine; safe to share between threads."""

    def __init__(self, settings: Settings) -> None:
        settle_process()
        self.settings = settings
        self.places = BoundedSemaphore(MAX_WAITING)
        self._examinations = BoundedSemaphore(settings.worker_processes)
        self._lock = Lock()
        self._built: list[Any] = []

    @cached_property
    def core(self) -> Core:
        """Return keys, trust, ledger, stores and parsers of this installation."""
        core = build_core(self.settings)
        self._built.append(core)
        return core

    @property
    def gateway(self) -> Gateway:
        """Return the generation flow; built on first use. Raises ConfigError when it cannot run here."""
        with self._lock:
            return self._gateway

    @cached_property
    def _gateway(self) -> Gateway:
        gateway = build_gateway(self.settings, core=self.core, quarantine=self.reviews)
        self._built.append(gateway)
        return gateway

    @cached_property
    def reviews(self) -> ReviewQueue:
        """Return the queue of what was refused. Raises ConfigError, ReviewError when it cannot be opened."""
        rules, clock = self._quarantine_rules(), self.core.clock
        store = ReviewStore(self.settings.review_path)
        try:
            vault = Vault.from_file(self.settings.quarantine_key_path, make=not store.has_sealed())
        except GuardError:
            store.close()
            raise
        queue = ReviewQueue(store, vault, rules=rules, clock=clock)
        self._built.append(queue)
        return queue

    def erase_withheld(self) -> int:
        """Erase withheld content whose time is over; return how many parts went. Raises ConfigError, ReviewError."""
        if not self.settings.review_path.exists():
            return 0
        store = ReviewStore(self.settings.review_path)
        try:
            return erase_expired(store, rules=self._quarantine_rules(), now=self.core.clock.now())
        finally:
            store.close()

    def _quarantine_rules(self) -> QuarantineRules:
        return load_named(self.settings.policies, self.settings.generation_policy).document.quarantine

    @cached_property
    def engine(self) -> DetectionEngine:
        """Return the detection flow."""
        return build_detection_engine(self.settings, core=self.core)

    def start(self) -> None:
        """Build what a service needs before its first request, and clear what a crash left behind.

        Raises:
            ConfigError: signing, trust or the closed network paths do not work as configured, or a part is missing.
        """
        self.core.recover()
        self.core.pool.warm()
        if self.core.has_keys:
            _ = self.core.self_test
        _ = self.engine

    def close(self) -> None:
        """Close everything that was built, newest first."""
        while self._built:
            self._built.pop().close()

    def decode(self, data: bytes) -> DecodedImage:
        """Decode a picture in a killable worker. Raises MediaError."""
        return self.core.decode(data)

    def examine(
        self, data: bytes, *, name: str | None, families: frozenset[Family] | None = None
    ) -> tuple[Report, Upload]:
        """Judge one file.

        Raises:
            MediaError: it is not an image, or over the limits.
            BusyError: other uploads kept the workers busy for too long.
        """
        with self._examining():
            upload = load_upload(data, name=name, decoder=self.core.decode_suspect)
            examination = self.engine.judge(upload, families=families)
        report = build_report(
            examination.verdict,
            path=name,
            sha256=examination.sha256,
            media_type=examination.media_type,
            size=(examination.width, examination.height),
            policy_id=examination.policy_id,
            policy_digest=examination.policy_digest,
            notes=examination.notes,
        )
        return report, upload

    def verify(self, data: bytes, *, name: str | None) -> dict[str, Any]:
        """Return the promised JSON keys of a file's content credentials.

        Raises:
            MediaTooLargeError: over MAX_BYTES.
            UndecodableMediaError: no bytes at all.
            BusyError: other uploads kept the workers busy for too long.
        """
        if len(data) > MAX_BYTES:
            raise MediaTooLargeError(f"The file has more than {MAX_BYTES} bytes.")
        if not data:
            raise UndecodableMediaError("The file is empty.")
        with self._examining():
            report = self.core.reader.read(data)
        return credential_row(report, path=name, media_type=sniff_media_type(data))

    @contextmanager
    def _examining(self) -> Iterator[None]:
        """Hold one of as many places as there are workers, so that load makes uploads wait, not verdicts change."""
        if not self._examinations.acquire(timeout=EXAMINATION_WAIT_S):
            raise BusyError(f"Other uploads kept all workers busy for {EXAMINATION_WAIT_S:.0f} s.")
        try:
            yield
        finally:
            self._examinations.release()

    def proof(self, image_id: ImageID) -> dict[str, Any]:
        """Return the ledger entry of an image with its inclusion proof and signed tree head."""
        found = self.core.ledger.proof(image_id)
        return found.to_json() if found else {}

    def readiness(self) -> list[Check]:
        """Check every part; never raises."""
        checks = [self._attempt("keys", self._keys), self._attempt("ledger", self._ledger)]
        checks.append(self._attempt("trust", self._trust))
        checks.append(self._attempt("time stamps", self._time_stamps))
        checks.append(self._attempt("credentials", self._credentials))
        checks.append(self._attempt("generation", lambda: Check(name="generation", ok=True, detail=self._model())))
        checks.append(self._attempt("detection", self._detection))
        return checks

    def _attempt(self, name: str, check: Any) -> Check:
        try:
            done: Check = check()
        except GuardError as error:
            return Check(name=name, ok=False, detail=f"{error} {error.diagnostics()}")
        return done

    def _keys(self) -> Check:
        keys, days = self.core.keys, self.core.signing_days_left()
        kind = "development keys" if keys.development else "production keys"
        soon = days < EXPIRY_WARNING_DAYS
        detail = f"{kind}, signing is covered for {days} more days{' - expires soon, renew it' if soon else ''}"
        ending = [f"{c.role} {c.name} in {c.days_left} days" for c in self.certificates() if c.ends_soon]
        if ending:
            detail += f"; ending: {', '.join(ending[:5])}"
        if keys.ring.problem is not None:
            detail += f"; a change of the keys was not taken over: {keys.ring.problem}"
        warning = soon or bool(ending) or keys.ring.problem is not None
        return Check(name="keys", ok=days >= 0, detail=detail, days_left=days, warning=warning)

    def certificates(self) -> tuple[CertificateLife, ...]:
        """Return how long each certificate in use is valid. Raises KeyMaterialError."""
        if not self.core.has_keys:
            return ()
        infos = list_keys(self.settings.keys_folder, now=self.core.clock.now())
        return tuple(
            CertificateLife(
                role=info.role,
                name=info.id or info.fingerprint[:16],
                days_left=info.days_left,
                ends_soon=info.days_left < EXPIRY_WARNING_DAYS and info.state in ("active", ""),
            )
            for info in infos
            if info.days_left is not None and info.state != "retired"
        )

    def _trust(self) -> Check:
        store, now = TrustStore(self.settings.trust_folder), self.core.clock.now()
        parts, expired = [], 0
        for entry in store.entries():
            certificates = store.certificates(entry)
            expired += sum(certificate.not_valid_after_utc < now for certificate in certificates)
            parts.append(f"{entry.name} ({len(certificates)} for {entry.kind.describe()})")
        detail = ", ".join(parts) or "own anchors only; `signet trust update` fetches the C2PA's lists"
        if expired:
            detail += f"; {expired} of their certificates have expired - update the lists"
        return Check(name="trust", ok=True, detail=detail, warning=expired > 0)

    def _time_stamps(self) -> Check:
        source = self.core.time_stamps
        if source is None:
            detail = "no authority; credentials end with their certificate (SIGNET_TSA_URL)"
            return Check(name="time stamps", ok=True, detail=detail)
        detail = (
            f"{source.url}, policy {source.policy}: {source.stamped} stamped, {source.signed_without} signed without"
        )
        if source.last_failure is not None:
            detail += f"; the last request failed: {source.last_failure}"
        return Check(name="time stamps", ok=True, detail=detail, warning=source.last_failure is not None)

    def _credentials(self) -> Check:
        test = self.core.self_test
        detail = f"own signature {test.own}, foreign {test.foreign}, {test.connections} network connections"
        return Check(name="credentials", ok=True, detail=detail)

    def _ledger(self) -> Check:
        return Check(name="ledger", ok=True, detail=f"{self.core.ledger.size()} entries")

    def _model(self) -> str:
        stages = self.gateway.stages
        return f"models: {', '.join(sorted(stages.generators))}; policy {stages.policy.id}"

    def _detection(self) -> Check:
        names = ", ".join(row["id"] for row in self.engine.describe())
        return Check(name="detection", ok=True, detail=f"policy {self.engine.policy_id}: {names}")


def credential_row(report: CredentialReport, *, path: str | None, media_type: str | None) -> dict[str, Any]:
    """Return the promised JSON keys of ``signet verify`` and POST /v1/verify."""
    return {
        "path": path,
        "state": report.state.value,
        "codes": list(report.codes),
        "ai_origin": report.ai_origin,
        "signer": report.signer,
        "trust_list": report.trust_list,
        "time": report.signed_at,
        "explanation": report.explanation,
        "issuer": report.issuer,
        "generator": report.generator,
        "software_agents": list(report.software_agents),
        "source_types": [uri.rsplit("/", 1)[-1] for uri in report.source_types],
        "soft_bindings": [{"alg": b.algorithm, "value": b.value} for b in report.soft_bindings],
        "ingredients": [
            {
                "title": part.title,
                "relationship": part.relationship,
                "state": part.state.value,
                "codes": list(part.codes),
            }
            for part in report.ingredients
        ],
        "manifest_label": report.manifest_label,
        "media_type": media_type,
    }
