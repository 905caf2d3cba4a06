"""What c2pa-rs reports about a manifest store, as a ``CredentialReport``; pure.

Verdict rules, each from a measured trap (docs/provenance.md):

* The state is c2pa-rs's ``validation_state``; its failure list can be empty for an Invalid file.
* Trusted counts only when the list that vouched for the *active* signer is ours for claim signers: c2pa-rs also accepts
  a root that was given for time stamps, and its ``trustListUri`` may speak of an ingredient's signer.
* A broken ingredient leaves the outer manifest Trusted. Its failures stand in what the outer signer recorded
  (``ingredients[i].validation_results``) and in ``ingredientDeltas``, where today's re-validation differs; both count.
* An ingredient counts as trusted only when today's validation names a list for claim signers, or when its signer is not
  trusted through the anchors for time stamps alone (``tsa_store``); what the outer signer recorded is only its word.
* Whether a parent's *pixels* matched is known from the outer signer's record only; its signature, assertions and
  signer are re-validated here.
* Texts come from strangers: clipped, and control, bidi and surrogate characters replaced.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from guard.credentials import CredentialIngredient, CredentialReport, CredentialState, SoftBinding
from guard.provenance.source_types import GENERATIVE, normalise
from guard.provenance.trust import MANIFEST_LIST

MAX_TEXT_CHARS = 200
"""Longest text that is passed on; files with 10 kB titles exist (c2pa-attacks)."""
MAX_ITEMS = 100
"""Most entries of any list in a report; editors' files name up to 60 ingredients."""
HARD_BINDING_MISMATCH = frozenset(
    {
        "assertion.dataHash.mismatch",
        "assertion.bmffHash.mismatch",
        "assertion.boxesHash.mismatch",
        "assertion.collectionHash.mismatch",
    }
)
"""Codes that say only "these are not the bytes that were signed"; the claim itself may be intact."""
UNTRUSTED = "signingCredential.untrusted"
TRUSTED = "signingCredential.trusted"
REVOKED = "signingCredential.ocsp.revoked"
INGREDIENT_INVALID = "signet.ingredient.invalid"
"""Our code: the outer manifest holds, but a source that it names does not."""
_VOUCHED = re.compile(rf"\[{re.escape(MANIFEST_LIST)}(?::([a-z0-9-]+))?\]")
_UNINTERESTING = frozenset({"assertion.hashedURI.match", "claimSignature.insideValidity"})
_CHAIN = frozenset({"parentOf", "componentOf"})
"""Relationships that make an ingredient's pixels part of the picture; ``inputTo`` does not (C2PA 2.4 section 18.16)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Link:
    """One manifest of a chain.

    Attributes:
        manifest: empty for a source without credentials.
        label: its URN.
        authentic: its statements are those that were signed, also where the pixels are not.
        sound: in addition, everything about it validates.
    """

    manifest: Mapping[str, Any]
    label: str
    authentic: bool = True
    sound: bool = True


def describe_store(
    store: Mapping[str, Any],
    *,
    detached: bool = False,
    tsa_store: Mapping[str, Any] | None = None,
    unfit: frozenset[str] = frozenset(),
) -> CredentialReport:
    """Return the report for one parsed manifest store.

    Args:
        store: ``Reader.json()`` of c2pa-rs, parsed.
        detached: the manifest was validated against other bytes than it was signed for (a stripped and altered copy):
            hard-binding mismatches are then expected and do not decide; they stay in ``codes``.
        tsa_store: the same store, read with the anchors for time stamps alone; None when there are none.
        unfit: labels of manifests whose signer's certificate is not for claim signing (claim_signer.py).
    """
    label = str(store.get("active_manifest") or "")
    manifests = _mapping(store.get("manifests"))
    active = _mapping(manifests.get(label))
    results = _mapping(store.get("validation_results"))
    state = _state(store, results, detached=detached)
    if state is CredentialState.TRUSTED and label in unfit:
        state = CredentialState.VALID_UNTRUSTED
    tsa_results = _mapping(tsa_store.get("validation_results")) if tsa_store is not None else None
    ingredients = tuple(
        _ingredient(item, label, results, tsa_results, unfit)
        for item in _mappings(active.get("ingredients"))[:MAX_ITEMS]
    )
    chain = tuple(_chain(label, manifests, results))
    types = _source_types(chain)
    signature = _mapping(active.get("signature_info"))
    signer = clean(signature.get("common_name")) or clean(signature.get("issuer"))
    codes = _codes(state, results)
    trust_list = _list_that_vouched(_mapping(results.get("activeManifest")))
    broken = [item.title for item in ingredients if item.state is CredentialState.INVALID]
    return CredentialReport(
        state=state,
        codes=(*codes, INGREDIENT_INVALID) if broken else codes,
        explanation=explain(state, codes, signer=signer, broken=broken, trust_list=trust_list),
        ai_origin=_ai_origin(state, chain),
        signer=signer,
        trust_list=trust_list if state is CredentialState.TRUSTED else None,
        issuer=clean(signature.get("issuer")),
        signed_at=_signed_at(active, results),
        manifest_label=clean(label),
        generator=_generator(active),
        software_agents=_unique(agent for action in _actions(active) if (agent := _agent(action.get("softwareAgent")))),
        source_types=types,
        soft_bindings=tuple(_soft_bindings(active))[:MAX_ITEMS],
        ingredients=ingredients,
    )


def explain(
    state: CredentialState,
    codes: Sequence[str],
    *,
    signer: str | None = None,
    broken: Sequence[str] = (),
    trust_list: str | None = None,
) -> str:
    """Return one plain sentence or two; says what was found, accuses nobody."""
    who = signer or "an unnamed signer"
    if state is CredentialState.TRUSTED:
        which = f"the trust list {trust_list}" if trust_list else "the trust list"
        text = f"The content credentials are intact and signed by {who}, who is on {which}."
    elif state is CredentialState.VALID_UNTRUSTED:
        text = f"The content credentials are intact, but their signer ({who}) is not on the trust list."
    elif REVOKED in codes:
        text = "The signer's certificate was withdrawn by its issuer, so the credentials cannot be relied on."
    elif state is CredentialState.NONE:
        text = "The file carries no content credentials. That says nothing about how the picture was made."
    elif state is CredentialState.UNREADABLE:
        text = "Content credentials could not be read from this file."
    elif HARD_BINDING_MISMATCH & set(codes):
        text = (
            "The content credentials do not match this file: it was changed after signing, or they belong to another."
        )
    elif "signingCredential.expired" in codes:
        text = "The signer's certificate had expired, and no trusted time stamp shows that the file was signed before."
    elif "claimSignature.mismatch" in codes or any(code.startswith("assertion.") for code in codes):
        text = "The content credentials themselves were changed after signing, so they cannot be relied on."
    else:
        text = "The content credentials do not validate, so they cannot be relied on."
    if state in (CredentialState.VALID_UNTRUSTED, CredentialState.TRUSTED) and HARD_BINDING_MISMATCH & set(codes):
        text += " They were made for other bytes than this copy has."
    if broken:
        text += f" A source that they name ({', '.join(broken[:3])}) has credentials that do not validate."
    return text


def clean(value: object) -> str | None:
    """Return a stranger's text, safe to store and to show as plain text; None for anything but non-empty text."""
    if not isinstance(value, str) or not value.strip():
        return None
    clipped = value[: MAX_TEXT_CHARS + 1]
    text = "".join("\N{REPLACEMENT CHARACTER}" if unicodedata.category(char)[0] == "C" else char for char in clipped)
    return text if len(text) <= MAX_TEXT_CHARS else text[: MAX_TEXT_CHARS - 1] + "…"


