"""Our ledger as evidence: the same bytes prove, the same look supports, plain pictures are not searched."""

from dataclasses import replace

import numpy as np
import pytest

from detectors.evidence import Direction, Evidence, Grade, Skipped
from detectors.metadata.ledger_match import LedgerMatchDetector
from guard.credentials import CredentialIngredient, CredentialReport, CredentialState
from guard.errors import DetectorError
from guard.fingerprint import fingerprints
from tests.detectors.builders import original, picture, upload
from tests.detectors.fakes import MemoryOriginals


def detector(*known: object) -> LedgerMatchDetector:
    return LedgerMatchDetector(MemoryOriginals(list(known)), max_distance=31, min_quality=50)


def test_the_released_bytes_are_conclusive() -> None:
    seen = upload()
    found = detector(original(fingerprints(seen.pixels), sha256=seen.sha256)).examine(seen)
    assert isinstance(found, Evidence)
    assert (found.grade, found.direction) == (Grade.CONCLUSIVE, Direction.AI)
    assert found.generator == "signet-mini 1"
    assert ("original image", "00112233445566ff") in [(o.name, o.value) for o in found.observations]


def test_a_brightened_copy_is_supporting() -> None:
    released = picture(1)
    copy = np.clip(released.astype(int) + 12, 0, 255).astype(np.uint8)
    found = detector(original(fingerprints(released))).examine(upload(copy))
    assert isinstance(found, Evidence)
    assert (found.grade, found.direction) == (Grade.SUPPORTING, Direction.AI)


@pytest.mark.parametrize("seed", range(2, 8))
def test_other_pictures_do_not_match(seed: int) -> None:
    found = detector(original(fingerprints(picture(1)))).examine(upload(picture(seed)))
    assert isinstance(found, Evidence)
    assert found.grade is Grade.NEUTRAL


def test_a_plain_picture_is_not_searched_by_look() -> None:
    plain = np.full((256, 256, 3), 200, np.uint8)
    found = detector(original(fingerprints(plain))).examine(upload(plain))
    assert isinstance(found, Skipped)
    assert "too plain" in found.reason


def test_the_picture_that_an_edit_started_from_is_not_called_generated() -> None:
    source = picture(1)
    edited = source.copy()
    edited[:8, :8] = 0
    released = original(fingerprints(edited))
    parent = CredentialIngredient(
        title="source.png", relationship="parentOf", state=CredentialState.NONE, manifest_label=None
    )
    changed = replace(released, credential=replace(released.credential, ingredients=(parent,)))
    found = detector(changed).examine(upload(source))
    assert isinstance(found, Evidence)
    assert (found.grade, found.direction, found.generator) == (Grade.NEUTRAL, Direction.NONE, None)
    assert "may as well be that earlier picture" in found.reason
    exact = detector(changed).examine(replace(upload(source), sha256=changed.sha256))
    assert exact.grade is Grade.CONCLUSIVE, "the released bytes themselves are still proof"


def test_what_cannot_be_read_just_now_is_a_failure_not_a_verdict() -> None:
    released = original(fingerprints(picture(1)))
    unread = replace(released, credential=CredentialReport(state=CredentialState.UNREADABLE))
    exact = replace(upload(picture(1)), sha256=unread.sha256)
    for seen in (upload(picture(1)), exact):
        with pytest.raises(DetectorError, match="could not be read just now"):
            detector(unread).examine(seen)


@pytest.mark.parametrize("ai_origin", [False, None])
def test_a_file_that_was_only_signed_here_is_not_called_generated(ai_origin: bool | None) -> None:
    released = original(fingerprints(picture(1)))
    imported = replace(released, credential=replace(released.credential, ai_origin=ai_origin))
    exact = replace(upload(picture(1)), sha256=imported.sha256)
    for seen in (upload(picture(1)), exact):
        found = detector(imported).examine(seen)
        assert (found.grade, found.direction, found.generator) == (Grade.NEUTRAL, Direction.NONE, None)
        assert "does not say that AI made it" in found.reason
