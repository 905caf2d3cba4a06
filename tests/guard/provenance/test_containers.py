"""Which files can carry credentials: told by content, refused with a list."""

import pytest

from guard.errors import UnsupportedMediaError
from guard.media import encode
from guard.provenance.containers import SIGNABLE, container_type, require_signable
from guard.records import ImageFormat
from tests.guard.provenance.support import picture

HEADS = {
    "image/avif": b"\0\0\0\x1cftypavif",
    "image/heic": b"\0\0\0\x1cftypheic",
    "image/tiff": b"II*\0" + bytes(8),
    "image/gif": b"GIF89a" + bytes(8),
    "video/mp4": b"\0\0\0\x18ftypisom",
    "video/quicktime": b"\0\0\0\x14ftypqt  ",
    "audio/mp4": b"\0\0\0\x1cftypM4A ",
    "audio/wav": b"RIFF\0\0\0\0WAVE",
    "audio/mpeg": b"ID3\x04\0\0\0\0\0\0",
    "audio/flac": b"fLaC\0\0\0\x22",
    "application/pdf": b"%PDF-1.7\n",
}


@pytest.mark.parametrize(("expected", "head"), HEADS.items())
def test_each_kind_is_told_by_its_first_bytes(expected: str, head: bytes) -> None:
    assert container_type(head) == expected
    assert require_signable(head) == expected


@pytest.mark.parametrize("image_format", ImageFormat)
def test_pictures_are_signable(image_format: ImageFormat) -> None:
    assert require_signable(encode(picture(), image_format)) == image_format.media_type


def test_every_signable_kind_is_recognised() -> None:
    assert set(SIGNABLE) == set(HEADS) | {f.media_type for f in ImageFormat}


def test_mp3_without_a_tag_is_told_by_its_frame_sync_and_jpeg_is_not_mp3() -> None:
    assert container_type(b"\xff\xfb\x90\x64" + bytes(8)) == "audio/mpeg"
    assert container_type(b"\xff\xd8\xff\xe0" + bytes(8)) == "image/jpeg"


@pytest.mark.parametrize("data", [b"", b"text", b"BM" + bytes(30), b"OggS" + bytes(20), b"RIFF\0\0\0\0AVI "])
def test_anything_else_is_refused_with_the_list(data: bytes) -> None:
    with pytest.raises(UnsupportedMediaError, match="image/png"):
        require_signable(data)
