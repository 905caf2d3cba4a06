"""What is put into a manifest, and that it is what the conformance rubrics and the law ask for."""

import io
import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from guard.credentials import SoftBinding
from guard.errors import RequestError
from guard.provenance import source_types
from guard.provenance.manifest import (
    DISCLOSURE_LABEL,
    MAX_PROMPT_CHARS,
    PROMPT_LABEL,
    ManifestKind,
    TrainingUse,
    manifest_definition,
)
from guard.provenance.native import reading_context, reading_settings
from guard.records import ImageFormat, LabelMode
from tests.guard.provenance.support import ALGORITHM, IMAGE_ID, Identity, encoded, facts


def crjson(identity: Identity, data: bytes) -> dict[str, Any]:
    """The active manifest in the standard form that the rubrics look at."""
    from c2pa import Reader

    context = reading_context(reading_settings(identity.keys.anchors))
    with Reader("image/png", io.BytesIO(data), context=context) as native:
        active: dict[str, Any] = json.loads(native.crjson())["manifests"][0]
    return active


def actions(definition: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = definition["assertions"][0]["data"]["actions"]
    return found


@pytest.fixture(scope="module")
def active_of_kind(ours: Identity) -> dict[ManifestKind, dict[str, Any]]:
    parent = ours.signed()
    made = {}
    for kind in ManifestKind:
        stated = facts(kind, label=LabelMode.MODIFIED)
        png = encoded(ImageFormat.PNG)
        signed = ours.signer.sign_bytes(stated, png, "image/png", parent=parent if stated.has_parent else None)
        made[kind] = crjson(ours, signed.data)
    return made


def test_kinds_differ_in_what_they_state() -> None:
    named = {
        kind: [
            (a["action"], a.get("digitalSourceType", "").rpartition("/")[2])
            for a in actions(manifest_definition(facts(kind), label="urn:c2pa:x"))
        ]
        for kind in ManifestKind
    }
    mark = ("c2pa.watermarked.bound", "")
    assert named == {
        ManifestKind.GENERATED: [("c2pa.created", "trainedAlgorithmicMedia"), mark],
        ManifestKind.EDITED: [("c2pa.opened", ""), ("c2pa.edited", "compositeWithTrainedAlgorithmicMedia"), mark],
        ManifestKind.IMPORTED: [("c2pa.opened", ""), mark],
    }


def test_latent_disclosure_has_the_four_fields_of_california(
    active_of_kind: dict[ManifestKind, dict[str, Any]],
) -> None:
    stated = active_of_kind[ManifestKind.GENERATED]["assertions"][DISCLOSURE_LABEL]
    assert stated == {
        "version": 1,
        "provider": "Example Provider",
        "systemName": "Signet",
        "systemVersion": "9.8.7",
        "createdAt": "2026-11-22T12:00:00Z",
        "uniqueId": IMAGE_ID,
    }


def test_model_mark_and_training_permission_are_stated(active_of_kind: dict[ManifestKind, dict[str, Any]]) -> None:
    assertions = active_of_kind[ManifestKind.GENERATED]["assertions"]
    assert assertions["c2pa.actions.v2"]["actions"][0]["softwareAgent"] == {"name": "tiny-model", "version": "abc123"}
    assert assertions["c2pa.ai-disclosure"]["modelIdentifier"] == "example/tiny-model"
    assert assertions["c2pa.ai-disclosure"]["contentProfile"] == {"humanOversightLevel": "prompt_guided"}
    assert assertions["c2pa.soft-binding"]["alg"] == ALGORITHM
    assert assertions["c2pa.soft-binding"]["blocks"][0]["value"] == IMAGE_ID
    entries = assertions["cawg.training-mining"]["entries"]
    assert set(entries) == {"cawg.data_mining", "cawg.ai_training", "cawg.ai_generative_training"}
    assert {entry["use"] for entry in entries.values()} == {"notAllowed"}


def test_an_import_states_no_model(active_of_kind: dict[ManifestKind, dict[str, Any]]) -> None:
    assert "c2pa.ai-disclosure" not in active_of_kind[ManifestKind.IMPORTED]["assertions"]


@pytest.mark.parametrize("label", [LabelMode.BASIC, LabelMode.GENERATED, LabelMode.MODIFIED])
def test_a_visible_label_is_an_action_before_the_mark(label: LabelMode) -> None:
    done = actions(manifest_definition(facts(label=label), label="urn:c2pa:x"))
    assert [a["action"] for a in done] == ["c2pa.created", "c2pa.addedText", "c2pa.watermarked.bound"]
    assert label.value in done[1]["description"]


def test_without_mark_or_permission_nothing_is_claimed() -> None:
    definition = manifest_definition(
        facts(watermark_algorithm=None, training_use=TrainingUse.UNSTATED), label="urn:c2pa:x"
    )
    assert [a["action"] for a in actions(definition)] == ["c2pa.created"]
    assert {a["label"] for a in definition["assertions"]} == {"c2pa.actions.v2", DISCLOSURE_LABEL, "c2pa.ai-disclosure"}


def test_a_prompt_stands_alone_and_only_when_given() -> None:
    silent = manifest_definition(facts(), label="urn:c2pa:x")
    stated = manifest_definition(facts(prompt="a cat"), label="urn:c2pa:x")
    added = [a for a in stated["assertions"] if a not in silent["assertions"]]
    assert added == [{"label": PROMPT_LABEL, "created": True, "data": {"version": 1, "prompt": "a cat"}}]
    with pytest.raises(RequestError, match="characters"):
        facts(prompt="x" * (MAX_PROMPT_CHARS + 1))


def test_binary_soft_bindings_are_written_as_bytes() -> None:
    iscc = SoftBinding(algorithm="io.iscc.v0", value="IQf/")
    definition = manifest_definition(facts(further_bindings=(iscc,)), label="urn:c2pa:x")
    blocks = [a["data"]["blocks"][0]["value"] for a in definition["assertions"] if a["label"] == "c2pa.soft-binding"]
    assert blocks == [IMAGE_ID, [0x21, 0x07, 0xFF]]


def test_nothing_is_redacted_without_a_parent() -> None:
    with pytest.raises(RequestError, match="no parent"):
        facts(redactions=("self#jumbf=x",))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"provider": " "}, "provider"),
        ({"image_id": ""}, "image_id"),
        ({"model_name": ""}, "model_name"),
        ({"created_at": datetime(2026, 1, 1)}, "time zone"),
        ({"model_revision": "x" * 201}, "model_revision"),
    ],
)
def test_unusable_facts_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        facts(**changes)


