"""What a generation policy may say: the strict schema of ``policies/generation.*.yaml``.

A policy names the checkers that run, and for each category the rules that turn a finding into an action. It cannot
switch off what is hard (``guard/policy/decide.py``), it cannot leave a category unmentioned, and it cannot be empty.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Discriminator, Field, Tag, model_validator

from guard.policy.fields import MAX_SEVERITY as MAX_SEVERITY
from guard.policy.fields import TUNABLE as TUNABLE
from guard.policy.fields import Category as Category
from guard.policy.fields import CheckerID, Digest, Probability, Strict
from guard.policy.fields import Name as Name
from guard.policy.fields import Severity as Severity
from guard.policy.fields import Stage as Stage
from guard.policy.image_entries import UNCHECKED as UNCHECKED
from guard.policy.image_entries import (
    ClipConceptsEntry,
    ImageTextEntry,
    PreviewRules,
    SafetyCheckerEntry,
)
from guard.policy.image_entries import NudityEntry as NudityEntry
from guard.policy.image_entries import ProtectedSetEntry as ProtectedSetEntry
from guard.policy.image_entries import UncheckedEntry as UncheckedEntry
from guard.records import Action
from guard.tenant import LOCALE_PATTERN, TENANT_PATTERN

REQUIRED_PROMPT_CHECKER = "prompt.terms"
"""Carries the hard rules on sexual content about minors and real people; a policy without it is refused."""


class Rule(Strict):
    """One step of a category's ladder: a finding at or above both minima gets the action.

    Attributes:
        action: flag, review or block.
        min_score: 0..1, compared with ``Finding.score``.
        min_severity: 0..7, compared with ``Finding.severity``.
        stages: where the rule applies.
    """

    action: Literal[Action.FLAG, Action.REVIEW, Action.BLOCK]
    min_score: Probability
    min_severity: Severity = 0
    stages: tuple[Stage, ...] = Field(default=(Stage.PROMPT, Stage.IMAGE), min_length=1)


class TermsEntry(Strict):
    """``prompt.terms``: term and pattern lists by name (``policies/terms/NAME.yaml``), besides the hard rules."""

    id: Literal["prompt.terms"]
    lists: tuple[Name, ...] = Field(min_length=1)


class ClassifierEntry(Strict):
    """``prompt.classifier``: the learned prompt model; findings under ``report_above`` are not reported."""

    id: Literal["prompt.classifier"]
    report_above: Probability = 0.2


class HFClassifierEntry(Strict):
    """``prompt.hf.*``: a Hugging Face text classifier in a local folder, pinned by its content digest.

    Attributes:
        folder: model folder with ``digests.json``.
        digest: SHA-256 over its files (``guard.weights.content_digest``).
        labels: the model's label -> category.
        severity: of every finding.
        max_tokens: length of the windows that long texts are read in.
    """

    id: Annotated[str, Field(pattern=r"^prompt\.hf\.[a-z0-9_]+$")]
    folder: str
    digest: Digest
    labels: dict[str, Category] = Field(min_length=1)
    report_above: Probability = 0.5
    severity: Severity = 3
    max_tokens: Annotated[int, Field(ge=16, le=8192)] = 256


class GuardEntry(Strict):
    """``prompt.guard.*``: a generative guard model in a local folder, pinned by its content digest.

    Attributes:
        folder, digest: as for ``prompt.hf.*``.
        style: the family, which says how it is asked.
        otherwise: category of an unsafe answer that names none.
        severity: of every finding.
    """

    id: Annotated[str, Field(pattern=r"^prompt\.guard\.[a-z0-9_]+$")]
    folder: str
    digest: Digest
    style: Literal["llama_guard", "shield_gemma", "qwen3_guard"]
    otherwise: Category = Category.SHOCKING
    report_above: Probability = 0.5
    severity: Severity = 3


class ModerationEntry(Strict):
    """``prompt.moderation.*``: an OpenAI-compatible moderation endpoint; prompts leave the machine.

    Attributes:
        url: the full address; https, or this machine.
        model: model to ask for, or none for the endpoint's default.
        api_key_env: environment variable with the key; keys never stand in a policy.
        timeout_s: seconds for the whole call.
        on_failure: ``withhold`` releases nothing without an answer; ``degrade`` goes on with the other checkers.
        failures, cooldown_s: after so many failures in a row it is not asked for so long.
    """

    id: Annotated[str, Field(pattern=r"^prompt\.moderation\.[a-z0-9_]+$")]
    url: Annotated[str, Field(pattern=r"^https?://", max_length=500)]
    model: str | None = None
    api_key_env: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$")] | None = None
    timeout_s: Annotated[float, Field(gt=0, le=30)] = 2.0
    on_failure: Literal["withhold", "degrade"] = "withhold"
    failures: Annotated[int, Field(ge=1, le=100)] = 3
    cooldown_s: Annotated[float, Field(gt=0, le=3600)] = 30.0
    report_above: Probability = 0.5
    severity: Severity = 3


class PluginEntry(Strict):
    """A checker from a plug-in, by its id; its options are handed to it as they are."""

    id: CheckerID
    options: dict[str, str | float | int | bool | None] = Field(default_factory=dict)


def _entry_kind(value: Any) -> str:
    """Return which entry model a mapping belongs to; everything that is not built in is a plug-in's."""
    entry_id = value.get("id") if isinstance(value, dict) else getattr(value, "id", None)
    if entry_id in _BUILT_IN:
        return str(entry_id)
    family = next((prefix for prefix in _FAMILIES if str(entry_id).startswith(f"{prefix}.")), None)
    return family or "plugin"


