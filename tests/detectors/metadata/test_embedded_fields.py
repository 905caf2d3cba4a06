"""Declared source types, the AIGC label in all its places, software and camera names."""

import json

import pytest

from detectors.evidence import Direction, Evidence, Grade
from detectors.metadata.digital_source_type import SOURCE_TYPES, source_type
from detectors.metadata.embedded_fields import EmbeddedFieldsDetector
from tests.detectors.metadata import writers as w

IPTC = "http://cv.iptc.org/newscodes/digitalsourcetype/"
AIGC = {
    "Label": "1",
    "ContentProducer": "001191110108MA01KP2T5U00000",
    "ProduceID": "p-17",
    "ReservedCode1": "",
    "ContentPropagator": "",
    "PropagateID": "",
    "ReservedCode2": "",
}


def examine(data: bytes) -> Evidence:
    return EmbeddedFieldsDetector().examine(w.upload(data))


def shown(evidence: Evidence) -> dict[str, str]:
    return {line.name: line.value for line in evidence.observations}


def source(value: str) -> str:
    return w.xmp(f"<Iptc4xmpExt:DigitalSourceType>{value}</Iptc4xmpExt:DigitalSourceType>")


@pytest.mark.parametrize("code", [kind.code for kind in SOURCE_TYPES.values()])
def test_every_code_is_read_and_weighs_what_it_says(code: str) -> None:
    evidence = examine(w.png_xmp(source(IPTC + code)))
    kind = source_type(code)
    assert kind is not None
    assert evidence.direction is kind.direction
    assert evidence.grade is (Grade.NEUTRAL if kind.direction is Direction.NONE else Grade.SUPPORTING)
    assert shown(evidence)["digital source type"] == f"{code}: {kind.meaning}"


def test_only_trained_models_speak_for_ai() -> None:
    ai = {kind.code for kind in SOURCE_TYPES.values() if kind.direction is Direction.AI}
    assert ai == {
        "trainedAlgorithmicMedia",
        "compositeWithTrainedAlgorithmicMedia",
        "compositeSynthetic",
        "trainedAlgorithmicData",
    }


@pytest.mark.parametrize(
    "value",
    [
        IPTC + "trainedAlgorithmicMedia",
        IPTC.replace("http:", "https:") + "trainedAlgorithmicMedia/",
        "trainedAlgorithmicMedia",
        "digsrctype:trainedAlgorithmicMedia",
        "https://schema.org/TrainedAlgorithmicMediaDigitalSource",
        "http://c2pa.org/digitalsourcetype/trainedAlgorithmicMedia",
    ],
)
def test_spellings_of_one_code(value: str) -> None:
    kind = source_type(value)
    assert kind is not None
    assert kind.code == "trainedAlgorithmicMedia"


@pytest.mark.parametrize("value", ["", "DigitalSource", "trained", IPTC, "notTrainedAlgorithmicMedia", "x" * 9999])
def test_unknown_codes_are_none(value: str) -> None:
    assert source_type(value) is None


def test_an_unknown_code_is_shown_and_not_weighed() -> None:
    evidence = examine(w.png_xmp(source("http://example.com/\u202emade")))
    assert evidence.grade is Grade.NEUTRAL
    assert shown(evidence)["digital source type"] == "http://example.com/\\u202emade: not a known code"


@pytest.mark.parametrize(
    "data",
    [
        w.jpeg_xmp(source(IPTC + "trainedAlgorithmicMedia")),
        w.webp((b"XMP ", source(IPTC + "trainedAlgorithmicMedia").encode())),
        w.png_xmp(
            source("x").replace(
                "<Iptc4xmpExt:DigitalSourceType>x</Iptc4xmpExt:DigitalSourceType>",
                "<rdf:Description xmlns:iptcExt='http://iptc.org/std/Iptc4xmpExt/2008-02-29/' "
                f"iptcExt:DigitalSourceType='{IPTC}trainedAlgorithmicMedia'/>",
            )
        ),
        w.png_xmp(
            source("x").replace(
                "<Iptc4xmpExt:DigitalSourceType>x<",
                f"<Iptc4xmpExt:DigitalSourceType rdf:resource='{IPTC}trainedAlgorithmicMedia'><",
            )
        ),
    ],
    ids=["jpeg", "webp", "other-prefix-attribute", "rdf-resource"],
)
def test_source_type_in_every_container_and_form(data: bytes) -> None:
    evidence = examine(data)
    assert (evidence.grade, evidence.direction) == (Grade.SUPPORTING, Direction.AI)
    assert "made by a trained model" in evidence.reason


