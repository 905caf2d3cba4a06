"""Chains of ingredients, the origin they state, and manifests that stand apart from their file."""

import io
import json
from collections.abc import Callable

import pytest
from c2pa import C2paError

from guard.credentials import CredentialReport, CredentialState
from guard.media import encode
from guard.provenance.manifest import ManifestKind, manifest_definition, parent_definition
from guard.provenance.read import C2PACredentialReader
from guard.provenance.source_types import IPTC
from guard.records import ImageFormat
from tests.guard.provenance.support import (
    Identity,
    encoded,
    facts,
    flip_after,
    flipped,
    picture,
)

# --- chains ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "state", "code"),
    [
        (lambda data: data, CredentialState.TRUSTED, None),
        (lambda data: flipped(data, -40), CredentialState.INVALID, "assertion.dataHash.mismatch"),
        (lambda data: flip_after(data, b"tiny-mod"), CredentialState.INVALID, "assertion.hashedURI.mismatch"),
        (lambda data: encoded(ImageFormat.PNG), CredentialState.NONE, None),
    ],
    ids=["sound", "changed pixels", "changed statement", "no credentials"],
)
def test_each_ingredient_has_its_own_state(
    ours: Identity,
    reader: C2PACredentialReader,
    change: Callable[[bytes], bytes],
    state: CredentialState,
    code: str | None,
) -> None:
    report = reader.read(ours.edited(change(ours.signed())))
    assert report.state is CredentialState.TRUSTED, "c2pa-rs: the outer manifest holds whatever its parent is"
    (parent,) = report.ingredients
    assert parent.state is state
    assert parent.codes == ((code,) if code else ())
    assert ("signet.ingredient.invalid" in report.codes) is (state is CredentialState.INVALID)


def imported(identity: Identity, parent: bytes) -> CredentialReport:
    signed = identity.signer.sign_bytes(
        facts(ManifestKind.IMPORTED), encoded(ImageFormat.PNG), "image/png", parent=parent
    )
    return identity.reader(None).read(signed.data)


@pytest.mark.parametrize(
    ("source_type", "change", "origin"),
    [
        ("trainedAlgorithmicMedia", None, True),
        ("compositeSynthetic", None, True),
        ("digitalCapture", None, False),
        ("algorithmicMedia", None, False),
        ("trainedAlgorithmicMedia", "pixels", True),
        ("digitalCapture", "pixels", None),
        ("trainedAlgorithmicMedia", "statement", None),
    ],
)
def test_ai_origin_is_found_in_the_parent(
    ours: Identity, source_type: str, change: str | None, origin: bool | None
) -> None:
    parent = ours.signed(source_type=IPTC + source_type)
    if change == "pixels":
        parent = flipped(parent, -40)
    elif change == "statement":
        parent = flip_after(parent, b"tiny-mod")
    report = imported(ours, parent)
    assert report.state is CredentialState.TRUSTED
    assert report.ai_origin is origin
    assert report.source_types == (IPTC + source_type,)


def test_ai_origin_is_found_two_generations_up(ours: Identity, foreign: Identity) -> None:
    grandparent = foreign.signed()
    parent = foreign.signer.sign_bytes(
        facts(ManifestKind.IMPORTED), encoded(ImageFormat.JPEG), "image/jpeg", parent=grandparent
    ).data
    report = imported(ours, parent)
    assert report.ai_origin is True
    assert report.ingredients[0].state is CredentialState.VALID_UNTRUSTED


def test_what_an_outer_signer_recorded_does_not_make_a_parent_trusted(ours: Identity, foreign: Identity) -> None:
    """A stranger's tool that trusts its own root records "trusted"; our re-validation says otherwise."""
    from c2pa import Builder, Context

    believing = Context.from_dict(
        {
            "trust": {"trust_anchors": foreign.keys.anchors.manifest_pem},
            "builder": {"thumbnail": {"enabled": False}},
        }
    )
    stated, out = facts(ManifestKind.EDITED), io.BytesIO()
    label = "urn:c2pa:0f5ecbf3-5b3a-4a57-9f0f-6f4f8a9b9d01"
    with Builder(manifest_definition(stated, label=label), context=believing) as builder:
        builder.add_ingredient(parent_definition(stated), "image/png", io.BytesIO(foreign.signed()))
        builder.sign(ours.signer._signers.get(None), "image/png", io.BytesIO(encoded(ImageFormat.PNG)), out)
    report = ours.reader(None).read(out.getvalue())
    assert report.ingredients[0].state is CredentialState.VALID_UNTRUSTED
    assert report.state is CredentialState.VALID_UNTRUSTED, "never more than c2pa-rs itself says"
    assert foreign.reader(None).read(out.getvalue()).ingredients[0].state is CredentialState.TRUSTED


