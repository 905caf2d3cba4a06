"""An oracle for the asset rubrics of the C2PA conformance programme 0.2, specification 2.4, over crJSON.

Our own code after the official rules (c2pa-org/conformance-public, asset-rubrics/, 2026-08-06, CC BY 4.0): ``RULES``
has one entry for each rule of asset-rubric-conformance0.2-spec2.4 and asset-rubric-integrity, under its official id;
``SIGNALS`` those of asset-rubric-signals-local that say how a picture came to be. A rule returns what is wrong, so an
empty list means passed.
"""

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

Manifest: TypeAlias = dict[str, Any]
Rule: TypeAlias = Callable[[Manifest], list[Any]]

EXPECTED_VERSION = (2, 4)
INCEPTION = {"c2pa.created", "c2pa.opened"}
NON_EDITORIAL = {
    *("c2pa.converted", "c2pa.published", "c2pa.repackaged", "c2pa.transcoded", "c2pa.resized.proportional"),
    *("c2pa.enhanced", "c2pa.edited.metadata", "c2pa.redacted"),
    *("c2pa.watermarked", "c2pa.watermarked.bound", "c2pa.watermarked.unbound"),
}
PERCEPTIBLE_WITHOUT_TYPE = {"c2pa.placed"}
MALFORMED = {
    *("assertion.action.malformed", "assertion.bmffHash.malformed", "assertion.boxesHash.malformed"),
    *("assertion.collectionHash.malformed", "assertion.dataHash.malformed", "assertion.external-reference.malformed"),
    *("assertion.external-reference.labelMismatch", "assertion.external-reference.created"),
    *("assertion.ingredient.malformed", "assertion.alternativeContentRepresentation.malformed"),
    *("assertion.alternativeContentRepresentation.missing", "assertion.multiAssetHash.malformed"),
    *("assertion.cbor.invalid", "assertion.json.invalid", "claim.cbor.invalid", "claim.hardBindings.missing"),
    *("claim.malformed", "claim.missing", "claim.multiple", "hashedURI.missing", "ingredient.manifest.missing"),
    *("assertion.boxesHash.unknownBox", "assertion.multipleHardBindings", "manifest.compressed.invalid"),
    *("manifest.html.multipleManifests", "manifest.inaccessible", "manifest.multipleParents"),
    *("manifest.structuredText.emptyReference", "manifest.structuredText.malformedReference"),
    *("manifest.structuredText.multipleReferences", "manifest.structuredText.noManifest"),
    *("manifest.structuredText.noResolutionPath", "manifest.timestamp.invalid", "manifest.timestamp.wrongParents"),
    *("manifest.update.invalid", "manifest.update.wrongParents"),
}
MISMATCHED = {
    *("assertion.action.ingredientMismatch", "assertion.action.redactionMismatch", "assertion.bmffHash.mismatch"),
    *("assertion.boxesHash.mismatch", "assertion.collectionHash.mismatch", "assertion.dataHash.mismatch"),
    *("assertion.external-reference.hashMismatch", "assertion.alternativeContentRepresentation.hashMismatch"),
    *("assertion.multiAssetHash.mismatch", "assertion.hashedURI.mismatch", "assertion.hardBinding.redacted"),
    *("hashedURI.mismatch", "ingredient.manifest.mismatch", "ingredient.claimSignature.missing"),
    *("ingredient.claimSignature.mismatch", "claimSignature.missing"),
}
DISTRUSTED = {
    *("claimSignature.mismatch", "claimSignature.outsideValidity", "signingCredential.invalid"),
    *("signingCredential.ocsp.revoked", "signingCredential.untrusted"),
}
ASSERTIONS = {
    *("c2pa.hash.data", "c2pa.hash.data.part", "c2pa.actions.v2", "c2pa.ingredient.v3", "c2pa.hash.boxes"),
    *("c2pa.hash.bmff.v3", "c2pa.hash.collection.data", "c2pa.soft-binding", "c2pa.cloud-data", "c2pa.embedded-data"),
    *("c2pa.metadata", "c2pa.certificate-status", "c2pa.asset-ref", "c2pa.asset-type.v2", "c2pa.hash.multi-asset"),
    *("c2pa.thumbnail.claim", "c2pa.thumbnail.ingredient", "c2pa.depthmap.GDepth", "c2pa.icon"),
    *("c2pa.alternative-content-representation", "c2pa.external-reference", "c2pa.session-keys"),
    *("c2pa.environmental-sustainability", "c2pa.repository-receipt", "c2pa.ai-disclosure", "c2pa.assertion.metadata"),
    "c2pa.time-stamp",
}
DEPRECATED_ASSERTIONS = {
    *("c2pa.claim", "c2pa.hash.bmff.v2", "c2pa.asset-type", "c2pa.ingredient", "c2pa.ingredient.v2", "c2pa.actions"),
}
ACTIONS = {
    *("c2pa.addedText", "c2pa.adjustedColor", "c2pa.changedSpeed", "c2pa.color_adjustments", "c2pa.converted"),
    *("c2pa.created", "c2pa.cropped", "c2pa.deleted", "c2pa.drawing", "c2pa.dubbed", "c2pa.edited"),
    *("c2pa.edited.metadata", "c2pa.enhanced", "c2pa.filtered", "c2pa.mastered", "c2pa.mixed", "c2pa.opened"),
    *("c2pa.orientation", "c2pa.placed", "c2pa.published", "c2pa.redacted", "c2pa.remixed", "c2pa.removed"),
    *("c2pa.repackaged", "c2pa.resized", "c2pa.resized.proportional", "c2pa.transcoded", "c2pa.translated"),
    *("c2pa.trimmed", "c2pa.unknown", "c2pa.watermarked", "c2pa.watermarked.bound", "c2pa.watermarked.unbound"),
}
DEPRECATED_ACTIONS = {
    *("c2pa.copied", "c2pa.formatted", "c2pa.version_updated", "c2pa.printed", "c2pa.managed", "c2pa.produced"),
    *("c2pa.saved", "c2pa.color_adjustments", "c2pa.watermarked"),
}
PARAMETERS = {
    *("redacted", "ingredients", "ingredient", "description", "relatedAssertions", "sourceLanguage", "targetLanguage"),
    *("multipleInstances", "ranges", "weight", "width", "italic", "slant", "optical-size"),
}
RELATIONSHIPS = {"parentOf", "inputTo", "componentOf"}
FORBIDDEN_REFERENCES = ("c2pa.actions", "c2pa.cloud-data", "c2pa.external-reference", "c2pa.hash", "c2pa.ingredient")
IPTC, C2PA = "http://cv.iptc.org/newscodes/digitalsourcetype/", "http://c2pa.org/digitalsourcetype/"
GENERATIVE = {
    IPTC + "trainedAlgorithmicMedia",
    IPTC + "compositeWithTrainedAlgorithmicMedia",
    IPTC + "compositeSynthetic",
    C2PA + "trainedAlgorithmicData",
}


