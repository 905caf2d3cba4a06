"""Composition root: settings and policies in, a working gateway out; the only file that knows concrete stages.

``build_core`` makes what generation and detection share (keys, trust, ledger, stores, killable workers, codec);
``build_gateway`` puts the generation flow on top of it.
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from functools import cached_property

from guard.checker_assembly import build_image_checkers as build_image_checkers
from guard.checker_assembly import build_prompt_checkers as build_prompt_checkers
from guard.checker_assembly import model_source
from guard.clip_model import ClipModel
from guard.errors import KeyMaterialError
from guard.generation.catalogue import load_catalogue
from guard.generation.diffusers_backend import DiffusersGenerator
from guard.generation.embedded import MODEL_ID, signet_mini_spec
from guard.generation.model_spec import Device
from guard.interfaces import Clock, LatentMarker, Quarantine
from guard.isolation import WorkerPool
from guard.label.compositor import BadgeLabeller
from guard.ledger.image_store import FileImageStore
from guard.ledger.sqlite_store import SQLiteLedger
from guard.media import DecodedImage, decode
from guard.picture_file import PictureFile, open_picture
from guard.pipeline import Gateway
from guard.policy.image_entries import PinnedModel
from guard.policy.load import load_named
from guard.protected_set.store import ProtectedStore
from guard.provenance.keys.interfaces import KeyAccess
from guard.provenance.keys.passphrase import passphrase_source
from guard.provenance.keys.ring import days_covered, list_signers
from guard.provenance.keys_folder import MANIFEST_ANCHORS, KeyFolder, folder_anchors
from guard.provenance.read import C2PACredentialReader
from guard.provenance.revocation import parse_hosts
from guard.provenance.self_test import SelfTest, run_self_test
from guard.provenance.sign import C2PACredentialSigner, ClaimGenerator
from guard.provenance.time_stamp import TimeStampPolicy, TimeStampSource
from guard.provenance.trust import TrustAnchors, load_anchors
from guard.provenance.trust_store import TrustStore
from guard.recovery import ManifestRecovery
from guard.settings import Settings
from guard.signing.flow import FileSigner
from guard.signing.request import SigningParts
from guard.stages import Stages
from guard.suspect_media import SuspectImage, decode_suspect
from guard.watermark.codec import LatticeWatermarker
from guard.watermark.invisible_watermark import InvisibleWatermarkReader
from guard.watermark.key_schedule import FIRST_KEY, KeyName
from guard.watermark.latent import LatentMark

LEDGER_ORIGIN = "signet-gateway/ledger"
"""Origin line of signed tree heads (C2SP tlog-checkpoint); verifiers check it."""


class SystemClock:
    """The machine's clock, in UTC; implements ``Clock``."""

    def now(self) -> datetime:
        """Return the current time."""
        return datetime.now(UTC)


