"""Fingerprints: search by PDQ, and confirmation of crops, turned and mirrored copies against wrong pictures."""

import io
from dataclasses import replace

import cv2
import numpy as np
import pytest
from PIL import Image
from skimage import data

from guard.errors import MediaError, UnsupportedMediaError
from guard.fingerprint import (
    MIN_QUALITY,
    SAME_PDQ,
    SEARCH_PDQ,
    THUMBNAIL_SIDE,
    VARIANTS,
    Match,
    compare,
    confirm,
    fingerprints,
    pdq_distance,
    pdq_variants,
)
from guard.records import RGB8, Geometry, ImageID
from guard.watermark.codec import LatticeWatermarker

NAMES = (
    "astronaut",
    "coffee",
    "chelsea",
    "rocket",
    "motorcycle_left",
    "immunohistochemistry",
    "hubble_deep_field",
    "brick",
)


def load(name: str) -> RGB8:
    picture = data.stereo_motorcycle()[0] if name == "motorcycle_left" else getattr(data, name)()
    if picture.ndim == 2:
        picture = np.stack([picture] * 3, axis=-1)
    factor = 320 / max(picture.shape)  # small, so that the many comparisons stay quick
    return np.asarray(cv2.resize(picture[:, :, :3], None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA))


@pytest.fixture(scope="module")
def pictures() -> dict[str, RGB8]:
    return {name: load(name) for name in NAMES}


def jpeg(pixels: RGB8, quality: int) -> RGB8:
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


def cut(pixels: RGB8, side: float, *, top: float, left: float) -> tuple[RGB8, Geometry]:
    height, width = pixels.shape[:2]
    high, wide = round(height * side), round(width * side)
    y, x = round((height - high) * top), round((width - wide) * left)
    piece = pixels[y : y + high, x : x + wide]
    return piece, Geometry(scale=float(np.sqrt(height * width / (high * wide))))


def turned(pixels: RGB8, degrees: float) -> RGB8:
    """Turn counter-clockwise about the middle; the corners that come in are black."""
    height, width = pixels.shape[:2]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, 1.0)
    return np.asarray(cv2.warpAffine(pixels, matrix, (width, height)))