# --- stored manifests ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("image_format", ImageFormat)
def test_a_stored_manifest_speaks_for_a_stripped_and_altered_copy(
    ours: Identity, reader: C2PACredentialReader, image_format: ImageFormat
) -> None:
    signed = ours.signer.sign_bytes(facts(), encoded(image_format), image_format.media_type)
    copy = encode(picture()[::2, ::2].copy(), ImageFormat.JPEG, quality=70)
    assert reader.read(copy).state is CredentialState.NONE
    stored = reader.read_stored_manifest(signed.manifest, copy)
    assert stored.matches_asset is False
    assert stored.report.state is CredentialState.TRUSTED
    assert stored.report.codes == ("assertion.dataHash.mismatch",)
    assert stored.report.ai_origin is True
    assert stored.report.manifest_label == signed.manifest_label
    assert "other bytes than this copy" in stored.report.explanation


def test_a_stored_manifest_matches_the_signed_file(ours: Identity, reader: C2PACredentialReader) -> None:
    signed = ours.signer.sign_bytes(facts(), encoded(ImageFormat.PNG), "image/png")
    stored = reader.read_stored_manifest(signed.manifest, signed.data)
    assert stored.matches_asset is True
    assert stored.report.state is CredentialState.TRUSTED


def test_a_stored_manifest_of_a_stranger_or_with_changes_is_not_trusted(
    ours: Identity, foreign: Identity, reader: C2PACredentialReader
) -> None:
    copy = encode(picture()[::-1].copy(), ImageFormat.PNG)
    theirs = foreign.signer.sign_bytes(facts(), encoded(ImageFormat.PNG), "image/png").manifest
    assert reader.read_stored_manifest(theirs, copy).report.state is CredentialState.VALID_UNTRUSTED
    mine = ours.signer.sign_bytes(facts(), encoded(ImageFormat.PNG), "image/png").manifest
    for changed in (flip_after(mine, b"tiny-mod"), flipped(mine, -20)):
        stored = reader.read_stored_manifest(changed, copy)
        assert stored.report.state is CredentialState.INVALID
        assert stored.matches_asset is False
        assert stored.report.ai_origin is None
    for broken in (mine[:200], b"no manifest", b""):
        stored = reader.read_stored_manifest(broken, copy)
        assert stored.report.state in (CredentialState.UNREADABLE, CredentialState.NONE)
        assert stored.matches_asset is False


# --- errors of the native reader -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (KeyError("active_manifest"), "signet.unreadable.keyerror"),
        (TypeError("bytes"), "signet.unreadable.typeerror"),
        (UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates"), "signet.unreadable.unicodeencodeerror"),
        (json.JSONDecodeError("x", "y", 0), "signet.unreadable.jsondecodeerror"),
        (C2paError("Remote: not fetched"), "manifest.inaccessible"),
        (C2paError.Manifest("two"), "signet.unreadable.manifest"),
        (C2paError.Decoding("cbor"), "signet.unreadable.decoding"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_whatever_the_native_reader_raises_becomes_a_state(
    ours: Identity, monkeypatch: pytest.MonkeyPatch, error: Exception, code: str
) -> None:
    """Measured: besides C2paError, c2pa-python raises KeyError, TypeError and UnicodeEncodeError."""

    def raising(*args: object, **kwargs: object) -> None:
        raise error

    signed = ours.signed()
    monkeypatch.setattr("c2pa.Reader", raising)
    report = ours.reader(None).read(signed)
    assert (report.state, report.codes) == (CredentialState.UNREADABLE, (code,))
    assert report.ai_origin is None
