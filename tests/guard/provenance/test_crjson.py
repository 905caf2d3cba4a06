"""The whole manifest store as crJSON: complete, safe to print, personal parts hidden unless asked for."""

from typing import Any

import pytest

from guard.errors import MediaError, UndecodableMediaError, WorkerError
from guard.isolation import WorkerPool
from guard.provenance import crjson
from guard.provenance.bounds import MAX_JUMBF_BOXES
from guard.provenance.crjson import HIDDEN, CrJSONReader
from guard.records import ImageFormat
from tests.guard.provenance.support import BrokenPool, Identity, encoded, store_span


@pytest.fixture(scope="module")
def whole(ours: Identity, pool: WorkerPool) -> CrJSONReader:
    return CrJSONReader(ours.keys.anchors, pool=pool, deadline_s=20)


def test_every_manifest_is_there_with_its_validation(whole: CrJSONReader, ours: Identity) -> None:
    store = whole.read(ours.edited(ours.signed()))
    assert store is not None
    active, parent = store["manifests"]
    assert active["assertions"]["c2pa.actions.v2"]["actions"][0]["action"] == "c2pa.opened"
    assert parent["assertions"]["c2pa.actions.v2"]["actions"][0]["action"] == "c2pa.created"
    codes = {status["code"] for status in active["validationResults"]["success"]}
    assert "signingCredential.trusted" in codes


def test_a_file_without_credentials_has_none(whole: CrJSONReader) -> None:
    assert whole.read(encoded(ImageFormat.PNG)) is None
    assert whole.read(b"just text") is None


def test_personal_assertions_are_hidden_unless_asked_for(whole: CrJSONReader, monkeypatch: pytest.MonkeyPatch) -> None:
    store = '{"manifests":[{"assertions":{"cawg.identity":{"name":"Jane"},"c2pa.actions.v2":{"actions":[]}}}]}'
    reader = CrJSONReader.__new__(CrJSONReader)

    class Pool:
        def run(self, *arguments: object, **options: object) -> str:
            return store

    reader._settings, reader._pool, reader._deadline_s = "", Pool(), 1.0  # type: ignore[assignment]
    hidden, shown = reader.read(b""), reader.read(b"", personal=True)
    assert hidden is not None
    assert shown is not None
    assert hidden["manifests"][0]["assertions"] == {"cawg.identity": HIDDEN, "c2pa.actions.v2": {"actions": []}}
    assert shown["manifests"][0]["assertions"]["cawg.identity"] == {"name": "Jane"}


def test_texts_are_clipped_and_free_of_control_characters(whole: CrJSONReader, ours: Identity) -> None:
    store = whole.read(ours.signed(title="evil \u202e title \x1b[31m"))
    assert store is not None

    def texts(value: Any) -> list[str]:
        if isinstance(value, dict):
            return [*value, *(text for item in value.values() for text in texts(item))]
        if isinstance(value, list):
            return [text for item in value for text in texts(item)]
        return [value] if isinstance(value, str) else []

    assert any(text.startswith("evil") for text in texts(store))
    assert not [text for text in texts(store) if "\u202e" in text or "\x1b" in text or len(text) > 200]


def test_damaged_and_excessive_files_are_media_errors(whole: CrJSONReader, ours: Identity) -> None:
    signed = bytearray(ours.signed())
    start, _ = store_span(bytes(signed))
    signed[start + 30 : start + 60] = bytes(30)
    with pytest.raises(UndecodableMediaError):
        whole.read(bytes(signed))
    with pytest.raises(MediaError, match="was not examined"):
        whole.read(b"jumb" * (MAX_JUMBF_BOXES + 1))


def test_a_parser_that_dies_is_a_damaged_file(ours: Identity) -> None:
    reader = CrJSONReader(ours.keys.anchors, pool=BrokenPool(WorkerError("it died")), deadline_s=1)
    with pytest.raises(UndecodableMediaError, match="parser failed"):
        reader.read(encoded(ImageFormat.PNG))


def test_nesting_is_bounded() -> None:
    deep: Any = "end"
    for _ in range(2 * crjson.MAX_DEPTH):
        deep = [deep]
    assert "end" not in str(crjson._safe(deep, depth=0))
