"""The verdict rules on hand-made stores: what a hostile or odd store may not achieve."""

import copy
import unicodedata
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.credentials import CredentialState
from guard.provenance.describe import MAX_ITEMS, MAX_TEXT_CHARS, clean, describe_store
from guard.provenance.source_types import IPTC
from guard.provenance.trust import MANIFEST_LIST, TSA_LIST

GENERATED = IPTC + "trainedAlgorithmicMedia"
CAPTURED = IPTC + "digitalCapture"


def status(code: str, explanation: str = "") -> dict[str, str]:
    return {"code": code, "url": "self#jumbf=/c2pa/outer/c2pa.signature", "explanation": explanation}


def store(**results: Any) -> dict[str, Any]:
    """A trusted store with one action."""
    vouched = f"signing certificate trusted, found in [{MANIFEST_LIST}] trust anchors"
    return {
        "active_manifest": "outer",
        "manifests": {
            "outer": {
                "claim_generator_info": [{"name": "Tool", "version": "1"}],
                "assertions": [
                    {
                        "label": "c2pa.actions.v2",
                        "data": {"actions": [{"action": "c2pa.created", "digitalSourceType": GENERATED}]},
                    }
                ],
                "signature_info": {"issuer": "Org", "common_name": "Signer"},
            }
        },
        "validation_state": "Trusted",
        "validation_results": {
            "activeManifest": {"success": [status("signingCredential.trusted", vouched)], "failure": []},
            **results,
        },
    }


def with_parent(outer_type: str | None, parent_type: str, **parent: Any) -> dict[str, Any]:
    made = store()
    outer = made["manifests"]["outer"]
    action: dict[str, Any] = {"action": "c2pa.opened"} | ({"digitalSourceType": outer_type} if outer_type else {})
    outer["assertions"][0]["data"]["actions"] = [action]
    outer["ingredients"] = [
        {"title": "p", "relationship": "parentOf", "active_manifest": "inner", "label": "c2pa.ingredient.v3", **parent}
    ]
    made["manifests"]["inner"] = {
        "assertions": [{"label": "c2pa.actions", "data": {"actions": [{"digitalSourceType": parent_type}]}}]
    }
    return made


def test_the_hand_made_store_is_trusted() -> None:
    report = describe_store(store())
    assert report.state is CredentialState.TRUSTED
    assert (report.signer, report.generator, report.ai_origin) == ("Signer", "Tool 1", True)


@pytest.mark.parametrize(
    "explanation",
    ["", "found in [system_anchors] trust anchors", f"found in [{TSA_LIST}] trust anchors", MANIFEST_LIST],
)
def test_trust_by_any_other_list_is_no_trust(explanation: str) -> None:
    made = store()
    made["validation_results"]["activeManifest"]["success"] = [status("signingCredential.trusted", explanation)]
    made["validation_results"]["trustListUri"] = MANIFEST_LIST  # may speak of an ingredient's signer
    report = describe_store(made)
    assert report.state is CredentialState.VALID_UNTRUSTED
    assert "signingCredential.untrusted" in report.codes


@pytest.mark.parametrize("state", ["Invalid", "invalid", "TRUSTED", "Ok", None, 1, ["Trusted"]])
def test_only_the_two_good_words_are_good(state: object) -> None:
    made = store()
    made["validation_state"] = state
    assert describe_store(made).state is CredentialState.INVALID


def test_invalid_with_an_empty_failure_list_stays_invalid() -> None:
    """Public test file E-uri-CIE-sig-CA: the failure stands in the ingredient deltas only."""
    delta = {
        "ingredientAssertionURI": "self#jumbf=/c2pa/outer/c2pa.assertions/c2pa.ingredient.v3",
        "validationDeltas": {"failure": [status("claimSignature.mismatch")]},
    }
    made = store(ingredientDeltas=[delta])
    made["validation_state"] = "Invalid"
    report = describe_store(made)
    assert report.state is CredentialState.INVALID
    assert report.codes == ("claimSignature.mismatch",)


def test_version_1_ingredients_record_failures_elsewhere() -> None:
    made = with_parent(None, CAPTURED, validation_status=[status("assertion.dataHash.mismatch")])
    report = describe_store(made)
    assert report.ingredients[0].state is CredentialState.INVALID
    assert "signet.ingredient.invalid" in report.codes


@pytest.mark.parametrize(
    ("outer", "parent", "relationship", "origin"),
    [
        (None, GENERATED, "parentOf", True),
        (CAPTURED, GENERATED, "parentOf", True),
        (CAPTURED, GENERATED, "componentOf", True),
        (CAPTURED, GENERATED, "inputTo", False),
        (None, CAPTURED, "parentOf", False),
        (None, "https" + GENERATED[4:] + "/", "parentOf", True),
    ],
)
def test_ai_origin_follows_what_became_part_of_the_picture(
    outer: str | None, parent: str, relationship: str, origin: bool
) -> None:
    assert describe_store(with_parent(outer, parent, relationship=relationship)).ai_origin is origin