class Core:
    """What one installation has, each part built on first use; safe to share between threads once built.

    An installation without keys can still read credentials and metadata; what needs keys says how to make them.
    """

    def __init__(self, settings: Settings, *, clock: Clock) -> None:
        self.settings = settings
        self.clock = clock
        self._anchored_with_keys = True
        self._clip_models: dict[str, ClipModel] = {}
        self._to_close: list[WorkerPool | SQLiteLedger | ProtectedStore | TimeStampSource] = []

    @property
    def has_keys(self) -> bool:
        """Return whether a key folder exists."""
        return self.settings.keys_folder.exists()

    @cached_property
    def keys(self) -> KeyFolder:
        """Return the keys. Raises KeyMaterialError when there are none, or they are unusable."""
        if not self.has_keys:
            raise KeyMaterialError(
                f"There are no keys in {self.settings.keys_folder}.",
                next_step="Run `signet keys init` to make development keys there, or set SIGNET_HOME.",
            )
        if not self._anchored_with_keys:
            raise KeyMaterialError(
                "The keys were made after this process had started.", next_step="Restart it, so that it trusts them."
            )
        access = key_access(self.settings)
        return KeyFolder.load(self.settings.keys_folder, now=self.clock.now(), access=access, clock=self.clock.now)

    def signing_days_left(self) -> int:
        """Return whole days for which some signing certificate is valid without a gap, negative when none is now."""
        now = self.clock.now()
        return days_covered(list_signers(self.settings.keys_folder, now=now), now=now)

    @cached_property
    def anchors(self) -> TrustAnchors:
        """Return everybody whose signature is trusted here: our own root, the operator's file, the trust lists.

        Raises:
            KeyMaterialError: a file is unreadable, or a trust list was changed after it was imported.
        """
        self._anchored_with_keys = self.has_keys
        listed = self.settings.trust_anchors
        extra = load_anchors(manifest_files=(listed,)) if listed is not None else TrustAnchors()
        lists = TrustStore(self.settings.trust_folder).anchors()
        folder = self.settings.keys_folder  # not self.keys: reading needs no passphrase, token or signing service
        own = folder_anchors(folder) if (folder / MANIFEST_ANCHORS).exists() else TrustAnchors()
        return own.plus(extra).plus(lists)

    @cached_property
    def pool(self) -> WorkerPool:
        """Return the killable workers for native parsers of uploads."""
        pool = WorkerPool(
            size=self.settings.worker_processes,
            memory_bytes=self.settings.worker_memory_mb * 1024**2,
            preload=("c2pa", "guard.picture_file", "guard.suspect_media", "guard.provenance.read"),
        )
        self._to_close.append(pool)
        return pool

    @cached_property
    def reader(self) -> C2PACredentialReader:
        """Return the reader of the content credentials of strangers' files."""
        return C2PACredentialReader(
            self.anchors,
            pool=self.pool,
            deadline_s=self.settings.worker_deadline_s,
            ocsp_hosts=parse_hosts(self.settings.ocsp_hosts),
        )

    @cached_property
    def own_reader(self) -> C2PACredentialReader:
        """Return the reader of what was made here: a worker of its own, so that it never waits for uploads."""
        pool = WorkerPool(
            size=1,
            memory_bytes=self.settings.worker_memory_mb * 1024**2,
            preload=("c2pa", "guard.provenance.read"),
        )
        self._to_close.append(pool)
        return C2PACredentialReader(self.anchors, pool=pool, deadline_s=self.settings.worker_deadline_s)

    @cached_property
    def ledger(self) -> SQLiteLedger:
        """Return the ledger. Raises KeyMaterialError without keys, LedgerError when it cannot be opened."""
        ledger = SQLiteLedger(
            self.settings.ledger_path,
            signing_key=self.keys.ledger_private_key,
            origin=LEDGER_ORIGIN,
            clock=self.clock,
        )
        self._to_close.append(ledger)
        return ledger

    @cached_property
    def protected_set(self) -> ProtectedStore:
        """Return the pictures that must not be generated again. Raises ConfigError when they cannot be read."""
        store = ProtectedStore(self.settings.protected_set_path)
        self._to_close.append(store)
        return store

    def clip_model(self, pinned: PinnedModel) -> ClipModel:
        """Return a policy's CLIP model, loaded once for all who name it. Raises ConfigError when it is not usable."""
        if pinned.digest not in self._clip_models:
            self._clip_models[pinned.digest] = ClipModel(model_source(pinned), device=self.settings.device)
        return self._clip_models[pinned.digest]

    @cached_property
    def images(self) -> FileImageStore:
        """Return the store of released images."""
        return FileImageStore(self.settings.images_folder)

    @cached_property
    def watermarker(self) -> LatticeWatermarker:
        """Return the mark codec: writes this period's key, reads the earlier ones, too. Raises KeyMaterialError."""
        earlier = [name.strip() for name in self.settings.watermark_old_periods.split(",") if name.strip()]
        return LatticeWatermarker(
            self.keys.watermark_master_key,
            period=self.settings.watermark_period,
            tenant=FIRST_KEY.tenant,
            pool=[*(KeyName(tenant=FIRST_KEY.tenant, period=name) for name in earlier), FIRST_KEY],
        )

    @cached_property
    def latent_mark(self) -> LatentMark:
        """Return the mark in the initial noise. Raises KeyMaterialError without keys."""
        return LatentMark(self.keys.watermark_master_key)

    @cached_property
    def signer(self) -> C2PACredentialSigner:
        """Return the signer of manifests. Raises KeyMaterialError without keys."""
        return C2PACredentialSigner(
            self.keys.ring,
            claim_generator=ClaimGenerator(
                provider=self.settings.provider,
                prompts=self.settings.manifest_prompts,
                thumbnails=self.settings.manifest_thumbnails,
            ),
            time_stamps=self.time_stamps,
            stranger=self.reader,
        )

    @cached_property
    def time_stamps(self) -> TimeStampSource | None:
        """Return the operator's time-stamp authority, or None. Raises ConfigError when its address is wrong."""
        if self.settings.tsa_url is None:
            return None
        source = TimeStampSource(
            self.settings.tsa_url,
            policy=TimeStampPolicy(self.settings.tsa_policy),
            deadline_s=self.settings.tsa_deadline_s,
            anchors_pem=self.anchors.all_tsa_pem(),
        )
        self._to_close.append(source)
        return source

    @cached_property
    def file_signer(self) -> FileSigner:
        """Return the flow that marks, signs and records files made elsewhere. Raises KeyMaterialError without keys."""
        parts = SigningParts(
            watermarker=self.watermarker,
            labeller=BadgeLabeller(),
            signer=self.signer,
            reader=self.reader,
            ledger=self.ledger,
            clock=self.clock,
            open_picture=self.open_picture,
            foreign_marks=() if self.settings.mark_over_foreign else foreign_mark_readers(),
        )
        return FileSigner(parts, random_bytes=secrets.token_bytes)

    @cached_property
    def recovery(self) -> ManifestRecovery:
        """Return the search for the manifests of stripped copies. Raises KeyMaterialError without keys."""
        return ManifestRecovery(watermarker=self.watermarker, ledger=self.ledger, reader=self.own_reader)

    @cached_property
    def self_test(self) -> SelfTest:
        """Prove once that signing, trust and the closed network work here. Raises ConfigError when they do not."""
        return run_self_test(self.signer, self.own_reader, now=self.clock.now())

    def decode(self, data: bytes) -> DecodedImage:
        """Decode an upload in a killable worker. Raises MediaError, DeadlineError."""
        return self.pool.run(decode, data, deadline_s=self.settings.worker_deadline_s)

    def decode_suspect(self, data: bytes) -> SuspectImage:
        """Decode what can be had of a suspect file in a killable worker. Raises MediaError, DeadlineError."""
        return self.pool.run(decode_suspect, data, partial=True, deadline_s=self.settings.worker_deadline_s)

    def open_picture(self, data: bytes) -> PictureFile:
        """Decode a file with its metadata in a killable worker. Raises MediaError, DeadlineError."""
        return self.pool.run(open_picture, data, deadline_s=self.settings.worker_deadline_s)

    def recover(self) -> list[str]:
        """Remove what a crash left behind: stored bytes whose ledger entry never came (they were never released)."""
        if not self.has_keys:
            return []
        return list(self.images.remove_orphans(self.ledger.recorded_ids(), now=self.clock.now()))

    def close(self) -> None:
        """Close what was opened."""
        while self._to_close:
            self._to_close.pop().close()


