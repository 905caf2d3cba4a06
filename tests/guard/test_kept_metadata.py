"""What of a source's metadata stays true once a model has made another picture of it."""

import pytest

from guard.kept_metadata import KeptMetadata

TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/{}"


def xmp(code: str) -> bytes:
    return f'<x Iptc4xmpExt:DigitalSourceType="{TYPE.format(code)}" dc:rights="(c) A. Person"/>'.encode()


@pytest.mark.parametrize("code", ["digitalCapture", "minorHumanEdits", "composite", "digitalArt"])
def test_a_source_type_without_ai_would_be_false_after_a_model(code: str) -> None:
    kept = KeptMetadata(xmp=xmp(code))
    assert kept.after_a_model().xmp == xmp("compositeWithTrainedAlgorithmicMedia")


@pytest.mark.parametrize("code", ["trainedAlgorithmicMedia", "compositeWithTrainedAlgorithmicMedia"])
def test_a_source_type_of_ai_stays_as_it_is(code: str) -> None:
    assert KeptMetadata(xmp=xmp(code)).after_a_model().xmp == xmp(code)


def test_labels_and_rights_go_on_exposure_and_recipe_do_not() -> None:
    label = ("AIGC", '{"Label":"1"}')
    iptc = (0x0404, b"\x1c\x02\x74\x00\x03(c)")
    kept = KeptMetadata(exif=b"Exif camera", xmp=xmp("digitalCapture"), resources=(iptc,), texts=(label, ("seed", "7")))
    new = kept.of_a_new_picture()
    assert (new.exif, new.texts, new.resources) == (b"", (label,), (iptc,))
    assert b"(c) A. Person" in new.xmp


def test_an_exif_block_with_an_aigc_label_goes_on() -> None:
    labelled = KeptMetadata(exif=b'Exif UserComment {"AIGC":{"Label":"1"}}')
    assert labelled.of_a_new_picture() == labelled