def test_times_are_stated_in_utc() -> None:
    east = datetime(2026, 11, 22, 14, 30, tzinfo=timezone(timedelta(hours=2)))
    made = manifest_definition(facts(created_at=east), label="urn:c2pa:x")
    assert actions(made)[0]["when"] == "2026-11-22T12:30:00Z"
    assert datetime.fromisoformat(actions(made)[0]["when"]).tzinfo == UTC


@pytest.mark.parametrize(
    "wrong", ["banana", "", "trainedAlgorithmicMedia", source_types.IPTC + "trainedalgorithmicmedia"]
)
def test_unknown_source_types_are_refused(wrong: str) -> None:
    with pytest.raises(RequestError, match="unknown"):
        source_types.checked(wrong)


@pytest.mark.parametrize("known", sorted(source_types.KNOWN))
def test_known_source_types_pass_in_the_spellings_seen_in_files(known: str) -> None:
    assert source_types.checked(known) == known
    assert source_types.checked(known.replace("http://", "https://") + "/") == known


def test_source_types_cover_what_c2pa_knows() -> None:
    """c2pa-python names its own list; every term of it must be known here."""
    from c2pa import C2paDigitalSourceType

    terms = {known.rpartition("/")[2].lower() for known in source_types.KNOWN}
    assert {item.name.replace("_", "").lower() for item in C2paDigitalSourceType} <= terms