def key_access(settings: Settings) -> KeyAccess:
    """Return what reaches the keys of an installation. Raises KeyMaterialError when it is configured twice."""
    return KeyAccess(
        deadline_s=settings.signer_deadline_s,
        passphrase=passphrase_source(file=settings.key_passphrase_file, descriptor=settings.key_passphrase_fd),
        ca_file=settings.signer_ca,
        certificate_file=settings.signer_certificate,
        key_file=settings.signer_key,
    )


def foreign_mark_readers() -> tuple[InvisibleWatermarkReader, ...]:
    """Return the readers of others' marks that need no weights."""
    return InvisibleWatermarkReader(), InvisibleWatermarkReader(svd=True)


def build_core(settings: Settings, *, clock: Clock | None = None) -> Core:
    """Return the shared parts of an installation; nothing is opened yet."""
    return Core(settings, clock=clock or SystemClock())


def build_gateway(settings: Settings, *, core: Core | None = None, quarantine: Quarantine | None = None) -> Gateway:
    """Return the generation flow of an installation.

    Args:
        settings: where everything is.
        core: parts to share with detection, or None for parts of its own.
        quarantine: keeps what is refused for reviewers; None keeps nothing but the ledger's record.

    Raises:
        ConfigError: keys, policy, weights or a named checker are missing or unusable.
    """
    shared = core or build_core(settings)
    policy = load_named(settings.policies, settings.generation_policy)
    generators = build_generators(settings, latent_marker=shared.latent_mark if settings.latent_mark else None)
    preview = policy.document.checkers.preview
    stages = Stages(
        prompt_checkers=build_prompt_checkers(policy, terms=settings.policies / "terms"),
        image_checkers=build_image_checkers(policy, core=shared),
        policy=policy,
        generators=generators,
        default_model=settings.default_model,
        labeller=BadgeLabeller(),
        watermarker=shared.watermarker,
        signer=shared.signer,
        reader=shared.own_reader,
        ledger=shared.ledger,
        images=shared.images,
        clock=shared.clock,
        quarantine=quarantine,
        preview_at=preview.at if preview is not None else (),
        foreign_marks=foreign_mark_readers(),
    )
    return Gateway(stages, random_bytes=secrets.token_bytes, on_close=None if core else shared.close)


def build_generators(settings: Settings, *, latent_marker: LatentMarker | None = None) -> dict[str, DiffusersGenerator]:
    """Return the shipped model and those of the models file, by id; weights load on first use.

    Args:
        settings: where the models are.
        latent_marker: draws the noise that pictures grow from; None leaves it to chance.

    Raises:
        ConfigError: the models file or the shipped folder is not usable.
    """
    device = Device(settings.device)
    specs = {MODEL_ID: signet_mini_spec(device=device)}
    if settings.models is not None:
        specs |= load_catalogue(settings.models, device=device)
    return {model_id: DiffusersGenerator(spec, latent_marker=latent_marker) for model_id, spec in specs.items()}
