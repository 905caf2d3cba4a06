"""Credentials as evidence: trusted is conclusive, unknown signers support, broken ones conflict, none means nothing."""

import pytest

from detectors.evidence import Direction, Evidence, Grade, Skipped
from detectors.metadata.content_credentials import ContentCredentialsDetector
from guard.credentials import CredentialIngredient, CredentialReport, CredentialState
from tests.detectors.builders import upload
from tests.detectors.fakes import FixedReader


def examine(**said: object) -> Evidence | Skipped:
    report = CredentialReport(**{"signer": "Some Signer", **said})
    return ContentCredentialsDetector(FixedReader(report)).examine(upload())


@pytest.mark.parametrize(
    ("state", "ai_origin", "grade", "direction"),
    [
        (CredentialState.TRUSTED, True, Grade.CONCLUSIVE, Direction.AI),
        (CredentialState.TRUSTED, False, Grade.CONCLUSIVE, Direction.NOT_AI),
        (CredentialState.TRUSTED, None, Grade.NEUTRAL, Direction.NONE),
        (CredentialState.VALID_UNTRUSTED, True, Grade.SUPPORTING, Direction.AI),
        (CredentialState.VALID_UNTRUSTED, False, Grade.NEUTRAL, Direction.NONE),
        (CredentialState.INVALID, True, Grade.CONFLICTING, Direction.NONE),
        (CredentialState.UNREADABLE, None, Grade.CONFLICTING, Direction.NONE),
    ],
)
def test_grades(state: CredentialState, ai_origin: bool | None, grade: Grade, direction: Direction) -> None:
    found = examine(state=state, ai_origin=ai_origin)
    assert isinstance(found, Evidence)
    assert (found.grade, found.direction) == (grade, direction)
    assert "authentic" not in found.reason


def test_no_credentials_mean_nothing() -> None:
    assert isinstance(examine(state=CredentialState.NONE), Skipped)


def test_the_signer_and_a_broken_ingredient_are_shown() -> None:
    part = CredentialIngredient(
        title="parent.jpg", relationship="parentOf", state=CredentialState.INVALID, manifest_label=None
    )
    found = examine(state=CredentialState.TRUSTED, ai_origin=True, ingredients=(part,))
    assert isinstance(found, Evidence)
    shown = {o.name: o.value for o in found.observations}
    assert shown["signer"] == "Some Signer"
    assert shown["ingredient (parentOf)"] == "parent.jpg: invalid"
