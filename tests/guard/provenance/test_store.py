"""Taking the active manifest out of a store leaves a store that still verifies, and refuses everything else."""

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.errors import UndecodableMediaError
from guard.provenance.manifest import ManifestKind
from guard.provenance.native import reading_context, reading_settings
from guard.provenance.store import active_manifest_alone
from guard.records import ImageFormat
from tests.guard.provenance.support import Identity, encoded, facts


def labels(identity: Identity, asset: bytes, store: bytes) -> tuple[str, list[str]]:
    from c2pa import Reader

    context = reading_context(reading_settings(identity.keys.anchors))
    with Reader("image/png", io.BytesIO(asset), store, context=context) as reader:
        said = json.loads(reader.json())
    return said["active_manifest"], sorted(said["manifests"])


def test_the_active_manifest_stays_and_its_parent_goes(ours: Identity) -> None:
    parent = ours.signed()
    png = encoded(ImageFormat.PNG)
    signed = ours.signer.sign_bytes(facts(ManifestKind.EDITED), png, "image/png", parent=parent)
    whole = labels(ours, png, signed.manifest)
    alone = labels(ours, png, active_manifest_alone(signed.manifest))
    assert len(whole[1]) == 2
    assert alone == (signed.manifest_label, [signed.manifest_label])


def test_a_single_manifest_is_unchanged(ours: Identity) -> None:
    signed = ours.signer.sign_bytes(facts(), encoded(ImageFormat.PNG), "image/png")
    assert active_manifest_alone(signed.manifest) == signed.manifest


@pytest.mark.parametrize("data", [b"", b"text", b"\0\0\0\x08jumb", b"\0\0\0\x10jumb\0\0\0\x08jumd", b"\0\0\0\x08free"])
def test_what_is_no_store_is_refused(data: bytes) -> None:
    with pytest.raises(UndecodableMediaError):
        active_manifest_alone(data)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_store_or_an_error(data: bytes) -> None:
    try:
        active_manifest_alone(data)
    except UndecodableMediaError:
        return
    raise AssertionError("random bytes passed for a store")