_BUILT_IN = (
    "prompt.terms",
    "prompt.classifier",
    "image.nudity",
    "image.protected",
    "image.clip_concepts",
    "image.safety_checker",
    "image.text",
    "image.unsafe_unchecked",
)

_FAMILIES = ("prompt.hf", "prompt.guard", "prompt.moderation")
"""Beginnings of ids of which a policy may list several instances."""

PromptEntry: TypeAlias = Annotated[
    Annotated[TermsEntry, Tag("prompt.terms")]
    | Annotated[ClassifierEntry, Tag("prompt.classifier")]
    | Annotated[HFClassifierEntry, Tag("prompt.hf")]
    | Annotated[GuardEntry, Tag("prompt.guard")]
    | Annotated[ModerationEntry, Tag("prompt.moderation")]
    | Annotated[PluginEntry, Tag("plugin")],
    Discriminator(_entry_kind),
]
ImageEntry: TypeAlias = Annotated[
    Annotated[NudityEntry, Tag("image.nudity")]
    | Annotated[ProtectedSetEntry, Tag("image.protected")]
    | Annotated[ClipConceptsEntry, Tag("image.clip_concepts")]
    | Annotated[SafetyCheckerEntry, Tag("image.safety_checker")]
    | Annotated[ImageTextEntry, Tag("image.text")]
    | Annotated[UncheckedEntry, Tag("image.unsafe_unchecked")]
    | Annotated[PluginEntry, Tag("plugin")],
    Discriminator(_entry_kind),
]


class Checkers(Strict):
    """Which checkers run; neither list may be empty. With ``preview`` unfinished pictures are looked at as well."""

    prompt: tuple[PromptEntry, ...] = Field(min_length=1)
    image: tuple[ImageEntry, ...] = Field(min_length=1)
    preview: PreviewRules | None = None

    @model_validator(mode="after")
    def _hard_rules_run(self) -> Checkers:
        ids = [entry.id for entry in (*self.prompt, *self.image)]
        if len(set(ids)) != len(ids):
            raise ValueError("a checker is listed twice")
        if REQUIRED_PROMPT_CHECKER not in ids:
            raise ValueError(f"{REQUIRED_PROMPT_CHECKER} carries the hard rules and must be listed under prompt")
        if UNCHECKED in ids and len(self.image) > 1:
            raise ValueError(f"{UNCHECKED} contradicts the other image checkers")
        asked = [entry.id for entry in self.prompt]
        unread = [n for e in self.image if isinstance(e, ImageTextEntry) for n in e.checkers if n not in asked]
        if unread:
            raise ValueError(f"image.text names prompt checkers that are not listed: {', '.join(unread)}")
        return self


class QuarantineRules(Strict):
    """What is kept of a refusal for reviewers, encrypted; content about minors is never kept.

    Attributes:
        retention_days: when prompts and pictures are erased; the case without them stays.
        keep_prompts, keep_pictures: False keeps the findings alone.
    """

    retention_days: Annotated[int, Field(ge=1, le=365)] = 30
    keep_prompts: bool = True
    keep_pictures: bool = True


class Override(Strict):
    """Other rules for some categories, where they hold for some callers only; hard rules hold for everybody.

    Attributes:
        tenants: names of tenants; empty for all.
        locales: language tags (BCP 47) as requests state them; ``de`` also stands for ``de-AT``. Empty for all, also
            for requests that state none.
        categories: category -> the rules that take the place of the policy's own.
    """

    tenants: tuple[Annotated[str, Field(pattern=TENANT_PATTERN)], ...] = ()
    locales: tuple[Annotated[str, Field(pattern=LOCALE_PATTERN)], ...] = ()
    categories: dict[Category, tuple[Rule, ...]] = Field(min_length=1)

    @model_validator(mode="after")
    def _is_for_somebody(self) -> Override:
        if not (self.tenants or self.locales):
            raise ValueError("an override needs tenants or locales; rules for everybody stand under categories")
        if Category.SEXUAL_MINORS in self.categories:
            raise ValueError(f"{Category.SEXUAL_MINORS} is always blocked and cannot be set")
        return self

    def holds_for(self, *, tenant: str, locale: str) -> bool:
        """Return whether the caller is meant; language tags are compared without regard to case (RFC 4647, 3.3.1)."""
        wanted = f"{locale.lower()}-"
        speaks = not self.locales or any(wanted.startswith(f"{one.lower()}-") for one in self.locales)
        return speaks and (not self.tenants or tenant in self.tenants)


class PolicyDocument(Strict):
    """One policy file.

    Attributes:
        version: format of this file.
        id: name of the policy; the stem of its file for bundled ones, for instance ``generation.default``.
        title: one line for people.
        checkers: what runs.
        categories: every category of TUNABLE with its rules; an empty list means "not acted on".
        overrides: other rules for some tenants and languages; of those that hold, the first to name a category counts.
        quarantine: what is kept of refusals for reviewers.
        suggestions: category -> what people whose prompt was withheld are told to try instead; not for hard rules.
    """

    version: Literal[1]
    id: Name
    title: str = Field(min_length=1, max_length=200)
    checkers: Checkers
    categories: dict[Category, tuple[Rule, ...]]
    overrides: tuple[Override, ...] = ()
    quarantine: QuarantineRules = QuarantineRules()
    suggestions: dict[Category, Annotated[str, Field(min_length=1, max_length=300)]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _every_category_is_decided(self) -> PolicyDocument:
        if Category.SEXUAL_MINORS in self.categories:
            raise ValueError(f"{Category.SEXUAL_MINORS} is always blocked and cannot be set")
        missing = [category.value for category in TUNABLE if category not in self.categories]
        if missing:
            raise ValueError(f"categories not decided: {', '.join(missing)}; write [] for one that is not acted on")
        return self
