"""What content credentials say: values shared by the signer, the reader, the records of the flow and the detectors."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class CredentialState(StrEnum):
    """Outcome of reading content credentials, weakest first (command contract)."""

    NONE = "none"
    UNREADABLE = "unreadable"
    INVALID = "invalid"
    VALID_UNTRUSTED = "valid_untrusted"
    TRUSTED = "trusted"


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialIngredient:
    """One input named by a manifest, with its own validation state."""

    title: str
    relationship: str
    state: CredentialState
    manifest_label: str | None
    codes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SoftBinding:
    """A ``c2pa.soft-binding`` entry: algorithm id and its value as text."""

    algorithm: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialReport:
    """What a file's content credentials say and whether they hold.

    Attributes:
        state: overall outcome.
        codes: C2PA validation status codes that explain the state.
        explanation: one plain sentence that does not accuse.
        ai_origin: True when the active manifest or a parent states a generative-AI source type, False when a
            valid chain states another source type, None when nothing is stated.
        signer: common name or organisation of the claim signer, or None.
        signed_at: time from a trusted time-stamp, else the claimed time, else None.
        generator: claim generator or software agent named by the manifest, or None.
        source_types: digitalSourceType URIs found while walking the parent chain.
        trust_list: name of the list that vouches for the signer; "" for this installation's own anchors; None when the
            state is not trusted.
    """

    state: CredentialState
    codes: tuple[str, ...] = ()
    explanation: str = ""
    ai_origin: bool | None = None
    signer: str | None = None
    issuer: str | None = None
    signed_at: str | None = None
    manifest_label: str | None = None
    generator: str | None = None
    software_agents: tuple[str, ...] = ()
    source_types: tuple[str, ...] = ()
    soft_bindings: tuple[SoftBinding, ...] = ()
    ingredients: tuple[CredentialIngredient, ...] = ()
    trust_list: str | None = None


class TimeStampOutcome(StrEnum):
    """Whether a signature carries the time of the operator's time-stamp authority."""

    NOT_CONFIGURED = "not_configured"
    STAMPED = "stamped"
    SIGNED_WITHOUT = "signed_without"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedBytes:
    """Plain product of a ``CredentialSigner``."""

    data: bytes
    manifest: bytes
    manifest_label: str
    time_stamp: TimeStampOutcome = TimeStampOutcome.NOT_CONFIGURED