def _state(store: Mapping[str, Any], results: Mapping[str, Any], *, detached: bool) -> CredentialState:
    """Return the overall state; everything that is not understood is INVALID."""
    verdict = store.get("validation_state")
    active = _mapping(results.get("activeManifest"))
    failures = {*_status_codes(active, "failure"), *_delta_failures(results)}
    if detached and verdict == "Invalid":
        intact = "claimSignature.validated" in _status_codes(active, "success")
        if intact and failures and failures <= HARD_BINDING_MISMATCH | {UNTRUSTED}:
            verdict = "Valid" if UNTRUSTED in failures else "Trusted"
    if verdict == "Trusted":
        vouched = _list_that_vouched(active) is not None
        return CredentialState.TRUSTED if vouched else CredentialState.VALID_UNTRUSTED
    return CredentialState.VALID_UNTRUSTED if verdict == "Valid" else CredentialState.INVALID


def _list_that_vouched(results: Mapping[str, Any]) -> str | None:
    """Return the name of the list for claim signers that vouched, "" for our own anchors, None when none did.

    c2pa-rs names the list in brackets in its explanation, which it writes anew at each validation.
    """
    for status in _mappings(results.get("success")):
        if status.get("code") == TRUSTED and (found := _VOUCHED.search(str(status.get("explanation")))):
            return found.group(1) or ""
    return None


