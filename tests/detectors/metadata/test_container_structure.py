"""The container detector describes what really wrote a file, and never takes a side."""

import io
import struct
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from detectors.evidence import Direction, Evidence, Grade, Skipped
from detectors.metadata.container_structure import ContainerStructureDetector
from detectors.metadata.quantisation import ANNEX_K_CHROMA, ANNEX_K_LUMA, ROBIDOUX, TableMatch, identify, scaled
from tests.detectors.metadata import writers as w

EXPOSURE = (0x829A, 5, struct.pack(">II", 1, 60))


def examine(data: bytes) -> Evidence:
    evidence = ContainerStructureDetector().examine(w.upload(data))
    assert isinstance(evidence, Evidence)
    assert (evidence.grade, evidence.direction, evidence.generator) == (Grade.NEUTRAL, Direction.NONE, None)
    return evidence


def shown(data: bytes) -> dict[str, str]:
    return {line.name: line.value for line in examine(data).observations}


def encoded(kind: str, **options: object) -> bytes:
    noise = np.random.default_rng(3).integers(0, 256, (256, 256, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("quality", [1, 10, 49, 50, 75, 90, 99, 100])
def test_libjpeg_quality_is_exact(quality: int) -> None:
    assert shown(encoded("JPEG", quality=quality))["quantisation tables"] == f"libjpeg (Annex K) quality {quality}"


def test_families_of_tables() -> None:
    assert identify(scaled(ROBIDOUX, 80), scaled(ROBIDOUX, 80)) == TableMatch(family="mozjpeg", quality=80)
    mixed = identify(scaled(ANNEX_K_LUMA, 90), scaled(ANNEX_K_CHROMA, 70))
    assert mixed == TableMatch(family="libjpeg (Annex K)", quality=90, chroma_quality=70)
    assert identify(scaled(ANNEX_K_LUMA, 60), None) == TableMatch(family="libjpeg (Annex K)", quality=60)
    own = tuple(step + (index % 3 == 0) for index, step in enumerate(scaled(ANNEX_K_LUMA, 60)))
    assert identify(own, None).family is None
    assert abs(identify(own, None).quality - 60) <= 2


@pytest.mark.parametrize(
    ("options", "name", "value"),
    [
        ({"subsampling": 0}, "frame", "baseline, 256x256, 4:4:4"),
        ({"subsampling": 1}, "frame", "baseline, 256x256, 4:2:2"),
        ({"subsampling": 2}, "frame", "baseline, 256x256, 4:2:0"),
        ({"progressive": True}, "frame", "progressive, 256x256, 4:2:0"),
        ({"optimize": True}, "Huffman tables", "optimised or own"),
        ({}, "Huffman tables", "typical (annex K)"),
        ({}, "marker order", "APP0 DQT SOF0 DHT SOS"),
    ],
)
def test_jpeg_structure(options: dict[str, object], name: str, value: str) -> None:
    assert shown(encoded("JPEG", **options))[name] == value


def test_jpeg_segments_comments_platform_and_trailing_bytes() -> None:
    lines = shown(
        w.jpeg(
            w.segment(0xE0, b"JFIF\0\x01\x02\0\0\x01\0\x01\0\0"),
            w.segment(0xEC, b"Ducky\0\x01\0\x04\0\0\0\x3c\0\0"),
            w.segment(0xFE, b"CREATOR: gd-jpeg v1.0 (using IJG JPEG v62), quality = 85\n"),
        )
        + b"tail"
    )
    assert "Photoshop, saved for web" in lines["segments"]
    assert lines["encoder comment"] == "PHP GD library"
    assert lines["after the end marker"] == "4 bytes"
    assert "Facebook" in shown(w.jpeg_iptc(w.iim(d40="FBMD01000ac6030000")))["platform"]


def test_png_structure() -> None:
    lines = shown(encoded("PNG"))
    assert lines["chunk order"] == "IHDR IDAT IEND"
    assert lines["header"] == "256x256, RGB, 8 bits"
    assert lines["data chunks"] == "65536 bytes each (as Pillow writes)"
    lines = shown(w.png(w.chunk(b"iDOT", bytes(28)), w.text_chunk("a", "b")) + b"xyz")
    assert lines["chunk order"] == "IHDR iDOT tEXt IDAT IEND"
    assert lines["private chunks"].startswith("Apple")
    assert lines["after the end chunk"] == "3 bytes"


def test_webp_structure() -> None:
    assert shown(encoded("WEBP"))["coding"] == "lossy"
    assert shown(encoded("WEBP", lossless=True))["coding"] == "lossless"
    assert shown(w.webp((b"XMP ", w.xmp("").encode())))["chunk order"].endswith("XMP")


def test_other_formats_are_skipped() -> None:
    assert isinstance(ContainerStructureDetector().examine(w.upload(w.plain("GIF"))), Skipped)


def camera(*ifd0: w.Entry, exif: tuple[w.Entry, ...] = ()) -> bytes:
    return w.jpeg_exif(w.ascii_entry(0x010F, "Canon"), w.ascii_entry(0x0110, "EOS 60D"), *ifd0, exif=[EXPOSURE, *exif])


def test_a_camera_block_that_does_not_fit_is_described() -> None:
    data = camera(
        w.ascii_entry(0x0131, "Adobe Photoshop 25.0"),
        w.ascii_entry(0x0132, "2024:01:02 10:00:00"),
        exif=(
            w.ascii_entry(0x9003, "2024:01:01 10:00:00"),
            (0xA002, 4, struct.pack(">I", 5184)),
            (0xA003, 4, struct.pack(">I", 3456)),
        ),
    )
    lines = shown(data)
    assert lines["camera statements, size"] == "the camera recorded 5184x3456, the file has 64x64"
    assert "another time" in lines["camera statements, time"]
    assert "Adobe Photoshop" in lines["camera statements, software"]
    assert "quality 75" in lines["camera statements, tables"]
    assert "JFIF" in lines["camera statements, header"]
    assert "written again after the camera" in examine(data).reason


def test_a_size_that_is_only_rotated_fits() -> None:
    sizes = ((0xA002, 4, struct.pack(">I", 64)), (0xA003, 4, struct.pack(">I", 64)))
    assert "camera statements, size" not in shown(camera(exif=sizes))


def test_a_camera_block_in_a_png_is_a_conversion() -> None:
    block = w.tiff([w.ascii_entry(0x0110, "EOS 60D")], [EXPOSURE])
    assert "converted" in shown(w.png(w.chunk(b"eXIf", block)))["camera statements, format"]


def test_without_a_camera_nothing_is_compared() -> None:
    assert not any(name.startswith("camera") for name in shown(w.jpeg_exif(w.ascii_entry(0x010F, "UNO"))))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_damaged_structure_is_described_as_far_as_it_goes(kind: str) -> None:
    data = encoded(kind)
    whole = w.upload(data)
    detector = ContainerStructureDetector()
    for length in range(12, len(data), max(1, len(data) // 200)):
        assert isinstance(detector.examine(replace(whole, data=data[:length])), Evidence)
    rng = np.random.default_rng(5)
    for _ in range(200):
        broken = bytearray(data)
        for at in rng.integers(2, 700, 6):
            broken[int(at)] = int(rng.integers(0, 256))
        assert isinstance(detector.examine(replace(whole, data=bytes(broken))), Evidence)