def assertions(m: Manifest) -> dict[str, Any]:
    found: dict[str, Any] = m.get("assertions") or {}
    return found


def bodies(m: Manifest) -> list[dict[str, Any]]:
    return [body for body in assertions(m).values() if isinstance(body, dict)]


def actions(m: Manifest) -> list[dict[str, Any]]:
    return [action for body in bodies(m) for action in body.get("actions") or ()]


def ingredients(m: Manifest) -> list[dict[str, Any]]:
    return [body for body in bodies(m) if body.get("relationship") is not None]


def failures(m: Manifest, codes: set[str]) -> list[str]:
    results = m.get("validationResults")
    if results is None:
        return ["MISSING_VALIDATION_RESULTS"]
    return [status["code"] for status in results.get("failure") or () if status["code"] in codes]


def claim(m: Manifest) -> dict[str, Any]:
    found: dict[str, Any] = m.get("claim.v2") or {}
    return found


def spec_version(m: Manifest) -> list[Any]:
    info = claim(m).get("claim_generator_info") or {}
    version = (info[0] if isinstance(info, list) else info).get("specVersion")
    parts = str(version).split(".")
    return [] if parts[:2] == [str(number) for number in EXPECTED_VERSION] else [version or "missing"]


def inception(m: Manifest) -> list[Any]:
    urls = [item["url"] for item in claim(m).get("created_assertions") or () if "c2pa.actions" in item["url"]]
    done = actions(m)
    first = bool(urls) and urls[0].endswith("c2pa.actions.v2")
    created = any(action["action"] == "c2pa.created" for action in done)
    return [] if first and (not created or done[0]["action"] in INCEPTION) else [urls, done[:1]]


def preservation(m: Manifest) -> Iterator[dict[str, Any]]:
    for body in bodies(m):
        given = body.get("parameters") or {}
        if "exif.originalPreservationImage" in (body.get("type"), given.get("type")):
            choices = ("multiAssetPartIndex", "embeddedOriginalPreservationImage")
            if sum(given.get(name) is not None for name in choices) != 1:
                yield body


RULES: dict[str, Rule] = {
    "mandatory_dst_for_perceptible_transformations": lambda m: [
        a["action"]
        for a in actions(m)
        if a["action"].startswith("c2pa.")
        and a["action"] not in INCEPTION | NON_EDITORIAL | PERCEPTIBLE_WITHOUT_TYPE
        and a.get("digitalSourceType") is None
    ],
    "mandatory_spec_version": spec_version,
    "mandatory_all_actions_included": lambda m: [
        body for body in bodies(m) if body.get("actions") is not None and body.get("allActionsIncluded") is None
    ],
    "no_dst_for_opened_action": lambda m: [
        a for a in actions(m) if a["action"] == "c2pa.opened" and a.get("digitalSourceType") is not None
    ],
    "well_formed_data_present": lambda m: [] if m.get("validationResults") is not None else ["missing"],
    "well_formed_success": lambda m: failures(m, MALFORMED),
    "valid_data_present": lambda m: [] if m.get("validationResults") is not None else ["missing"],
    "valid_success": lambda m: failures(m, MISMATCHED),
    "trusted_data_present": lambda m: [] if m.get("validationResults") is not None else ["missing"],
    "trusted_success": lambda m: failures(m, DISTRUSTED),
    "inception_action_position": inception,
    "no_deprecated_assertions": lambda m: [
        label for label in assertions(m) if label.startswith("stds.") or label in DEPRECATED_ASSERTIONS
    ],
    "no_unsupported_assertions": lambda m: [
        label
        for label in assertions(m)
        if label.startswith("c2pa.") and label.split("__")[0] not in ASSERTIONS | DEPRECATED_ASSERTIONS
    ],
    "no_deprecated_actions": lambda m: [a["action"] for a in actions(m) if a["action"] in DEPRECATED_ACTIONS],
    "no_unsupported_actions": lambda m: [
        a["action"] for a in actions(m) if a["action"].startswith("c2pa.") and a["action"] not in ACTIONS
    ],
    "no_unrecognized_custom_assertions": lambda m: [label for label in assertions(m) if "." not in label],
    "no_unrecognized_custom_actions": lambda m: [a["action"] for a in actions(m) if "." not in a["action"]],
    "no_unrecognized_custom_action_parameters": lambda m: [
        name for a in actions(m) for name in a.get("parameters") or () if name not in PARAMETERS and "." not in name
    ],
    "discouraged_legacy_action_parameters": lambda m: [
        a["action"] for a in actions(m) if {"description", "ingredient"} & set(a.get("parameters") or ())
    ],
    "active_manifest_urn": lambda m: [] if str(m.get("label")).startswith("urn:c2pa:") else [m.get("label")],
    "review_ratings_datasource": lambda m: [
        body
        for body in bodies(m)
        if body.get("reviewRatings") is not None
        and (body.get("dataSource") or {}).get("type") in ("humanEntry.anonymous", "humanEntry.credentialed")
    ],
    "ingredient_v3_no_active_manifest": lambda m: [
        i for i in ingredients(m) if i.get("activeManifest") is None and i.get("validationResults") is not None
    ],
    "ingredient_v3_mandatory_validation_results": lambda m: [
        i for i in ingredients(m) if i.get("activeManifest") is not None and i.get("validationResults") is None
    ],
    "ingredient_relationship_values": lambda m: [
        i["relationship"] for i in ingredients(m) if i["relationship"] not in RELATIONSHIPS
    ],
    "mandatory_dst_for_created_action": lambda m: [
        a for a in actions(m) if a["action"] == "c2pa.created" and a.get("digitalSourceType") is None
    ],
    "no_deprecated_claim_fields": lambda m: ["specVersion in claim"] if claim(m).get("specVersion") else [],
    "ingredient_v3_choice": lambda m: [
        i for i in ingredients(m) if i.get("activeManifest") is not None and i.get("digitalSourceType") is not None
    ],
    "alternative_content_representation_choice": lambda m: list(preservation(m)),
    "forbidden_labels_in_external_references": lambda m: [
        body["label"]
        for body in bodies(m)
        if body.get("url") is not None
        and body.get("relationship") is None
        and str(body.get("label", "")).startswith(FORBIDDEN_REFERENCES)
    ],
    "no_url_in_hashes": lambda m: [
        label
        for label in ("c2pa.hash.data", "c2pa.hash.bmff.v3")
        if (assertions(m).get(label) or {}).get("url") is not None
    ],
    "all_actions_included_opened": lambda m: [
        a
        for a in actions(m)
        if len(actions(m)) == 1
        and a["action"] == "c2pa.opened"
        and (assertions(m).get("c2pa.actions.v2") or {}).get("allActionsIncluded") is not True
    ],
    "opened_action_ingredient_reference": lambda m: [
        a
        for a in actions(m)
        if a["action"] == "c2pa.opened" and len((a.get("parameters") or {}).get("ingredients") or ()) != 1
    ],
    "no_box_hash_for_tiff": lambda m: [
        "c2pa.hash.boxes"
        for _ in (1,)
        if "c2pa.hash.boxes" in assertions(m)
        and (assertions(m).get("c2pa.asset-type.v2") or {}).get("dc:format") in ("image/tiff", "image/x-adobe-dng")
    ],
}