@pytest.mark.parametrize("outer", [None, CAPTURED])
def test_a_source_without_credentials_leaves_the_origin_open(outer: str | None) -> None:
    """The signer may say what it did itself; what the picture was before is unknown."""
    assert describe_store(with_parent(outer, GENERATED, active_manifest=None)).ai_origin is None
    assert describe_store(with_parent(GENERATED, CAPTURED, active_manifest=None)).ai_origin is True


def test_a_parent_with_changed_statements_counts_for_nothing() -> None:
    broken = {"activeManifest": {"failure": [status("assertion.hashedURI.mismatch")]}}
    assert describe_store(with_parent(None, GENERATED, validation_results=broken)).ai_origin is None
    assert describe_store(with_parent(CAPTURED, CAPTURED, validation_results=broken)).ai_origin is None


def test_statements_of_an_invalid_file_are_listed_but_not_believed() -> None:
    made = store()
    made["validation_state"] = "Invalid"
    report = describe_store(made)
    assert report.source_types == (GENERATED,)
    assert report.ai_origin is None


def test_a_circle_of_ingredients_ends() -> None:
    made = with_parent(None, GENERATED)
    made["manifests"]["inner"]["ingredients"] = [
        {"title": "back", "relationship": "parentOf", "active_manifest": "outer"}
    ]
    assert describe_store(made).ai_origin is True


@pytest.mark.parametrize("odd", [[], {}, 1, None, ["parentOf"]])
@pytest.mark.parametrize("field", ["relationship", "active_manifest", "label", "title", "validation_results"])
def test_ingredients_with_odd_fields_are_described(field: str, odd: object) -> None:
    made = with_parent(None, GENERATED, **{"relationship": "parentOf", field: odd})
    assert len(describe_store(made).ingredients) == 1


def test_lists_are_bounded() -> None:
    made = store()
    made["manifests"]["outer"]["ingredients"] = [{"title": str(i), "relationship": "x"} for i in range(5000)]
    made["manifests"]["outer"]["assertions"][0]["data"]["actions"] = [
        {"action": "c2pa.created", "softwareAgent": f"agent {i}", "digitalSourceType": f"http://x/{i}"}
        for i in range(5000)
    ]
    report = describe_store(made)
    assert len(report.ingredients) == len(report.software_agents) == len(report.source_types) == MAX_ITEMS


@pytest.mark.parametrize("detached", [False, True])
@pytest.mark.parametrize(
    ("failures", "expected"),
    [
        (["assertion.dataHash.mismatch"], CredentialState.TRUSTED),
        (["assertion.dataHash.mismatch", "signingCredential.untrusted"], CredentialState.VALID_UNTRUSTED),
        (["assertion.dataHash.mismatch", "assertion.hashedURI.mismatch"], CredentialState.INVALID),
        (["signingCredential.expired"], CredentialState.INVALID),
        ([], CredentialState.INVALID),
    ],
)
def test_only_a_detached_manifest_is_forgiven_and_only_its_data_hash(
    failures: list[str], expected: CredentialState, detached: bool
) -> None:
    made = store()
    active = made["validation_results"]["activeManifest"]
    active["success"].append(status("claimSignature.validated"))
    active["failure"] = [status(code) for code in failures]
    made["validation_state"] = "Invalid"
    assert describe_store(made, detached=detached).state is (expected if detached else CredentialState.INVALID)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=20,
)


@settings(deadline=None)
@given(junk=JSON, path=st.lists(st.integers(0, 3), max_size=6))
def test_any_json_anywhere_gives_a_report(junk: Any, path: list[int]) -> None:
    """Replace some part of a good store by anything at all: no exception, and no trust without c2pa-rs's word."""
    made = with_parent(None, GENERATED)
    place: Any = made
    for step in path:
        if isinstance(place, (dict, list)) and place:
            key = (list(place) if isinstance(place, dict) else range(len(place)))[step % len(place)]
            if isinstance(place[key], (dict, list)):
                place = place[key]
            else:
                place[key] = copy.deepcopy(junk)
    if isinstance(place, dict) and place:
        place[next(iter(place))] = junk
    report = describe_store(made)
    if report.state is CredentialState.TRUSTED:
        assert made["validation_state"] == "Trusted"


@given(st.dictionaries(st.text(max_size=10), JSON, max_size=5))
def test_a_store_of_anything_is_invalid(made: dict[str, Any]) -> None:
    assert describe_store(made).state is CredentialState.INVALID


@given(st.text(max_size=400))
def test_texts_of_strangers_are_tamed(text: str) -> None:
    tame = clean(text)
    if tame is None:
        assert not text.strip()
    else:
        assert 0 < len(tame) <= MAX_TEXT_CHARS
        assert not [char for char in tame if unicodedata.category(char)[0] == "C"]
        tame.encode("utf-8")


@pytest.mark.parametrize("hostile", ["a\u202eb", "a\x00b", "a\ud800b", "a\nb", "a\u200fb"])
def test_control_and_bidi_characters_are_replaced(hostile: str) -> None:
    assert clean(hostile) == "a\N{REPLACEMENT CHARACTER}b"
