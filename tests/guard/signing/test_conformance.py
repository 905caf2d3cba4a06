"""Every kind of manifest passes every rule of the official rubrics, in every container; the signals are right."""

import io
import json
from typing import Any

import pytest
from PIL import Image

from guard.credentials import CredentialState
from guard.errors import RequestError
from guard.provenance.containers import SIGNABLE
from guard.provenance.crjson import read_crjson
from guard.provenance.manifest import DISCLOSURE_LABEL, PROMPT_LABEL, EditOperation, ManifestKind
from guard.provenance.native import reading_settings
from guard.provenance.source_types import TRAINED_ALGORITHMIC_MEDIA
from guard.records import ImageFormat, LabelMode
from tests.guard.provenance.media_files import FILES
from tests.guard.provenance.rubric import IPTC, RULES, Manifest, signals, violations
from tests.guard.provenance.support import Identity, flipped
from tests.guard.signing.bench import Bench, file

GENERATED, EDITED, IMPORTED = ManifestKind.GENERATED, ManifestKind.EDITED, ManifestKind.IMPORTED
CASES: dict[str, tuple[ManifestKind, str, dict[str, Any], set[str]]] = {
    "generated": (GENERATED, "plain", {}, {"fullyGenAIMedia", "nonEditorial"}),
    "generated, unmarked": (GENERATED, "plain", {"mark": False}, {"fullyGenAIMedia"}),
    "generated, labelled": (
        GENERATED,
        "plain",
        {"label": LabelMode.GENERATED},
        {"fullyGenAIMedia", "nonEditorial", "perceptibleNonGenAI"},
    ),
    "generated, with prompt": (
        GENERATED,
        "plain",
        {"prompt": "a cat", "negative_prompt": "a dog"},
        {"fullyGenAIMedia", "nonEditorial"},
    ),
    **{
        operation.value: (
            EDITED,
            "plain",
            {"edit": operation, "parent": file("rocket")},
            {"perceptibleGenAI", "mediaUnknownProvenance", "nonEditorial"},
        )
        for operation in EditOperation
    },
    "edited, labelled": (
        EDITED,
        "plain",
        {"label": LabelMode.MODIFIED, "parent": file("rocket")},
        {"perceptibleGenAI", "perceptibleNonGenAI", "mediaUnknownProvenance", "nonEditorial"},
    ),
    "edited, parent signed": (EDITED, "foreign parent", {}, {"perceptibleGenAI", "nonEditorial"}),
    "edited, parent broken": (EDITED, "broken parent", {}, {"perceptibleGenAI", "nonEditorial"}),
    "imported": (IMPORTED, "plain", {}, {"mediaUnknownProvenance", "nonEditorial"}),
    "imported, converted": (
        IMPORTED,
        "plain",
        {"media_type": "image/jpeg"},
        {"mediaUnknownProvenance", "nonEditorial"},
    ),
    "imported, unmarked": (IMPORTED, "plain", {"mark": False}, {"mediaUnknownProvenance"}),
    "imported from a generator": (
        IMPORTED,
        "plain",
        {"source_type": TRAINED_ALGORITHMIC_MEDIA},
        {"mediaUnknownProvenance", "nonEditorial"},
    ),
    "imported with credentials": (IMPORTED, "foreign", {"mark": False}, set()),
    "imported, marked before": (IMPORTED, "ours", {}, set()),
    "imported, prompt redacted": (IMPORTED, "ours with prompt", {"redact": (PROMPT_LABEL,)}, {"nonEditorial"}),
}


@pytest.fixture(scope="module")
def stores(bench: Bench, foreign: Identity) -> dict[str, list[Manifest]]:
    """All manifests of each case's file, the active one first."""
    theirs = foreign.signed()
    data = {
        "plain": file("coffee"),
        "foreign": theirs,
        "ours": bench.sign(file("coffee"), GENERATED).data,
        "ours with prompt": bench.sign(file("coffee"), GENERATED, prompt="a secret").data,
    }
    parents = {"foreign parent": theirs, "broken parent": flipped(theirs, len(theirs) - 40)}
    found = {}
    for name, (kind, source, options, _) in CASES.items():
        parent = {"parent": parents[source]} if source in parents else {}
        found[name] = manifests(bench, bench.sign(data.get(source, data["plain"]), kind, **options, **parent).data)
    return found