def _codes(state: CredentialState, results: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the codes that explain the state: failures, or for a file that holds, what was confirmed."""
    active = _mapping(results.get("activeManifest"))
    failures = (*_status_codes(active, "failure"), *_delta_failures(results))
    if state is CredentialState.TRUSTED and not failures:
        return _unique(code for code in _status_codes(active, "success") if code not in _UNINTERESTING)
    if state is CredentialState.VALID_UNTRUSTED and UNTRUSTED not in failures:
        return _unique((*failures, UNTRUSTED))
    return _unique(failures)


def _delta_failures(results: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the failures of ingredients that today's validation found and the outer signer did not record."""
    return tuple(
        code
        for delta in _mappings(results.get("ingredientDeltas"))
        for code in _status_codes(_mapping(delta.get("validationDeltas")), "failure")
    )


def _ingredient(
    item: Mapping[str, Any],
    manifest_label: str,
    results: Mapping[str, Any],
    tsa_results: Mapping[str, Any] | None,
    unfit: frozenset[str],
) -> CredentialIngredient:
    """Return one ingredient with its own state."""
    state, codes = _ingredient_state(item, manifest_label, results)
    if state is CredentialState.TRUSTED and item.get("active_manifest") in unfit:
        state, codes = CredentialState.VALID_UNTRUSTED, (*codes, UNTRUSTED)
    if state is CredentialState.TRUSTED and tsa_results is not None:
        by_time_stamps, _ = _ingredient_state(item, manifest_label, tsa_results)
        named = any(
            _list_that_vouched(_mapping(delta.get("validationDeltas"))) is not None
            for delta in _mappings(results.get("ingredientDeltas"))
            if delta.get("ingredientAssertionURI") == _assertion_uri(item, manifest_label)
        )
        if by_time_stamps is CredentialState.TRUSTED and not named:
            state, codes = CredentialState.VALID_UNTRUSTED, (*codes, UNTRUSTED)
    return CredentialIngredient(
        title=clean(item.get("title")) or "untitled",
        relationship=clean(item.get("relationship")) or "unknown",
        state=state,
        manifest_label=clean(item.get("active_manifest")),
        codes=codes,
    )


def _ingredient_state(
    item: Mapping[str, Any], manifest_label: str, results: Mapping[str, Any]
) -> tuple[CredentialState, tuple[str, ...]]:
    """Combine what the outer signer recorded with what today's validation found differently."""
    recorded = _mapping(_mapping(item.get("validation_results")).get("activeManifest"))
    failures = {*_status_codes(recorded, "failure"), *_status_codes(item, "validation_status")}
    successes = set(_status_codes(recorded, "success"))
    uri = _assertion_uri(item, manifest_label)
    for delta in _mappings(results.get("ingredientDeltas")):
        if delta.get("ingredientAssertionURI") == uri:
            today = _mapping(delta.get("validationDeltas"))
            new_failures, new_successes = _status_codes(today, "failure"), _status_codes(today, "success")
            if TRUSTED in new_successes:
                failures.discard(UNTRUSTED)
            if UNTRUSTED in new_failures:
                successes.discard(TRUSTED)
            failures.update(new_failures)
            successes.update(new_successes)
    failures = {code for code in failures if not code.startswith("ingredient.unknown")}
    codes = tuple(sorted(failures))
    if failures - {UNTRUSTED}:
        return CredentialState.INVALID, codes
    if not item.get("active_manifest"):
        return CredentialState.NONE, codes
    if TRUSTED in successes and UNTRUSTED not in failures:
        return CredentialState.TRUSTED, codes
    return CredentialState.VALID_UNTRUSTED, codes


def _assertion_uri(item: Mapping[str, Any], manifest_label: str) -> str:
    """Return how c2pa-rs names the assertion of an ingredient."""
    return f"self#jumbf=/c2pa/{manifest_label}/c2pa.assertions/{item.get('label')}"


def _chain(label: str, manifests: Mapping[str, Any], results: Mapping[str, Any]) -> Iterator[_Link]:
    """Yield the active manifest and those of its parents and components, breadth first."""
    queue, seen = [_Link(manifest=_mapping(manifests.get(label)), label=label)], {label}
    while queue and len(seen) <= MAX_ITEMS:
        link = queue.pop(0)
        yield link
        for item in _mappings(link.manifest.get("ingredients")):
            below = item.get("active_manifest")
            if str(item.get("relationship")) not in _CHAIN or (isinstance(below, str) and below in seen):
                continue
            _, codes = _ingredient_state(item, link.label, results)
            known = isinstance(below, str)
            name = str(below) if known else ""
            seen.add(name or f"unknown {len(seen)}")
            queue.append(
                _Link(
                    manifest=_mapping(manifests.get(name)) if known else {},
                    label=name,
                    authentic=link.authentic and known and set(codes) <= HARD_BINDING_MISMATCH | {UNTRUSTED},
                    sound=link.sound and known and set(codes) <= {UNTRUSTED},
                )
            )


def _source_types(chain: Iterable[_Link]) -> tuple[str, ...]:
    """Return every digitalSourceType along the chain, the active manifest's first."""
    return _unique(kind for link in chain for kind in _types_of(link.manifest))


def _types_of(manifest: Mapping[str, Any]) -> Iterator[str]:
    """Yield the source types of a manifest's actions and of ingredients that state one."""
    stated = [action.get("digitalSourceType") for action in _actions(manifest)]
    stated += [item.get("digital_source_type") for item in _mappings(manifest.get("ingredients"))]
    yield from (normalise(kind) for value in stated if (kind := clean(value)) is not None)


def _ai_origin(state: CredentialState, chain: Sequence[_Link]) -> bool | None:
    """Return what the chain states; None when it states nothing, is incomplete, or does not hold."""
    if state not in (CredentialState.VALID_UNTRUSTED, CredentialState.TRUSTED):
        return None  # a transplanted manifest would otherwise put another picture's origin on this one
    stated = [kind for link in chain if link.authentic for kind in _types_of(link.manifest)]
    if any(kind in GENERATIVE for kind in stated):
        return True
    return False if stated and all(link.sound for link in chain) else None


def _actions(manifest: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the actions of a manifest, of claims version 1 and 2."""
    return [
        action
        for assertion in _mappings(manifest.get("assertions"))
        if str(assertion.get("label")).startswith("c2pa.actions")
        for action in _mappings(_mapping(assertion.get("data")).get("actions"))
    ]


def _soft_bindings(manifest: Mapping[str, Any]) -> Iterator[SoftBinding]:
    """Yield the soft bindings of a manifest."""
    for assertion in _mappings(manifest.get("assertions")):
        if str(assertion.get("label")).startswith("c2pa.soft-binding"):
            data = _mapping(assertion.get("data"))
            algorithm = clean(data.get("alg"))
            for block in _mappings(data.get("blocks")):
                value = clean(block.get("value"))
                if algorithm and value:
                    yield SoftBinding(algorithm=algorithm, value=value)


def _signed_at(active: Mapping[str, Any], results: Mapping[str, Any]) -> str | None:
    """Return the time of a trusted time stamp, else the time that the first action claims."""
    confirmed = _status_codes(_mapping(results.get("activeManifest")), "success")
    if "timeStamp.trusted" in confirmed:
        return clean(_mapping(active.get("signature_info")).get("time"))
    return next((when for action in _actions(active) if (when := clean(action.get("when")))), None)


def _generator(active: Mapping[str, Any]) -> str | None:
    """Return name and version of the claim generator."""
    infos = _mappings(active.get("claim_generator_info"))
    return _agent(infos[0]) if infos else clean(active.get("claim_generator"))


def _agent(value: object) -> str | None:
    """Return a software agent as text; version 1 claims hold a string, version 2 a map."""
    if isinstance(value, Mapping):
        parts = (clean(value.get("name")), clean(value.get("version")))
        return " ".join(part for part in parts if part) or None
    return clean(value)


def _status_codes(results: Mapping[str, Any], key: str) -> tuple[str, ...]:
    """Return the codes under ``key``, as recorded."""
    return tuple(str(clean(status.get("code"))) for status in _mappings(results.get(key)))


def _unique(items: Iterable[str]) -> tuple[str, ...]:
    """Return the items once each, in order, at most MAX_ITEMS."""
    return tuple(dict.fromkeys(items))[:MAX_ITEMS]


def _mapping(value: object) -> Mapping[str, Any]:
    """Return a JSON object, or an empty one for anything else."""
    return value if isinstance(value, Mapping) else {}


def _mappings(value: object) -> list[Mapping[str, Any]]:
    """Return the objects of a JSON array, or none."""
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []
