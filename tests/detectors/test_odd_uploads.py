"""Files that are no plain still image are judged by what can be read of them: bytes always, pixels where there are."""

import io
from collections.abc import Iterator

import pytest
from PIL import Image, PngImagePlugin
from skimage import data

from detectors.evidence import Family
from detectors.report.as_html import render_html
from detectors.report.as_text import render_text
from detectors.report.model import Report
from detectors.verdict import VerdictLevel
from gateway.runtime import Runtime
from guard.errors import MediaError
from guard.settings import load_settings
from tests.detectors.metadata.writers import jpeg_xmp, segment, xmp

A1111 = (
    "a lighthouse at dawn\nNegative prompt: fog\n"
    "Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 42, Size: 256x320, Model: sd15, Version: v1.9.4"
)
GRAPH = (
    '{"3": {"class_type": "KSampler", "inputs": {"seed": 7, "steps": 20, "cfg": 8.0, "sampler_name": "euler", '
    '"model": ["4", 0], "positive": ["6", 0], "negative": ["7", 0]}}, '
    '"4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "sd_xl_base_1.0.safetensors"}}, '
    '"6": {"class_type": "CLIPTextEncode", "inputs": {"text": "a lighthouse", "clip": ["4", 1]}}, '
    '"7": {"class_type": "CLIPTextEncode", "inputs": {"text": "fog", "clip": ["4", 1]}}}'
)
SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
PHOTO = Image.fromarray(data.astronaut()[:256, :320])


def saved(picture: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def parameters() -> PngImagePlugin.PngInfo:
    texts = PngImagePlugin.PngInfo()
    texts.add_text("parameters", A1111)
    return texts


def infotext_exif() -> bytes:
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9286] = b"UNICODE\0" + A1111.encode("utf-16-be")
    return exif.tobytes()


def workflow_exif() -> bytes:
    exif = Image.Exif()
    exif[0x010F] = "prompt:" + GRAPH
    return exif.tobytes()


def cut_jpeg() -> bytes:
    base = saved(PHOTO, "JPEG", quality=90)
    packet = xmp(f"<Iptc4xmpExt:DigitalSourceType>{SOURCE_TYPE}</Iptc4xmpExt:DigitalSourceType>").encode()
    whole = base[:2] + segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + packet) + base[2:]
    return whole[: len(whole) // 2]


NEXT = [PHOTO.rotate(180)]
SIXTEEN = Image.fromarray(data.camera()[:256, :256].astype("uint16") * 257)
ODD = {
    "CMYK JPEG": (saved(PHOTO.convert("CMYK"), "JPEG", exif=infotext_exif()), "AUTOMATIC1111", "CMYK", True),
    "animated WebP": (
        saved(PHOTO, "WEBP", save_all=True, append_images=NEXT, exif=workflow_exif()),
        "ComfyUI",
        "first of 2 frames",
        True,
    ),
    "APNG": (
        saved(PHOTO, "PNG", save_all=True, append_images=NEXT, pnginfo=parameters()),
        "AUTOMATIC1111",
        "first of 2 frames",
        True,
    ),
    "animated GIF": (
        saved(PHOTO, "GIF", save_all=True, append_images=NEXT, comment=A1111.encode()),
        "AUTOMATIC1111",
        "first of 2 frames",
        True,
    ),
    "16-bit PNG": (saved(SIXTEEN, "PNG", pnginfo=parameters()), "AUTOMATIC1111", "16 bits", True),
    "cut JPEG": (cut_jpeg(), None, "stored rows", True),
    "cut PNG": (saved(PHOTO, "PNG", pnginfo=parameters())[:60000], "AUTOMATIC1111", "cut off", False),
    "16 x 16 PNG": (saved(PHOTO.resize((16, 16)), "PNG", pnginfo=parameters()), "AUTOMATIC1111", "too small", False),
}
"""What: (file, tool that its metadata names, part of the note, whether its pixels can be examined)."""


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    opened = Runtime(load_settings(home=str(tmp_path_factory.mktemp("home"))))
    yield opened
    opened.close()


def judged(runtime: Runtime, file: bytes) -> Report:
    return runtime.examine(file, name="suspect")[0]


@pytest.mark.parametrize("what", ODD)
def test_metadata_of_odd_files_counts_and_the_report_says_what_was_examined(runtime: Runtime, what: str) -> None:
    file, tool, noted, _ = ODD[what]
    report = judged(runtime, file)
    assert report.verdict is VerdictLevel.LIKELY_AI
    assert report.complete
    assert tool is None or any(tool in name for name in report.generator or {})
    (note,) = report.notes
    assert noted in note
    assert noted in render_text(report).replace("\n      ", " ")
    assert noted in render_html(report)
    assert report.model_validate_json(report.model_dump_json()) == report
    assert "authentic" not in render_text(report)


@pytest.mark.parametrize("what", ODD)
def test_pixel_evidence_is_sought_where_there_are_pixels_and_skipped_otherwise(runtime: Runtime, what: str) -> None:
    file, _, _, has_pixels = ODD[what]
    report, upload = runtime.examine(file, name="suspect")
    rows = {row.id: row for row in report.evidence}
    pixel_rows = [row for row in report.evidence if row.family is not Family.METADATA]
    assert (upload.preview is not None) is has_pixels
    assert (rows["watermark.open_marks"].status != "skipped") is has_pixels
    if not has_pixels:
        assert {row.status for row in pixel_rows} == {"skipped"}
        assert all("Too small" in row.reason or "cut off" in row.reason for row in pixel_rows)
        assert (report.width, report.height) == upload.image.stored_size
        assert runtime.engine.illustrate(upload) == ()


def test_a_plain_file_has_no_note(runtime: Runtime) -> None:
    report = judged(runtime, jpeg_xmp(xmp("")))
    assert report.notes == ()
    assert "Note" not in render_text(report)


def test_no_image_and_too_many_pixels_stay_refused(runtime: Runtime) -> None:
    for file in (b"hello", b"", saved(Image.new("1", (9000, 7000)), "PNG", pnginfo=parameters())):
        with pytest.raises(MediaError):
            judged(runtime, file)


@pytest.mark.parametrize("what", ODD)
def test_what_is_not_judged_but_used_must_still_be_a_plain_picture(runtime: Runtime, what: str) -> None:
    for strict in (runtime.decode, runtime.core.open_picture):
        with pytest.raises(MediaError):
            strict(ODD[what][0])