def manifests(bench: Bench, data: bytes) -> list[Manifest]:
    text = read_crjson(data, reading_settings(bench.identity.keys.anchors))
    assert text is not None
    found: list[Manifest] = json.loads(text)["manifests"]
    return found


@pytest.mark.parametrize("name", CASES)
def test_every_rule_of_the_rubrics_passes(stores: dict[str, list[Manifest]], name: str) -> None:
    assert violations(stores[name][0]) == {}


@pytest.mark.parametrize("name", CASES)
def test_viewers_get_the_right_signals(stores: dict[str, list[Manifest]], name: str) -> None:
    assert signals(stores[name][0]) == CASES[name][3]


@pytest.mark.parametrize("media_type", SIGNABLE)
def test_every_container_passes_and_is_trusted(bench: Bench, media_type: str) -> None:
    signed = bench.sign(FILES[media_type], mark=False)
    assert (signed.media_type, signed.credential.state) == (media_type, CredentialState.TRUSTED)
    assert violations(manifests(bench, signed.data)[0]) == {}


@pytest.mark.parametrize("media_type", ["image/tiff", "image/avif"])
def test_other_picture_formats_are_marked_too(bench: Bench, media_type: str) -> None:
    signed = bench.sign(file("coffee"), GENERATED, media_type=media_type)
    assert signed.reading is not None
    assert violations(manifests(bench, signed.data)[0]) == {}
    assert Image.open(io.BytesIO(signed.data)).size == (320, 320)


def test_the_edit_says_what_was_done(stores: dict[str, list[Manifest]]) -> None:
    said = set()
    for operation in EditOperation:
        opened, edited, *_ = stores[operation.value][0]["assertions"]["c2pa.actions.v2"]["actions"]
        assert (opened["action"], edited["action"]) == ("c2pa.opened", "c2pa.edited")
        assert edited["digitalSourceType"] == IPTC + "compositeWithTrainedAlgorithmicMedia"
        said.add(edited["description"])
    assert len(said) == len(EditOperation)


def test_how_an_import_was_made_is_stated_of_the_ingredient(stores: dict[str, list[Manifest]], bench: Bench) -> None:
    ingredient = stores["imported from a generator"][0]["assertions"]["c2pa.ingredient.v3"]
    assert ingredient["digitalSourceType"] == TRAINED_ALGORITHMIC_MEDIA
    report = bench.sign(file("coffee"), source_type=TRAINED_ALGORITHMIC_MEDIA).credential
    assert report.ai_origin is True


def test_prompts_are_absent_unless_given_and_gone_after_redaction(stores: dict[str, list[Manifest]]) -> None:
    assert [name for name in CASES if PROMPT_LABEL in stores[name][0]["assertions"]] == ["generated, with prompt"]
    stated = stores["generated, with prompt"][0]["assertions"][PROMPT_LABEL]
    assert stated == {"version": 1, "prompt": "a cat", "negativePrompt": "a dog"}
    successor, original = stores["imported, prompt redacted"]
    assert PROMPT_LABEL not in original["assertions"]
    assert DISCLOSURE_LABEL in original["assertions"], "nothing else went with it"
    redacted = successor["assertions"]["c2pa.actions.v2"]["actions"][1]
    assert (redacted["action"], redacted["reason"]) == ("c2pa.redacted", "c2pa.PII.present")
    assert "a secret" not in json.dumps([successor, original])


def test_only_a_files_own_manifest_can_be_redacted(bench: Bench) -> None:
    with pytest.raises(RequestError, match="nothing to redact"):
        bench.sign(file("coffee"), redact=(PROMPT_LABEL,))


def test_a_source_type_does_not_compete_with_credentials(bench: Bench, foreign: Identity) -> None:
    with pytest.raises(RequestError, match="own credentials say"):
        bench.sign(foreign.signed(), mark=False, source_type=TRAINED_ALGORITHMIC_MEDIA)
    with pytest.raises(RequestError, match="unknown"):
        bench.sign(file("coffee"), source_type="banana")


@pytest.mark.parametrize("name", sorted(RULES))
def test_each_rule_can_fail(stores: dict[str, list[Manifest]], name: str) -> None:
    """A rule that nothing can break proves nothing."""
    assert RULES[name](BROKEN[name](json.loads(json.dumps(stores["edited"][0])))), name


def _with(path: str, value: Any) -> Any:
    def change(manifest: Manifest) -> Manifest:
        place: Any = manifest
        *way, last = path.split("/")
        for step in way:
            place = place[int(step)] if isinstance(place, list) else place.setdefault(step, {})
        if isinstance(place, list):
            place.insert(int(last), value)
        else:
            place[last] = value
        return manifest

    return change


def _failing(code: str) -> Any:
    return _with("validationResults/failure", [{"code": code}])


_ACTIONS = "assertions/c2pa.actions.v2/actions"
BROKEN: dict[str, Any] = {
    "mandatory_dst_for_perceptible_transformations": _with(f"{_ACTIONS}/1", {"action": "c2pa.drawing"}),
    "mandatory_spec_version": _with("claim.v2/claim_generator_info", {"specVersion": "2.2.0"}),
    "mandatory_all_actions_included": _with("assertions/c2pa.actions.v2/allActionsIncluded", None),
    "no_dst_for_opened_action": _with(f"{_ACTIONS}/0", {"action": "c2pa.opened", "digitalSourceType": "x"}),
    "well_formed_data_present": _with("validationResults", None),
    "well_formed_success": _failing("claim.missing"),
    "valid_data_present": _with("validationResults", None),
    "valid_success": _failing("assertion.dataHash.mismatch"),
    "trusted_data_present": _with("validationResults", None),
    "trusted_success": _failing("signingCredential.untrusted"),
    "inception_action_position": _with("claim.v2/created_assertions", []),
    "no_deprecated_assertions": _with("assertions/stds.exif", {}),
    "no_unsupported_assertions": _with("assertions/c2pa.invented", {}),
    "no_deprecated_actions": _with(f"{_ACTIONS}/1", {"action": "c2pa.watermarked"}),
    "no_unsupported_actions": _with(f"{_ACTIONS}/1", {"action": "c2pa.invented"}),
    "no_unrecognized_custom_assertions": _with("assertions/plain", {}),
    "no_unrecognized_custom_actions": _with(f"{_ACTIONS}/1", {"action": "plain"}),
    "no_unrecognized_custom_action_parameters": _with(f"{_ACTIONS}/1/parameters", {"plain": 1}),
    "discouraged_legacy_action_parameters": _with(f"{_ACTIONS}/1/parameters", {"description": "x"}),
    "active_manifest_urn": _with("label", "urn:uuid:1"),
    "review_ratings_datasource": _with(
        "assertions/org.example.x", {"reviewRatings": [1], "dataSource": {"type": "humanEntry.anonymous"}}
    ),
    "ingredient_v3_no_active_manifest": _with("assertions/c2pa.ingredient.v3/validationResults", {}),
    "ingredient_v3_mandatory_validation_results": _with("assertions/c2pa.ingredient.v3/activeManifest", {}),
    "ingredient_relationship_values": _with("assertions/c2pa.ingredient.v3/relationship", "friendOf"),
    "mandatory_dst_for_created_action": _with(f"{_ACTIONS}/1", {"action": "c2pa.created"}),
    "no_deprecated_claim_fields": _with("claim.v2/specVersion", "2.4"),
    "ingredient_v3_choice": _with(
        "assertions/c2pa.ingredient.v3",
        {"relationship": "parentOf", "activeManifest": {}, "digitalSourceType": "x", "validationResults": {}},
    ),
    "alternative_content_representation_choice": _with(
        "assertions/org.example.x", {"type": "exif.originalPreservationImage"}
    ),
    "forbidden_labels_in_external_references": _with(
        "assertions/c2pa.external-reference", {"label": "c2pa.hash.data", "url": "x"}
    ),
    "no_url_in_hashes": _with("assertions/c2pa.hash.data/url", "x"),
    "all_actions_included_opened": _with(
        "assertions/c2pa.actions.v2", {"actions": [{"action": "c2pa.opened"}], "allActionsIncluded": False}
    ),
    "opened_action_ingredient_reference": _with(f"{_ACTIONS}/0/parameters", {}),
    "no_box_hash_for_tiff": lambda m: _with("assertions/c2pa.hash.boxes", {})(
        _with("assertions/c2pa.asset-type.v2", {"dc:format": "image/tiff"})(m)
    ),
}


def test_the_pipeline_formats_are_among_the_containers() -> None:
    assert {image_format.media_type for image_format in ImageFormat} <= set(SIGNABLE) <= set(FILES)
