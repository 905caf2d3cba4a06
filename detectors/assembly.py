"""Composition root of detection: settings and policy in, a working engine out."""

from __future__ import annotations

from detectors.engine import DetectionEngine
from detectors.interfaces import Detector
from detectors.mark_readers import operator_mark_detectors
from detectors.metadata.container_structure import ContainerStructureDetector
from detectors.metadata.content_credentials import ContentCredentialsDetector
from detectors.metadata.embedded_fields import EmbeddedFieldsDetector
from detectors.metadata.generator_traces import GeneratorTracesDetector
from detectors.metadata.ledger_match import LedgerMatchDetector
from detectors.originals import RegistryLookup
from detectors.pixel_models import PROBES_FOLDER, pixel_detectors
from detectors.policy import RecognitionPolicy, load_detection_policy
from detectors.pretrained.assembly import pretrained_detectors
from detectors.unavailable import UnavailableDetector
from detectors.watermark.gateway_mark import GatewayMarkDetector
from detectors.watermark.open_marks import OpenMarksDetector
from guard.assembly import Core, build_core
from guard.settings import Settings, load_settings

NO_KEYS = "This installation has no keys, so it has neither released pictures nor a watermark to look for."


def build_detection_engine(settings: Settings | None = None, *, core: Core | None = None) -> DetectionEngine:
    """Return the detection flow of an installation.

    Args:
        settings: where everything is; None reads the environment.
        core: parts to share with generation, or None for parts of its own.

    Raises:
        ConfigError: the policy or the keys are unusable. Missing keys only switch off what needs them.
    """
    chosen = settings or load_settings()
    shared = core or build_core(chosen)
    policy, digest = load_detection_policy(chosen.policies / f"{chosen.detection_policy}.yaml")
    detectors: list[Detector] = [
        ContentCredentialsDetector(shared.reader),
        GeneratorTracesDetector(credentials=shared.reader),
        EmbeddedFieldsDetector(),
        ContainerStructureDetector(),
        *_registry_detectors(shared, policy.recognition),
        OpenMarksDetector(),
        *operator_mark_detectors(chosen.home, policy),
        *pixel_detectors(probes=chosen.home / PROBES_FOLDER),
        *pretrained_detectors(chosen.home, wanted=policy.detectors, device=chosen.device),
    ]
    return DetectionEngine(detectors, policy, policy_digest=digest)


def _registry_detectors(core: Core, recognition: RecognitionPolicy) -> list[Detector]:
    """Return the detectors that need keys and registry, or stand-ins that say what is missing."""
    if not core.has_keys:
        kinds = (LedgerMatchDetector, GatewayMarkDetector)
        return [
            UnavailableDetector(
                id=kind.id, version=kind.version, family=kind.family, technique=kind.technique, reason=NO_KEYS
            )
            for kind in kinds
        ]
    originals = RegistryLookup(core.ledger, core.own_reader)
    return [
        LedgerMatchDetector(
            originals, max_distance=recognition.pdq_max_distance, min_quality=recognition.pdq_min_quality
        ),
        GatewayMarkDetector(core.watermarker, originals),
    ]