def standard_actions(m: Manifest) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (assertions(m).get("c2pa.actions.v2") or {}).get("actions") or []
    return found


def inceptions(m: Manifest) -> set[str]:
    return {str(a.get("digitalSourceType")) for a in standard_actions(m) if a.get("action") in INCEPTION}


def perceptible(m: Manifest) -> list[str]:
    silent = INCEPTION | NON_EDITORIAL
    return [str(a["digitalSourceType"]) for a in standard_actions(m) if a["action"] not in silent]


SIGNALS: dict[str, Callable[[Manifest], bool]] = {
    "fullyGenAIMedia": lambda m: IPTC + "trainedAlgorithmicMedia" in inceptions(m),
    "partlyGenAICreation": lambda m: IPTC + "compositeWithTrainedAlgorithmicMedia" in inceptions(m),
    "capturedMedia": lambda m: bool({IPTC + "digitalCapture", IPTC + "computationalCapture"} & inceptions(m)),
    "mediaUnknownProvenance": lambda m: (
        "c2pa.ingredient.v3" in assertions(m) and assertions(m)["c2pa.ingredient.v3"].get("activeManifest") is None
    ),
    "perceptibleGenAI": lambda m: any(kind in GENERATIVE for kind in perceptible(m)),
    "perceptibleNonGenAI": lambda m: any(kind not in GENERATIVE for kind in perceptible(m)),
    "nonEditorial": lambda m: any(a["action"] in NON_EDITORIAL for a in standard_actions(m)),
    "ambiguousActions": lambda m: (
        not standard_actions(m)
        or assertions(m)["c2pa.actions.v2"].get("allActionsIncluded") is not True
        or any(not a["action"].startswith("c2pa.") or a["action"] == "c2pa.unknown" for a in standard_actions(m))
        or any("c2pa.actions" in item["url"] for item in claim(m).get("gathered_assertions") or ())
    ),
}


def violations(manifest: Manifest) -> dict[str, list[Any]]:
    """Every rule that a manifest breaks, with what breaks it."""
    return {name: found for name, rule in RULES.items() if (found := rule(manifest))}


def signals(manifest: Manifest) -> set[str]:
    """What a viewer should say about a manifest."""
    return {name for name, holds in SIGNALS.items() if holds(manifest)}
