"""Our mark as evidence: confirmed proves, transplanted conflicts, unregistered supports, none is neutral."""

from dataclasses import replace

import numpy as np
import pytest

from detectors.evidence import Direction, Evidence, Grade
from detectors.watermark.gateway_mark import GatewayMarkDetector
from guard.fingerprint import fingerprints
from guard.records import Geometry, ImageID, MarkReading
from tests.detectors.builders import original, picture, upload
from tests.detectors.fakes import FixedMarker, MemoryOriginals

ID = ImageID("00112233445566ff")
READING = MarkReading(algorithm="org.example.fixed.1", image_id=ID, log10_p=-15.0, geometry=Geometry())


def examine(pixels: np.ndarray, *known: object, reading: MarkReading = READING) -> Evidence:
    found = GatewayMarkDetector(FixedMarker(reading), MemoryOriginals(list(known))).examine(upload(pixels))
    assert isinstance(found, Evidence)
    return found


def test_a_confirmed_mark_is_conclusive_and_shows_the_original() -> None:
    found = examine(picture(1), original(fingerprints(picture(1))))
    assert (found.grade, found.direction) == (Grade.CONCLUSIVE, Direction.AI)
    shown = {o.name: o.value for o in found.observations}
    assert shown["original manifest"] == "urn:c2pa:original"
    assert shown["watermark id"] == ID


@pytest.mark.parametrize("seed", range(2, 8))
def test_a_mark_copied_onto_another_picture_conflicts(seed: int) -> None:
    found = examine(picture(seed), original(fingerprints(picture(1))))
    assert (found.grade, found.direction) == (Grade.CONFLICTING, Direction.NONE)
    assert "another picture" in found.reason


def test_an_unregistered_id_only_supports() -> None:
    assert examine(picture(1)).grade is Grade.SUPPORTING


def test_no_mark_is_neutral() -> None:
    nothing = MarkReading(algorithm="org.example.fixed.1", image_id=None, log10_p=-2.0)
    found = examine(picture(1), original(fingerprints(picture(1))), reading=nothing)
    assert found.grade is Grade.NEUTRAL


def test_the_mark_of_a_file_that_was_only_signed_here_proves_no_ai() -> None:
    signed = original(fingerprints(picture(1)))
    found = examine(picture(1), replace(signed, credential=replace(signed.credential, ai_origin=None)))
    assert (found.grade, found.direction, found.generator) == (Grade.NEUTRAL, Direction.NONE, None)
    assert "does not say that AI made it" in found.reason