@pytest.mark.parametrize(
    "data",
    [
        w.png_texts(AIGC=json.dumps(AIGC)),
        w.png_texts(AIGC=json.dumps({"AIGC": AIGC})),
        w.png_texts(AIGC=json.dumps({"AIGC": json.dumps(AIGC)})),
        w.jpeg_exif(exif=[w.user_comment(json.dumps({"AIGC": AIGC}), code=b"ASCII\0\0\0", encoding="ascii")]),
        w.jpeg_exif(exif=[w.user_comment(json.dumps(AIGC))]),
        w.jpeg_xmp(w.xmp("<TC260:AIGC>" + json.dumps(AIGC).replace('"', "&quot;") + "</TC260:AIGC>")),
        w.webp((b"XMP ", w.xmp("<TC260:AIGC>" + json.dumps({"AIGC": AIGC}) + "</TC260:AIGC>").encode())),
        w.jpeg_xmp(w.xmp("".join(f"<TC260:{key}>{value}</TC260:{key}>" for key, value in AIGC.items()))),
    ],
    ids=["png", "png-wrapped", "png-text", "exif", "exif-bare", "xmp", "xmp-webp", "xmp-fields"],
)
def test_aigc_label_in_every_place(data: bytes) -> None:
    evidence = examine(data)
    assert (evidence.grade, evidence.direction) == (Grade.SUPPORTING, Direction.AI)
    assert shown(evidence)["AIGC label"] == "1: is AI-generated"
    assert shown(evidence)["AIGC ContentProducer"] == AIGC["ContentProducer"]
    assert shown(evidence)["AIGC ProduceID"] == "p-17"


@pytest.mark.parametrize(("label", "words"), [("1", "is AI"), ("2", "is possibly AI"), ("3", "is suspected to be AI")])
def test_the_three_tiers(label: str, words: str) -> None:
    assert words in examine(w.png_texts(AIGC=json.dumps({**AIGC, "Label": label}))).reason


def test_a_numeric_label_counts() -> None:
    assert examine(w.png_texts(AIGC=json.dumps({**AIGC, "Label": 2}))).direction is Direction.AI


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"AIGC": "x"}', json.dumps({**AIGC, "Label": "9"}), "[" * 20_000])
def test_a_broken_label_is_present_but_unreadable(text: str) -> None:
    evidence = examine(w.png_texts(AIGC=text))
    assert evidence.grade is Grade.NEUTRAL
    assert shown(evidence)["AIGC label"] == "present but unreadable"


def test_a_readable_label_beats_a_broken_one() -> None:
    data = w.png(
        w.itext_chunk("AIGC", "{"),
        w.itext_chunk("XML:com.adobe.xmp", w.xmp(f"<TC260:AIGC>{json.dumps(AIGC)}</TC260:AIGC>")),
    )
    assert examine(data).direction is Direction.AI


def test_declarations_that_contradict_each_other_are_told() -> None:
    data = w.png(
        w.itext_chunk("XML:com.adobe.xmp", source(IPTC + "digitalCapture")),
        w.itext_chunk("AIGC", json.dumps(AIGC)),
    )
    evidence = examine(data)
    assert evidence.direction is Direction.AI
    assert evidence.reason.endswith("Another field says otherwise.")


def test_software_and_camera_are_context_only() -> None:
    data = w.jpeg_exif(
        w.ascii_entry(0x010F, "Canon"),
        w.ascii_entry(0x0110, "Canon EOS 60D"),
        w.ascii_entry(0x0131, "Adobe Photoshop 25.0 (Windows)"),
        exif=[(0x829A, 5, (1).to_bytes(4, "big") + (60).to_bytes(4, "big"))],
    )
    evidence = examine(data)
    assert (evidence.grade, evidence.direction, evidence.generator) == (Grade.NEUTRAL, Direction.NONE, None)
    assert shown(evidence)["software"] == "Adobe Photoshop 25.0 (Windows) (editor: Adobe Photoshop)"
    assert shown(evidence)["camera named"] == "Canon Canon EOS 60D"


def test_make_and_model_without_exposure_are_not_a_camera() -> None:
    data = w.jpeg_exif(w.ascii_entry(0x010F, "UNO"), w.ascii_entry(0x0110, "flux-dev"))
    assert "camera named" not in shown(examine(data))


@pytest.mark.parametrize("words", ["real", "authentic", "genuine", "fake"])
def test_reasons_never_judge(words: str) -> None:
    for data in (w.plain("PNG"), w.png_xmp(source(IPTC + "digitalCapture")), w.png_texts(AIGC=json.dumps(AIGC))):
        assert words not in examine(data).reason.casefold()
