"""Recovery: copies are traced to their manifest, other pictures never, transplanted marks are named."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from guard.credentials import CredentialReport, CredentialState
from guard.fingerprint import Match
from guard.media import decode, encode
from guard.provenance.manifest import ManifestKind
from guard.provenance.read import StoredManifest
from guard.records import RGB8, ImageFormat, ImageID, MarkReading
from guard.recovery import ManifestRecovery, Route
from guard.signing.request import SignedFile
from tests.guard.signing.bench import Bench, file, photo, stripped


class Blind:
    """A codec that reads no mark: the mark was destroyed."""

    algorithm = "org.example.blind.1"

    def embed(self, pixels: RGB8, image_id: ImageID) -> RGB8:
        return pixels

    def detect(self, pixels: RGB8) -> MarkReading:
        return MarkReading(algorithm=self.algorithm, image_id=None, log10_p=0.0)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """A registry of its own: what other tests signed must not be found here."""
    made = Bench.make(tmp_path_factory.mktemp("recovery"))
    yield made
    made.ledger.close()


@pytest.fixture(scope="module")
def signed(bench: Bench) -> SignedFile:
    return bench.sign(file("coffee"), ManifestKind.GENERATED, model_name="tiny")


def test_a_stripped_copy_is_traced_by_its_mark(bench: Bench, signed: SignedFile) -> None:
    found = bench.recovery.recover(stripped(signed.data))
    assert (found.recovered, found.route, found.match) == (True, Route.WATERMARK, Match.CONFIRMED)
    assert found.image_id == signed.image_id
    assert found.registration is not None
    assert found.registration.manifest_label == signed.manifest_label
    assert found.credential is not None
    assert (found.credential.state, found.credential.ai_origin) == (CredentialState.TRUSTED, True)


@pytest.mark.parametrize("change", [lambda p: p, lambda p: p[:, ::-1], lambda p: np.rot90(p)])
def test_without_the_mark_the_look_leads_there(bench: Bench, signed: SignedFile, change: object) -> None:
    search = ManifestRecovery(watermarker=Blind(), ledger=bench.ledger, reader=bench.reader)
    assert callable(change)
    found = search.recover(np.ascontiguousarray(change(stripped(signed.data))))
    assert (found.recovered, found.route) == (True, Route.FINGERPRINT)
    assert found.image_id == signed.image_id


def test_a_transplanted_mark_is_a_mismatch_and_recovers_nothing(bench: Bench, signed: SignedFile) -> None:
    other = photo("chelsea")
    residue = decode(signed.data).rgb.astype(int) - photo("coffee")
    forged = np.clip(other + residue, 0, 255).astype(np.uint8)
    assert bench.marker.detect(forged).image_id == signed.image_id, "the forgery works"
    found = bench.recovery.recover(forged)
    assert (found.recovered, found.route, found.match) == (False, Route.WATERMARK, Match.MISMATCH)
    assert (found.registration, found.credential) == (None, None)
    assert "another picture" in found.reason


def test_a_mark_copied_onto_another_registered_picture_is_still_a_mismatch(bench: Bench, signed: SignedFile) -> None:
    bench.sign(file("chelsea"), mark=False)
    residue = decode(signed.data).rgb.astype(int) - photo("coffee")
    found = bench.recovery.recover(np.clip(photo("chelsea") + residue, 0, 255).astype(np.uint8))
    assert (found.recovered, found.match, found.image_id) == (False, Match.MISMATCH, signed.image_id)


def test_an_edit_that_kept_its_sources_mark_is_found_by_its_look(bench: Bench, signed: SignedFile) -> None:
    pixels = decode(signed.data).rgb.copy()
    pixels[:, 120:] = photo("chelsea")[:, 120:]
    edited = bench.sign(encode(pixels, ImageFormat.PNG), ManifestKind.EDITED, parent=signed.data, model_name="tiny")
    assert edited.carried is not None, "the source's mark survived the edit"
    assert edited.carried.value == signed.image_id
    found = bench.recovery.recover(stripped(edited.data, scale=0.9))
    assert (found.recovered, found.route, found.image_id) == (True, Route.FINGERPRINT, edited.image_id)


@pytest.mark.parametrize("name", ["rocket", "astronaut"])
def test_other_pictures_recover_nothing(bench: Bench, signed: SignedFile, name: str) -> None:
    found = bench.recovery.recover(photo(name, 300))
    assert (found.recovered, found.route, found.match, found.image_id) == (False, None, None, None)


def test_a_plain_picture_is_not_searched_by_look(bench: Bench) -> None:
    grey = np.full((320, 320, 3), 128, np.uint8)
    assert bench.recovery.recover(grey).route is None


def test_a_mark_of_another_registry_is_said_to_be_one(bench: Bench) -> None:
    marked = bench.marker.embed(photo("rocket"), ImageID("feedfacefeedface"))
    found = bench.recovery.recover(marked)
    assert (found.recovered, found.image_id) == (False, "feedfacefeedface")
    assert "not in this registry" in found.reason


def test_a_stored_manifest_that_does_not_hold_is_not_handed_out(bench: Bench, signed: SignedFile) -> None:
    class Doubtful:
        def read_stored_manifest(self, manifest: bytes, asset: bytes) -> StoredManifest:
            report = CredentialReport(state=CredentialState.INVALID, explanation="It was changed.")
            return StoredManifest(report=report, matches_asset=False)

    search = ManifestRecovery(watermarker=bench.marker, ledger=bench.ledger, reader=Doubtful())
    found = search.recover(stripped(signed.data))
    assert (found.recovered, found.match, found.registration) == (False, Match.CONFIRMED, None)
    assert "does not validate" in found.reason


def test_an_erased_thumbnail_still_confirms_whole_copies(bench: Bench, signed: SignedFile) -> None:
    row = bench.ledger.registration(signed.image_id)
    assert row is not None

    class Erased:
        def registration(self, image_id: ImageID) -> object:
            return replace(row, fingerprints=replace(row.fingerprints, thumbnail=""))

    search = ManifestRecovery(watermarker=bench.marker, ledger=Erased(), reader=bench.reader)  # type: ignore[arg-type]
    assert search.recover(stripped(signed.data)).recovered is True
