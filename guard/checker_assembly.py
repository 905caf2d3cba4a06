"""Policy in, checkers out: the part of the composition root that knows every checker of prompts and pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from guard.clip_model import ClipModel
from guard.errors import PluginError
from guard.image_check.clip_concepts import ClipConceptChecker
from guard.image_check.faces import FaceDetector
from guard.image_check.image_text import ImageTextChecker
from guard.image_check.nudity import NudityChecker
from guard.image_check.safety_checker import SafetyChecker
from guard.image_check.text_reader import TextReader
from guard.image_check.unchecked import UnsafeUncheckedImages
from guard.interfaces import ImageChecker
from guard.model_source import ModelSource
from guard.policy.decide import Policy
from guard.policy.image_entries import ClipConceptsEntry, ImageTextEntry, PinnedModel, SafetyCheckerEntry
from guard.policy.schema import (
    ClassifierEntry,
    GuardEntry,
    ModerationEntry,
    NudityEntry,
    PluginEntry,
    PromptEntry,
    ProtectedSetEntry,
    TermsEntry,
    UncheckedEntry,
)
from guard.prompt_check.generative_guard import GenerativeGuard
from guard.prompt_check.hf_classifier import HFClassifier
from guard.prompt_check.interfaces import PromptTextChecker
from guard.prompt_check.moderation_endpoint import Endpoint, ModerationEndpoint
from guard.prompt_check.term_rules import TermChecker
from guard.prompt_check.text_classifier import TextClassifier
from guard.protected_set.checker import ProtectedSetChecker
from guard.protected_set.similarity import SimilarityRule
from guard.protected_set.store import ProtectedStore
from guard.settings import Settings


class Parts(Protocol):
    """What checkers share with the rest of an installation; ``guard.assembly.Core`` is one."""

    settings: Settings

    @property
    def protected_set(self) -> ProtectedStore:
        """Return the protected set."""
        ...

    def clip_model(self, pinned: PinnedModel) -> ClipModel:
        """Return a CLIP model, loaded once."""
        ...


def build_prompt_checkers(policy: Policy, *, terms: Path) -> Sequence[PromptTextChecker]:
    """Return the prompt checkers that a policy lists. Raises ConfigError when one cannot run here."""
    return [_prompt_checker(entry, policy, terms) for entry in policy.document.checkers.prompt]


def _prompt_checker(entry: PromptEntry, policy: Policy, terms: Path) -> PromptTextChecker:
    """Return the checker of one entry."""
    if isinstance(entry, TermsEntry):
        return TermChecker(folder=terms, lists=entry.lists)
    if isinstance(entry, ClassifierEntry):
        return TextClassifier(report_above=entry.report_above)
    if isinstance(entry, PluginEntry):
        raise PluginError(f"The policy {policy.id} lists the prompt checker {entry.id!r}, which is not there.")
    given: dict[str, Any] = entry.model_dump(mode="json", exclude={"id", "folder", "report_above", "severity"})
    common: dict[str, Any] = {"checker_id": entry.id, "report_above": entry.report_above, "severity": entry.severity}
    if isinstance(entry, ModerationEntry):
        return ModerationEndpoint(endpoint=Endpoint(**given), **common)
    if isinstance(entry, GuardEntry):
        return GenerativeGuard(folder=Path(entry.folder), **given, **common)
    return HFClassifier(folder=Path(entry.folder), **given, **common)


def model_source(pinned: PinnedModel) -> ModelSource:
    """Return where a policy's model lies."""
    folder = None if pinned.folder is None else Path(pinned.folder)
    return ModelSource(folder=folder, hub=pinned.hub, revision=pinned.revision, digest=pinned.digest)


def face_detector(entry: NudityEntry) -> FaceDetector | None:
    """Return the policy's second detector of faces, or None. Raises WeightsError when it cannot run here."""
    if entry.faces is None:
        return None
    return FaceDetector(Path(entry.faces.file), digest=entry.faces.digest, min_score=entry.faces.min_score)


def similarity_rule(entry: ProtectedSetEntry, *, core: Parts) -> SimilarityRule | None:
    """Return when a picture resembles a protected one, or None. Raises ConfigError when the model is not usable."""
    if entry.model is None or entry.min_similarity is None:
        return None
    return SimilarityRule(model=core.clip_model(entry.model), min_similarity=entry.min_similarity)


def build_image_checkers(policy: Policy, *, core: Parts) -> Sequence[ImageChecker]:
    """Return the image checkers that a policy lists. Raises ConfigError when one cannot run here."""
    checkers: list[ImageChecker] = []
    for entry in policy.document.checkers.image:
        if isinstance(entry, NudityEntry):
            faces = face_detector(entry)
            checkers.append(NudityChecker(classes=entry.classes, alone_min_score=entry.alone_min_score, faces=faces))
        elif isinstance(entry, ProtectedSetEntry):
            rule = similarity_rule(entry, core=core)
            checkers.append(ProtectedSetChecker(core.protected_set, max_distance=entry.max_distance, similarity=rule))
        elif isinstance(entry, ClipConceptsEntry):
            model = core.clip_model(entry.model)
            checkers.append(ClipConceptChecker(model, concepts=entry.concepts, neutral=entry.neutral))
        elif isinstance(entry, SafetyCheckerEntry):
            source = model_source(entry.model)
            device = core.settings.device
            checkers.append(SafetyChecker(source, severity=entry.severity, adjustment=entry.adjustment, device=device))
        elif isinstance(entry, ImageTextEntry):
            terms = core.settings.policies / "terms"
            named = [e for e in policy.document.checkers.prompt if e.id in entry.checkers]
            rules = [_prompt_checker(e, policy, terms) for e in named]
            checkers.append(ImageTextChecker(TextReader(), rules=rules, min_confidence=entry.min_confidence))
        elif isinstance(entry, UncheckedEntry):
            checkers.append(UnsafeUncheckedImages())
        else:
            raise PluginError(f"The policy {policy.id} lists the image checker {entry.id!r}, which is not there.")
    return checkers