def edits(pixels: RGB8) -> dict[str, tuple[RGB8, Geometry]]:
    """Everyday copies of a picture, each with the geometry that a watermark reading would give."""
    height, width = pixels.shape[:2]
    whole = Geometry()
    piece, half = cut(pixels, 0.5, top=0.3, left=0.6)
    large, most = cut(pixels, 0.7, top=0.9, left=0.1)
    canvas = np.full((height * 3 // 2, width * 3 // 2, 3), 255, np.uint8)
    canvas[height // 4 : height // 4 + height, width // 5 : width // 5 + width] = pixels
    return {
        "same": (pixels, whole),
        "jpeg 25": (jpeg(pixels, 25), whole),
        "small": (cv2.resize(pixels, None, fx=0.4, fy=0.4, interpolation=cv2.INTER_AREA), whole),
        "large": (cv2.resize(pixels, None, fx=1.7, fy=1.7), whole),
        "bright": (np.clip(pixels.astype(np.float32) * 1.3 + 10, 0, 255).astype(np.uint8), whole),
        "mirror": (pixels[:, ::-1], Geometry(mirrored=True)),
        "quarter turn": (np.rot90(pixels), Geometry(rotation_deg=90.0)),
        "mirror and turn": (np.rot90(pixels[:, ::-1], 3), Geometry(rotation_deg=-90.0, mirrored=True)),
        "upside down": (np.rot90(pixels, 2), Geometry(rotation_deg=180.0)),
        "tilted": (turned(pixels, 5.0), Geometry(rotation_deg=5.0)),
        "mirrored and tilted": (turned(pixels[:, ::-1], -8.0), Geometry(rotation_deg=-8.0, mirrored=True)),
        "0.7 of the side": (jpeg(large, 60), most),
        "half of the side": (jpeg(piece, 60), half),
        "half, mirrored": (piece[:, ::-1], replace(half, mirrored=True)),
        "stretched": (cv2.resize(pixels, (round(width * 1.25), height)), whole),
        "on a canvas": (canvas, Geometry(scale=2 / 3)),
        "reading slightly off": (piece, Geometry(scale=half.scale * 1.004, rotation_deg=0.3)),
    }


def test_everyday_copies_are_confirmed_and_none_is_called_a_mismatch(pictures: dict[str, RGB8]) -> None:
    undecided = []
    for name, pixels in pictures.items():
        reference = fingerprints(pixels)
        for edit, (copy, geometry) in edits(pixels).items():
            found = compare(reference, copy, geometry)
            assert found.match is not Match.MISMATCH, (name, edit, found)
            if found.match is Match.UNDECIDABLE:
                undecided.append((name, edit))
    total = len(pictures) * len(edits(pictures["coffee"]))
    assert len(undecided) <= 0.05 * total, undecided


def test_other_pictures_are_never_confirmed_and_mostly_called_a_mismatch(pictures: dict[str, RGB8]) -> None:
    references = {name: fingerprints(pixels) for name, pixels in pictures.items()}
    hardest = ("same", "tilted", "half of the side", "half, mirrored", "stretched", "on a canvas")
    mismatches = total = 0
    for name, pixels in pictures.items():
        for edit, (copy, geometry) in edits(pixels).items():
            for other, reference in references.items():
                if other == name or edit not in hardest:
                    continue
                found = compare(reference, copy, geometry)
                assert found.match is not Match.CONFIRMED, (name, edit, other, found)
                mismatches += found.match is Match.MISMATCH
                total += 1
    assert mismatches >= 0.8 * total


def test_the_wrong_geometry_does_not_confirm_a_crop(pictures: dict[str, RGB8]) -> None:
    pixels = pictures["astronaut"]
    piece, geometry = cut(pixels, 0.5, top=0.2, left=0.4)
    reference = fingerprints(pixels)
    assert confirm(reference, piece, geometry) is Match.CONFIRMED
    for wrong in (None, replace(geometry, mirrored=True), replace(geometry, rotation_deg=90.0), Geometry(scale=1.4)):
        assert confirm(reference, piece, wrong) is not Match.CONFIRMED


def test_a_part_that_was_painted_over_is_still_the_picture_and_another_scene_is_not(pictures: dict[str, RGB8]) -> None:
    pixels = pictures["coffee"].copy()
    reference = fingerprints(pixels)
    pixels[80:130, 110:170] = 40
    assert confirm(reference, pixels) is Match.CONFIRMED
    transplanted = cv2.resize(pictures["chelsea"], pixels.shape[1::-1])
    assert confirm(reference, transplanted) is Match.MISMATCH


def test_plain_pictures_are_undecidable() -> None:
    grey = np.full((300, 400, 3), 128, np.uint8)
    ramp = np.broadcast_to(np.linspace(0, 255, 400).astype(np.uint8)[None, :, None], (300, 400, 3)).copy()
    noise_free = fingerprints(grey)
    assert noise_free.pdq_quality < MIN_QUALITY
    for reference in (noise_free, fingerprints(ramp)):
        for upload in (grey, ramp, ramp[:, ::-1]):
            found = compare(reference, upload, Geometry(scale=1.5))
            assert found.match is Match.UNDECIDABLE
            assert np.isfinite(found.significance or 0.0)


def test_without_a_thumbnail_only_whole_pictures_can_be_judged(pictures: dict[str, RGB8]) -> None:
    pixels = pictures["rocket"]
    erased = replace(fingerprints(pixels), thumbnail="")
    piece, geometry = cut(pixels, 0.6, top=0.5, left=0.5)
    assert confirm(erased, jpeg(pixels, 40)) is Match.CONFIRMED
    assert confirm(erased, np.rot90(pixels), Geometry(rotation_deg=90.0)) is Match.CONFIRMED
    assert confirm(erased, pictures["coffee"]) is Match.MISMATCH
    assert confirm(erased, piece, geometry) is Match.UNDECIDABLE
    assert confirm(erased, turned(pictures["coffee"], 20), Geometry(rotation_deg=20.0)) is Match.UNDECIDABLE


@pytest.mark.parametrize("text", ["nonsense", "0x0:AA==", "3x3:AA==", "2x1:A", "64x64:", "2x2:AAAA AAAA"])
def test_a_damaged_thumbnail_is_an_error(pictures: dict[str, RGB8], text: str) -> None:
    damaged = replace(fingerprints(pictures["coffee"]), thumbnail=text)
    with pytest.raises(MediaError, match="thumbnail is damaged"):
        compare(damaged, pictures["chelsea"])


def test_the_thumbnail_is_small_and_keeps_the_aspect(pictures: dict[str, RGB8]) -> None:
    wide = np.tile(pictures["astronaut"], (1, 3, 1))
    found = fingerprints(wide)
    width, height = map(int, found.thumbnail.split(":")[0].split("x"))
    assert width / height == pytest.approx(3.0, rel=0.03)
    assert width * height == pytest.approx(THUMBNAIL_SIDE**2, rel=0.03)
    assert len(found.thumbnail) < 5700


def test_pdq_is_stable_under_light_edits_and_far_between_pictures(pictures: dict[str, RGB8]) -> None:
    hashes = {name: fingerprints(pixels) for name, pixels in pictures.items()}
    for name, pixels in pictures.items():
        assert len(hashes[name].pdq) == 64
        assert pdq_distance(hashes[name].pdq, fingerprints(jpeg(pixels, 50)).pdq) <= SAME_PDQ
        for other in NAMES:
            if other != name:
                assert pdq_distance(hashes[name].pdq, hashes[other].pdq) > 2 * SAME_PDQ


def test_variants_find_mirrored_and_turned_copies(pictures: dict[str, RGB8]) -> None:
    pixels = pictures["chelsea"]
    reference = fingerprints(pixels).pdq
    assert pdq_variants(pixels)[0] == reference
    for copy in (pixels[:, ::-1], pixels[::-1], np.rot90(pixels), np.rot90(pixels, 3), np.rot90(pixels[:, ::-1])):
        assert pdq_distance(fingerprints(np.ascontiguousarray(copy)).pdq, reference) > SAME_PDQ
        assert min(pdq_distance(variant, reference) for variant in pdq_variants(copy)) <= SAME_PDQ


def test_distance_counts_bits() -> None:
    assert pdq_distance("0" * 64, "0" * 64) == 0
    assert pdq_distance("0" * 64, "f" * 64) == 256
    assert pdq_distance("8" + "0" * 63, "0" * 63 + "3") == 3


def test_large_and_tiny_pictures_are_fingerprinted(pictures: dict[str, RGB8]) -> None:
    large = cv2.resize(pictures["coffee"], (1800, 1200), interpolation=cv2.INTER_CUBIC)
    assert confirm(fingerprints(large), pictures["coffee"]) is Match.CONFIRMED
    tiny = pictures["coffee"][:33, :32]
    assert confirm(fingerprints(tiny), tiny) is not Match.MISMATCH


@pytest.mark.parametrize("shape", [(8, 8), (8, 8, 4), (0, 8, 3), (3, 8, 8)])
def test_other_arrays_are_refused(shape: tuple[int, ...]) -> None:
    for call in (fingerprints, pdq_variants):
        with pytest.raises(UnsupportedMediaError):
            call(np.zeros(shape, np.uint8))
    with pytest.raises(UnsupportedMediaError):
        fingerprints(np.zeros((8, 8, 3), np.float32))  # type: ignore[arg-type]


def test_a_real_reading_confirms_a_crop_and_exposes_a_copied_mark() -> None:
    """The geometry convention is shared with the mark codec; a mark lifted off and laid over another picture reads."""
    marker = LatticeWatermarker(bytes(range(32)))
    pixels = np.ascontiguousarray(data.astronaut())
    marked = marker.embed(pixels, ImageID("00112233445566ff"))
    reference = fingerprints(marked)
    piece = jpeg(turned(marked[:, ::-1], 5.0)[70:430, 40:440], 85)
    reading = marker.detect(piece)
    assert reading.image_id == "00112233445566ff"
    assert reading.geometry is not None
    assert reading.geometry.mirrored
    assert confirm(reference, piece, reading.geometry) is Match.CONFIRMED
    victim = cv2.resize(data.coffee(), (512, 512)).astype(np.float32)
    forged = np.clip(victim + 1.5 * (marked.astype(np.float32) - pixels), 0, 255).astype(np.uint8)
    lifted = marker.detect(forged)
    assert lifted.image_id == "00112233445566ff"
    assert confirm(reference, forged, lifted.geometry) is Match.MISMATCH


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("quarters", range(4))
def test_each_variant_hash_knows_how_the_picture_lies(pictures: dict[str, RGB8], mirrored: bool, quarters: int) -> None:
    original = pictures["coffee"]
    turned = np.ascontiguousarray(np.rot90(original[:, ::-1] if mirrored else original, quarters))
    reference = fingerprints(original)
    distances = [pdq_distance(reference.pdq, pdq) for pdq in pdq_variants(turned)]
    geometry = VARIANTS[int(np.argmin(distances))]
    assert (geometry.mirrored, geometry.rotation_deg) == (mirrored, 90.0 * quarters)
    assert min(distances) <= SEARCH_PDQ
    assert confirm(reference, turned, geometry) is Match.CONFIRMED


def test_a_rich_picture_is_no_copy_of_a_plain_one_nor_the_reverse(pictures: dict[str, RGB8]) -> None:
    rows = np.linspace(90, 150, 240).astype(np.uint8)
    plain = np.repeat(np.repeat(rows[:, None, None], 320, axis=1), 3, axis=2)
    rich = np.ascontiguousarray(pictures["coffee"])
    assert confirm(fingerprints(plain), rich) is Match.MISMATCH
    assert confirm(fingerprints(rich), plain) is Match.MISMATCH
    assert confirm(fingerprints(plain), jpeg(plain, 60)) is not Match.MISMATCH
